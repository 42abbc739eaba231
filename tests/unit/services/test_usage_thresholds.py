import pytest

from chalicelib.adapters.dynamodb.layouts import LAYOUTS
from chalicelib.domain.entitlements import ResetAnchor, ResetPeriod
from chalicelib.domain.features import Aggregation, Meter
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.outbound_events import OutboundEvent, OutboundType
from chalicelib.ports import QueueName
from chalicelib.services.record_event import UsageEvent, record_event
from tests.factories import ACME, a_limit
from tests.fakes.using import a_user, report, take
from tests.fakes.world import World


def told(world: World) -> list[tuple[object, object]]:
    return [
        (event.data["threshold_percent"], event.data["current_usage"])
        for event in sorted(world.store.all(OutboundEvent), key=lambda event: event.created_at)
        if event.type is OutboundType.USAGE_THRESHOLD_REACHED
    ]


def test_each_part_is_told_once_when_it_is_reached() -> None:
    world = a_user()
    for amount, expected in ((7, []), (1, [80]), (1, [80]), (1, [80, 100]), (5, [80, 100])):
        report(world, amount)
        world.clock.advance(seconds=1)
        assert [percent for percent, _ in told(world)] == expected


def test_both_parts_at_once_and_by_consuming_too() -> None:
    world = a_user()
    take(world, 10)
    assert sorted(told(world)) == [(80, 10), (100, 10)]
    sent = [one for one in world.queue.messages if one.queue is QueueName.DELIVER]
    assert sent


def test_events_of_a_meter_tell_too() -> None:
    world = a_user(a_limit("m", 10), meters={"m": Meter(aggregation=Aggregation.SUM, property="n")})
    event = UsageEvent(customer_id=CustomerId(ACME), name="e", key="k", properties={"n": 9})
    record_event(world.ports, event)
    assert told(world) == [(80, 9)]


def test_next_period_tells_again() -> None:
    limit = a_limit("calls", 10, reset_period=ResetPeriod.DAY, reset_anchor=ResetAnchor.CALENDAR)
    world = a_user(limit)
    report(world, 8)
    world.clock.advance(days=1)
    report(world, 8)
    assert told(world) == [(80, 8), (80, 8)]


def test_part_is_not_missed_when_two_count_at_once() -> None:
    world = a_user()
    report(world, 1)

    def another(_: object) -> None:
        world.store.before_commit = None
        report(world, 4)

    world.store.before_commit = another
    report(world, 4)
    assert told(world) == []  # neither has seen the other, but the next one sees both
    report(world, 0)
    assert told(world) == [(80, 9)]


def test_what_has_no_limit_tells_nothing() -> None:
    world = a_user(a_limit("calls", None))
    report(world, 10**6)
    report(world, 5, "other")
    assert told(world) == []


@pytest.mark.parametrize(
    ("reset", "days"), [(None, 36_500), (ResetPeriod.YEAR, 380), (ResetPeriod.DAY, 30)]
)
def test_event_is_kept_until_its_period_is_over(reset: ResetPeriod | None, days: int) -> None:
    anchor = None if reset is None else ResetAnchor.CALENDAR
    world = a_user(a_limit("calls", 10, reset_period=reset, reset_anchor=anchor))
    report(world, 8)
    [event] = [one for one in world.store.all(OutboundEvent) if one.data.get("usage_limit")]
    expires_at = LAYOUTS[OutboundEvent].expires_at
    assert expires_at is not None
    until = expires_at(event)
    assert until is not None
    assert (until - event.created_at).days == days
