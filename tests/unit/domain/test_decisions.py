"""Decisions on hand-made documents: each feature type, each reason, each way of merging."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.domain.decisions import Decision, DeniedReason, Question, decide
from chalicelib.domain.snapshot_documents import (
    FeatureDocument,
    ShareDocument,
    SnapshotDocument,
    SourceDocument,
    epoch_ms,
)
from chalicelib.ports import Counter

NOW = epoch_ms(datetime(2026, 5, 6, 13, 45, tzinfo=UTC))
HOUR = 3_600_000
DAY = 24 * HOUR


def a_source(
    source_id: str = "pro", start: int = NOW - 10 * DAY, end: int | None = None, **fields: Any
) -> SourceDocument:
    source: SourceDocument = {"type": "plan", "id": source_id, "start": start}
    if end is not None:
        source["end"] = end
    if fields.pop("granted", False):
        source["type"] = "grant"
    else:
        source["subscription_id"] = f"subs_{source_id}"
    source.update(fields)  # type: ignore[typeddict-item]  # further fields of the document
    return source


def a_share(source: int = 0, **fields: Any) -> ShareDocument:
    share: ShareDocument = {"source": source}
    share.update(fields)  # type: ignore[typeddict-item]  # fields of the document
    return share


def a_document(
    kind: str,
    shares: Sequence[ShareDocument],
    sources: Sequence[SourceDocument] = (a_source(),),
    status: str = "active",
) -> SnapshotDocument:
    features: dict[str, FeatureDocument] = {}
    if shares:
        features["f"] = {"type": kind, "shares": list(shares)}
    return {
        "version": 1,
        "customer_status": status,
        "sources": list(sources),
        "features": features,
    }


def asked(
    document: SnapshotDocument,
    used: int | None = None,
    question: Question = Question(),  # noqa: B008 -- frozen
    now: int = NOW,
    since: int = 0,
) -> Decision:
    usage: Mapping[str, Counter] = {} if used is None else {"f": Counter(used, since)}
    return decide(document, usage, "f", question, now)


# --- reasons ------------------------------------------------------------------------------------------


def test_archived_customer_is_denied_whatever_it_holds() -> None:
    document = a_document("boolean", [a_share(value=True)], status="archived")
    assert asked(document).denied_reason is DeniedReason.CUSTOMER_IS_ARCHIVED


def test_nothing_subscribed_is_denied_for_want_of_a_subscription() -> None:
    document = a_document("boolean", [], sources=[])
    assert asked(document) == Decision(DeniedReason.NO_ACTIVE_SUBSCRIPTION)


def test_subscription_without_the_feature_is_denied_for_want_of_the_entitlement() -> None:
    assert asked(a_document("boolean", [])) == Decision(DeniedReason.NO_FEATURE_ENTITLEMENT)


def test_subscription_ended_is_denied_and_still_knows_the_type() -> None:
    document = a_document("metered", [a_share(limit=5)], [a_source(end=NOW)])
    assert asked(document) == Decision(DeniedReason.NO_ACTIVE_SUBSCRIPTION, "metered")


def test_expired_grant_beside_subscription_is_denied_for_want_of_the_entitlement() -> None:
    document = a_document(
        "boolean", [a_share(1, value=True)], [a_source(), a_source("g", end=NOW, granted=True)]
    )
    assert asked(document).denied_reason is DeniedReason.NO_FEATURE_ENTITLEMENT


def test_grant_alone_is_no_subscription_but_gives_its_feature() -> None:
    document = a_document("boolean", [a_share(value=True)], [a_source(granted=True)])
    assert asked(document).has_access
    document["features"].clear()
    assert asked(document).denied_reason is DeniedReason.NO_ACTIVE_SUBSCRIPTION


@pytest.mark.parametrize(
    ("kind", "share", "question"),
    [
        ("boolean", a_share(value=True), Question(usage=1)),
        ("numeric", a_share(value=1), Question(usage=0)),
        ("enum", a_share(values=["a"]), Question(usage=1)),
        ("boolean", a_share(value=True), Question(values=("a",))),
        ("numeric", a_share(value=1), Question(values=("a",))),
        ("metered", a_share(limit=1), Question(values=("a",))),
    ],
)
def test_question_of_another_type_is_a_mismatch(
    kind: str, share: ShareDocument, question: Question
) -> None:
    decision = asked(a_document(kind, [share]), question=question)
    assert decision.denied_reason is DeniedReason.FEATURE_TYPE_MISMATCH
    assert decision.feature_type == kind


# --- each type ----------------------------------------------------------------------------------------


def test_boolean_true_anywhere_is_yes_from_those_sources_alone() -> None:
    sources = [a_source("a"), a_source("b")]
    document = a_document("boolean", [a_share(0, value=False), a_share(1, value=True)], sources)
    assert asked(document) == Decision(None, "boolean", value=True, sources=(sources[1],))


def test_boolean_false_everywhere_is_no() -> None:
    decision = asked(a_document("boolean", [a_share(value=False)]))
    assert decision == Decision(DeniedReason.NO_FEATURE_ENTITLEMENT, "boolean", value=False)


def test_numeric_is_highest_override_plus_increments_times_quantity() -> None:
    sources = [a_source("a"), a_source("b"), a_source("c", quantity=3)]
    shares = [a_share(0, value=4), a_share(1, value=6), a_share(2, value=2, increment=True)]
    decision = asked(a_document("numeric", shares, sources))
    assert (decision.has_access, decision.value, decision.sources) == (True, 12, tuple(sources))


def test_enum_is_the_union_of_all_sources() -> None:
    sources = [a_source("a"), a_source("b")]
    document = a_document("enum", [a_share(0, values=["x"]), a_share(1, values=["y"])], sources)
    assert asked(document).values == ("x", "y")
    assert asked(document, question=Question(values=("y", "x"))).has_access
    refused = asked(document, question=Question(values=("x", "z")))
    assert refused.denied_reason is DeniedReason.REQUESTED_VALUES_MISMATCH
    assert refused.values == ("x", "y")


@pytest.mark.parametrize(
    ("used", "requested", "yes"),
    [
        (None, None, True),
        (9, None, True),
        (10, None, False),
        (10, 0, True),
        (11, 0, False),
        (0, 10, True),
        (0, 11, False),
        (3, 7, True),
        (3, 8, False),
    ],
)
def test_metered_fits_exactly_up_to_its_limit(
    used: int | None, requested: int | None, yes: bool
) -> None:
    decision = asked(a_document("metered", [a_share(limit=10)]), used, Question(usage=requested))
    assert decision.has_access is yes
    assert decision.denied_reason in (None, DeniedReason.REQUESTED_USAGE_EXCEEDING_LIMIT)
    assert decision.requested_usage == (1 if requested is None else requested)
    assert decision.current_usage == (used or 0)
    assert decision.remaining == max(0, 10 - (used or 0))


def test_metered_unlimited_has_no_limit_and_no_remainder() -> None:
    decision = asked(a_document("metered", [a_share(unlimited=True), a_share(limit=1)]), 10**9)
    assert (decision.has_access, decision.is_unlimited) == (True, True)
    assert (decision.usage_limit, decision.remaining) == (None, None)


def test_metered_soft_limit_lets_pass_and_tells_the_limit() -> None:
    decision = asked(a_document("metered", [a_share(limit=5, soft=True)]), 7)
    assert (decision.has_access, decision.has_soft_limit) == (True, True)
    assert (decision.usage_limit, decision.remaining) == (5, 0)


def test_metered_increment_adds_times_quantity() -> None:
    sources = [a_source("a"), a_source("b", quantity=4)]
    shares = [a_share(0, limit=10), a_share(1, limit=5, increment=True)]
    assert asked(a_document("metered", shares, sources)).usage_limit == 30


def test_metered_increment_alone_is_a_limit_of_its_own() -> None:
    shares = [a_share(limit=5, increment=True, reset="day", calendar=True)]
    decision = asked(a_document("metered", shares))
    assert (decision.usage_limit, decision.reset_period) == (5, "day")


def test_metered_increment_unlimited_makes_all_unlimited() -> None:
    shares = [a_share(limit=5), a_share(unlimited=True, increment=True)]
    assert asked(a_document("metered", shares), 99).has_access


def test_metered_period_is_that_of_the_most_generous_override() -> None:
    shares = [a_share(limit=5, reset="day"), a_share(limit=6, reset="hour", calendar=True)]
    decision = asked(a_document("metered", shares))
    start = NOW - NOW % HOUR
    assert (decision.usage_limit, decision.reset_period) == (6, "hour")
    assert (decision.period_start_ms, decision.period_end_ms) == (start, start + HOUR)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (a_share(0, limit=5, reset="hour"), a_share(1, limit=5, reset="month")),
        (a_share(0, limit=5, reset="year"), a_share(1, limit=5)),
        (a_share(0, limit=5, reset="day", calendar=True), a_share(1, limit=5, reset="day")),
        (a_share(1, limit=5, reset="day"), a_share(0, limit=5, reset="day")),
    ],
)
def test_metered_equally_generous_overrides_agree_on_a_period_in_any_order(
    better: ShareDocument, worse: ShareDocument
) -> None:
    sources = [a_source("a", start=NOW - 5 * HOUR), a_source("b", start=NOW - 7 * HOUR)]
    expected = asked(a_document("metered", [better], sources))
    for shares in ([better, worse], [worse, better]):
        decision = asked(a_document("metered", shares, sources))
        assert decision.reset_period == expected.reset_period
        assert decision.period_start_ms == expected.period_start_ms


def test_metered_usage_of_an_earlier_period_does_not_count() -> None:
    document = a_document("metered", [a_share(limit=5, reset="hour", calendar=True)])
    start = NOW - NOW % HOUR
    assert asked(document, 5, since=start).current_usage == 5
    assert asked(document, 5, since=start - HOUR).current_usage == 0


def test_metered_usage_without_reset_counts_for_ever() -> None:
    document = a_document("metered", [a_share(limit=5)])
    assert not asked(document, 5, since=0).has_access


# --- time -----------------------------------------------------------------------------------------------


def test_source_bounds_are_half_open() -> None:
    document = a_document("boolean", [a_share(value=True)], [a_source(start=NOW, end=NOW + 10)])
    assert not asked(document, now=NOW - 1).has_access
    assert asked(document, now=NOW).has_access
    assert asked(document, now=NOW + 9).has_access
    assert not asked(document, now=NOW + 10).has_access


def test_valid_until_is_when_the_source_ends() -> None:
    document = a_document("boolean", [a_share(value=True)], [a_source(end=NOW + 10)])
    assert asked(document).valid_until_ms == NOW + 10
    assert asked(document, now=NOW + 10).valid_until_ms is None


def test_valid_until_is_when_a_source_will_begin() -> None:
    document = a_document("boolean", [a_share(value=True)], [a_source(start=NOW + 10)])
    assert asked(document) == Decision(
        DeniedReason.NO_ACTIVE_SUBSCRIPTION, "boolean", valid_until_ms=NOW + 10
    )


def test_valid_until_passes_over_boundaries_that_change_nothing() -> None:
    sources = [a_source("a", end=NOW + 100), a_source("b", end=NOW + 10)]
    document = a_document("boolean", [a_share(0, value=True)], sources)
    assert asked(document).valid_until_ms == NOW + 100


def test_valid_until_is_the_periods_end_if_nothing_changes_before() -> None:
    document = a_document(
        "metered", [a_share(limit=5, reset="hour", calendar=True)], [a_source(end=NOW + 10 * DAY)]
    )
    assert asked(document).valid_until_ms == NOW - NOW % HOUR + HOUR


def test_valid_until_is_none_if_time_alone_changes_nothing() -> None:
    assert asked(a_document("metered", [a_share(limit=5)])).valid_until_ms is None


def test_decision_after_a_change_in_mid_period_counts_the_same_period() -> None:
    day = 24 * 3_600_000
    shares: list[ShareDocument] = [
        {"source": 0, "limit": 5, "reset": "month"},
        {"source": 1, "limit": 9, "reset": "month"},
    ]
    before: SourceDocument = {"type": "plan", "id": "a", "start": 0, "end": 10 * day}
    after: SourceDocument = {"type": "plan", "id": "b", "start": 10 * day, "anchor": 0}
    document: SnapshotDocument = {
        "version": 1,
        "customer_status": "active",
        "sources": [before, after],
        "features": {"api": {"type": "metered", "shares": shares}},
    }
    usage = {"api": Counter(3, 0)}
    one, other = (
        decide(document, usage, "api", Question(usage=0), now) for now in (9 * day, 11 * day)
    )
    assert (one.usage_limit, other.usage_limit) == (5, 9)
    assert (one.current_usage, one.period_end_ms) == (other.current_usage, other.period_end_ms)
    assert one.valid_until_ms == 10 * day
