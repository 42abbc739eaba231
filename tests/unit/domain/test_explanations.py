from typing import Any

import pytest

from chalicelib.domain.decisions import Question
from chalicelib.domain.explanations import Outcome, explain
from chalicelib.domain.snapshot_documents import ShareDocument, SnapshotDocument, SourceDocument

NOW = 1000


def outcomes(kind: str, *said: dict[str, Any] | None, **source: Any) -> list[Outcome]:
    """What each source came to that says this; `source` is of the last one."""
    sources: list[SourceDocument] = [
        {"type": "grant", "id": f"g{number}", "start": 0} for number in range(len(said))
    ]
    sources[-1].update(source)  # type: ignore[typeddict-item]  # fields of a source
    shares: list[ShareDocument] = [
        {"source": number, **share}  # type: ignore[typeddict-item]  # fields of a share
        for number, share in enumerate(said)
        if share is not None
    ]
    document: SnapshotDocument = {
        "version": 1,
        "customer_status": "active",
        "sources": sources,
        "features": {"f": {"type": kind, "shares": shares}},
    }
    return [one.outcome for one in explain(document, "f", Question(), NOW)]


@pytest.mark.parametrize(
    ("kind", "said", "expected"),
    [
        ("boolean", [{"value": True}, {"value": False}], ["wins", "says_no"]),
        ("numeric", [{"value": 3}, {"value": 7}], ["less_generous", "wins"]),
        ("numeric", [{"value": 9, "increment": True}, {"value": 7}], ["adds", "wins"]),
        ("numeric", [{"value": 9, "increment": True}], ["wins"]),
        ("enum", [{"values": ["a"]}, {"values": ["b"]}], ["adds", "adds"]),
        (
            "metered",
            [{"limit": 3}, {"limit": 7}, None],
            ["less_generous", "wins", "without_the_feature"],
        ),
        ("metered", [{"limit": 3, "increment": True}, {"limit": 7}], ["adds", "wins"]),
        ("metered", [{"unlimited": True}, {"limit": 7}], ["wins", "less_generous"]),
        (
            "metered",
            [{"unlimited": True}, {"limit": 7, "increment": True}],
            ["wins", "less_generous"],
        ),
    ],
)
def test_explanation_tells_what_each_share_came_to(
    kind: str, said: list[dict[str, Any] | None], expected: list[str]
) -> None:
    assert outcomes(kind, *said) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"start": NOW + 1}, "not_started"),
        ({"end": NOW}, "ended"),
        ({"end": NOW + 1}, "wins"),
        ({"resource": "ws"}, "other_resource"),
    ],
)
def test_explanation_tells_why_a_source_does_not_count(
    source: dict[str, Any], expected: str
) -> None:
    assert outcomes("metered", {"limit": 3}, **source) == [expected]


def test_explanation_of_a_feature_that_nobody_mentions_has_every_source() -> None:
    document: SnapshotDocument = {
        "version": 1,
        "customer_status": "active",
        "sources": [{"type": "plan", "id": "pro", "start": 0}],
        "features": {},
    }
    [found] = explain(document, "ghost", Question(), NOW)
    assert (found.outcome, found.share) == (Outcome.WITHOUT_THE_FEATURE, None)
