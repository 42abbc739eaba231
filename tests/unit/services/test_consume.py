from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.decisions import DeniedReason
from chalicelib.domain.entitlements import ResetAnchor, ResetPeriod
from chalicelib.domain.errors import IdempotencyKeyReusedError, UsageReportedByEventsError
from chalicelib.domain.features import Aggregation, Meter, UsageKind
from chalicelib.domain.snapshot_documents import document_of, document_text, epoch_ms
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.usage import Counter
from chalicelib.domain.usage_records import UsageRecord
from chalicelib.ports import Anyhow, Put
from chalicelib.services.consume import Consumption, consume
from tests.factories import ACME, a_limit
from tests.fakes.system import START
from tests.fakes.using import a_user, report, take, used
from tests.fakes.world import World

OVER = DeniedReason.REQUESTED_USAGE_EXCEEDING_LIMIT


def lower(world: World, limit: int) -> None:
    """Somebody changes the customer's limit."""
    held = world.snapshot()
    document = document_of(held.document)
    document["version"] += 1
    document["features"]["calls"]["shares"][0]["limit"] = limit
    changed = replace(held, document=document_text(document), version=held.version + 1)
    world.store.commit(Put(changed, Anyhow()))


def test_yes_is_counted_and_tells_the_state_after_it() -> None:
    world = a_user()
    decision = take(world, 4).decision
    assert decision.has_access
    assert (decision.requested_usage, decision.current_usage, decision.remaining) == (4, 4, 6)
    assert used(world) == 4
    assert world.ports.usage.hours(ACME, "calls", 0, epoch_ms(START)) == {epoch_ms(START): 4}


def test_no_tells_why_and_leaves_nothing() -> None:
    world = a_user()
    take(world, 8)
    before = dict(world.store.records)
    decision = take(world, 3).decision
    assert (decision.denied_reason, decision.current_usage) == (OVER, 8)
    assert used(world) == 8
    assert world.store.records == before
    assert take(world, 2).decision.has_access


def test_limit_can_be_used_up_exactly() -> None:
    world = a_user()
    assert take(world, 10).decision.remaining == 0
    assert take(world, 1).decision.denied_reason is OVER


def test_denials_are_those_of_the_check() -> None:
    world = a_user()
    for feature_id, reason in (
        ("nothing", DeniedReason.FEATURE_NOT_FOUND),
        ("other", DeniedReason.NO_FEATURE_ENTITLEMENT),
    ):
        assert take(world, 1, feature_id).decision.denied_reason is reason
    stranger = Consumption(customer_id="nobody", feature_id="calls", amount=1, key="k")  # type: ignore[arg-type]
    assert consume(world.ports, stranger).decision.denied_reason is DeniedReason.CUSTOMER_NOT_FOUND
    assert world.store.all(UsageRecord) == []


def test_feature_with_a_meter_is_not_consumed() -> None:
    world = a_user(meters={"tokens": Meter(aggregation=Aggregation.COUNT)})
    with pytest.raises(UsageReportedByEventsError):
        take(world, 1, "tokens")


def test_key_counts_once_and_is_answered_alike_even_when_nothing_is_left() -> None:
    world = a_user()
    first = take(world, 10, key="k")
    assert take(world, 10, key="k") == first
    assert used(world) == 10
    with pytest.raises(IdempotencyKeyReusedError):
        take(world, 9, key="k")
    with pytest.raises(IdempotencyKeyReusedError):
        report(world, 10, key="k")


def test_denial_is_not_remembered() -> None:
    world = a_user()
    assert not take(world, 11, key="k").decision.has_access
    assert take(world, 5, key="k").decision.has_access


def test_soft_limit_and_no_limit_count_on() -> None:
    world = a_user(a_limit("calls", 10, has_soft_limit=True), a_limit("free", None))
    assert take(world, 25).decision.has_access
    assert take(world, 5).decision.current_usage == 30
    assert take(world, 10**9, "free").decision.has_access


def test_fluctuating_feature_keeps_its_limit() -> None:
    world = a_user(a_limit("seats", 3), seats=UsageKind.FLUCTUATING)
    assert take(world, 3, "seats").decision.has_access
    assert not take(world, 1, "seats").decision.has_access
    report(world, -1, "seats")
    assert take(world, 1, "seats").decision.current_usage == 3


def test_limit_lowered_in_between_is_the_one_that_counts() -> None:
    world = a_user()
    take(world, 4)

    def change(_: object) -> None:
        world.store.before_commit = None
        lower(world, 5)

    world.store.before_commit = change
    decision = take(world, 3).decision
    assert (decision.denied_reason, decision.usage_limit) == (OVER, 5)
    assert used(world) == 4


def test_period_that_ends_in_between_is_not_counted_in_any_more() -> None:
    world = a_user(
        a_limit("calls", 10, reset_period=ResetPeriod.HOUR, reset_anchor=ResetAnchor.CALENDAR)
    )
    take(world, 8)

    def next_hour(_: object) -> None:
        world.store.before_commit = None
        world.clock.advance(hours=1)
        take(world, 9)

    world.store.before_commit = next_hour
    assert take(world, 2).decision.denied_reason is OVER
    hour = epoch_ms(START + timedelta(hours=1))
    assert world.reader.usage[ACME]["calls"] == Counter(9, hour)


def test_report_counts_when_the_snapshot_changes_in_between() -> None:
    world = a_user()
    world.store.before_commit = lambda _: _change_once(world)
    assert report(world, 3).state.usage_limit == 10
    assert used(world) == 3


def _change_once(world: World) -> None:
    world.store.before_commit = None
    lower(world, 5)
    assert world.store.get(Snapshot, ACME) is not None
