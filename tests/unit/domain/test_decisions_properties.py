"""Decisions on documents of any shape: what holds whatever is in them."""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.decisions import Decision, Question, decide
from chalicelib.domain.snapshot_documents import ShareDocument, SnapshotDocument, SourceDocument
from chalicelib.ports import Counter

HOUR = 3_600_000
NOW = 1_000 * HOUR + 1234
KINDS = ("boolean", "numeric", "enum", "metered")


@st.composite
def sources(draw: st.DrawFn) -> list[SourceDocument]:
    moments = st.integers(NOW - 3 * HOUR, NOW + 3 * HOUR)
    made: list[SourceDocument] = []
    for index in range(draw(st.integers(0, 4))):
        source: SourceDocument = {"type": "plan", "id": f"p{index}", "start": draw(moments)}
        if draw(st.booleans()):
            source["end"] = draw(moments)
        if draw(st.booleans()):
            source["subscription_id"] = f"subs_{index}"
        if draw(st.booleans()):
            source["quantity"] = draw(st.integers(2, 4))
        made.append(source)
    return made


@st.composite
def shares(draw: st.DrawFn, kind: str, source: int, resets: bool) -> ShareDocument:
    share: ShareDocument = {"source": source}
    if kind == "boolean":
        share["value"] = draw(st.booleans())
    elif kind == "numeric":
        share["value"] = draw(st.integers(0, 9))
    elif kind == "enum":
        share["values"] = draw(st.lists(st.sampled_from("abc"), min_size=1, unique=True))
    else:
        if draw(st.integers(0, 5)) == 0:
            share["unlimited"] = True
        else:
            share["limit"] = draw(st.sampled_from((0, 5, 5, 9)))
        if draw(st.integers(0, 5)) == 0:
            share["soft"] = True
        if resets and draw(st.booleans()):
            share["reset"] = draw(st.sampled_from(("hour", "day", "month")))
            if draw(st.booleans()):
                share["calendar"] = True
    if kind != "boolean" and draw(st.integers(0, 2)) == 0:
        share["increment"] = True
    return share


@st.composite
def documents(
    draw: st.DrawFn, kinds: tuple[str, ...] = KINDS, *, resets: bool = True
) -> SnapshotDocument:
    held = draw(sources())
    kind = draw(st.sampled_from(kinds))
    said = [draw(shares(kind, index, resets)) for index in range(len(held)) if draw(st.booleans())]
    return {
        "version": 1,
        "customer_status": draw(st.sampled_from(("active", "active", "active", "archived"))),
        "sources": held,
        "features": {"f": {"type": kind, "shares": said}} if said else {},
    }


counters = st.builds(Counter, st.integers(0, 12), st.sampled_from((0, 1000 * HOUR)))
usages = st.dictionaries(st.just("f"), counters)
questions = st.builds(
    Question,
    usage=st.none() | st.integers(0, 5),
    values=st.lists(st.sampled_from("abcd"), max_size=2).map(tuple),
)


def at(
    document: SnapshotDocument, usage: Mapping[str, Counter], question: Question, now: int
) -> Decision:
    return replace(decide(document, usage, "f", question, now), valid_until_ms=None)


@given(documents(), usages, questions)
def test_valid_until_is_the_first_instant_with_another_answer(
    document: SnapshotDocument, usage: dict[str, Counter], question: Question
) -> None:
    decision = decide(document, usage, "f", question, NOW)
    answer = replace(decision, valid_until_ms=None)
    bounds = {moment for source in document["sources"] for moment in (source["start"],)}
    bounds |= {source["end"] for source in document["sources"] if "end" in source}
    bounds |= {decision.period_end_ms or NOW, decision.valid_until_ms or NOW}
    candidates = sorted({near for one in bounds for near in (one - 1, one, one + 1) if near > NOW})
    different = [one for one in candidates if at(document, usage, question, one) != answer]
    if decision.valid_until_ms is None:
        assert different == []
    else:
        assert different[0] == decision.valid_until_ms


def _reordered(document: SnapshotDocument, dice: random.Random) -> SnapshotDocument:
    order = dice.sample(range(len(document["sources"])), len(document["sources"]))
    features: dict[str, Any] = {
        name: {
            "type": entry["type"],
            "shares": dice.sample(
                [{**share, "source": order.index(share["source"])} for share in entry["shares"]],
                len(entry["shares"]),
            ),
        }
        for name, entry in document["features"].items()
    }
    return {
        "version": document["version"],
        "customer_status": document["customer_status"],
        "sources": [document["sources"][index] for index in order],
        "features": features,
    }


@given(documents(), usages, questions, st.randoms(use_true_random=False))
def test_decision_does_not_depend_on_the_order_of_sources(
    document: SnapshotDocument,
    usage: dict[str, Counter],
    question: Question,
    dice: random.Random,
) -> None:
    def settled(of: SnapshotDocument) -> tuple[Decision, list[str]]:
        decision = decide(of, usage, "f", question, NOW)
        return replace(decision, sources=()), sorted(source["id"] for source in decision.sources)

    assert settled(document) == settled(_reordered(document, dice))


# Sources that count usage in other periods are left out: a counter belongs to one period only.
@given(documents(resets=False), st.data(), usages, questions)
def test_decision_with_one_source_more_never_takes_access_away(
    document: SnapshotDocument, data: st.DataObject, usage: dict[str, Counter], question: Question
) -> None:
    before = decide(document, usage, "f", question, NOW)
    if not before.has_access:
        return
    kind = before.feature_type or ""
    share = data.draw(shares(kind, len(document["sources"]), resets=False))
    document["sources"].append({"type": "grant", "id": "more", "start": NOW - 1})
    document["features"]["f"]["shares"].append(share)
    after = decide(document, usage, "f", question, NOW)
    assert after.has_access
    assert after.is_unlimited or (after.usage_limit or 0) >= (before.usage_limit or 0)
    assert set(after.values or ()) >= set(before.values or ())
    assert int(after.value or 0) >= int(before.value or 0)


@given(documents(("metered",)), st.integers(0, 12), st.integers(0, 12), st.integers(0, 5))
def test_decision_on_more_usage_is_never_more_generous(
    document: SnapshotDocument, one: int, other: int, requested: int
) -> None:
    less, more = sorted((one, other))
    question = Question(usage=requested)

    def on(used: int) -> bool:
        return decide(document, {"f": Counter(used, 0)}, "f", question, NOW).has_access

    assert on(less) or not on(more)


@given(documents(("metered",)), usages, st.integers(0, 12), st.integers(0, 12))
def test_decision_on_a_larger_request_is_never_more_generous(
    document: SnapshotDocument, usage: dict[str, Counter], one: int, other: int
) -> None:
    less, more = sorted((one, other))

    def on(requested: int) -> bool:
        return decide(document, usage, "f", Question(usage=requested), NOW).has_access

    assert on(less) or not on(more)
