from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.errors import FeatureNotMeteredError, InvalidError, NotFoundError
from chalicelib.domain.features import Aggregation, Meter, UsageKind
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshot_documents import epoch_ms
from chalicelib.services.record_event import UsageEvent, record_event
from chalicelib.services.view_usage import MAX_INTERVALS, Interval, view_usage
from tests.factories import ACME, a_limit
from tests.fakes.system import START
from tests.fakes.using import a_user, report
from tests.fakes.world import World

# START is Thursday 2026-01-15, 12:00.
DAY = datetime(2026, 1, 15, tzinfo=UTC)


def usage(
    world: World,
    interval: Interval,
    begin: datetime,
    end: datetime,
    feature_id: str = "calls",
) -> list[int | None]:
    found = view_usage(world.ports, CustomerId(ACME), feature_id, interval, begin, end)
    return [span.usage for span in found]


def busy() -> World:
    world = a_user()
    for ago in (timedelta(), timedelta(minutes=70), timedelta(days=1), timedelta(days=20)):
        report(world, 3, at=START - ago)
    return world


@pytest.mark.parametrize(
    ("interval", "begin", "expected"),
    [
        (Interval.HOUR, START - timedelta(hours=2), [3, 0, 3]),
        (Interval.DAY, DAY - timedelta(days=2), [0, 3, 6]),
        (Interval.WEEK, DAY - timedelta(days=21), [3, 0, 0, 9]),
        (Interval.MONTH, DAY - timedelta(days=21), [3, 9]),
    ],
)
def test_history_sums_each_interval(
    interval: Interval, begin: datetime, expected: list[int]
) -> None:
    assert usage(busy(), interval, begin, START + timedelta(seconds=1)) == expected


def test_intervals_are_whole_and_follow_each_other() -> None:
    [first, second] = view_usage(
        busy().ports, CustomerId(ACME), "calls", Interval.WEEK, DAY - timedelta(days=4), START
    )
    assert first.start_ms == epoch_ms(datetime(2026, 1, 5, tzinfo=UTC))
    assert first.end_ms == second.start_ms == epoch_ms(datetime(2026, 1, 12, tzinfo=UTC))
    assert second.end_ms == epoch_ms(datetime(2026, 1, 19, tzinfo=UTC))


def test_what_goes_up_and_down_has_its_last_value() -> None:
    world = a_user(a_limit("seats", 9), seats=UsageKind.FLUCTUATING)
    report(world, 5, "seats")
    world.clock.advance(hours=1)
    report(world, -2, "seats")
    world.clock.advance(hours=30)
    now = world.clock.now()
    assert usage(world, Interval.HOUR, START, START + timedelta(hours=3), "seats") == [5, 3, None]
    assert usage(world, Interval.DAY, START, now, "seats") == [3, None]


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [(Aggregation.MAX, 9), (Aggregation.MIN, 2), (Aggregation.LATEST, 4), (Aggregation.SUM, 15)],
)
def test_meter_makes_one_number_of_the_hours(aggregation: Aggregation, expected: int) -> None:
    world = a_user(meters={"m": Meter(aggregation=aggregation, property="n")})
    for n in (2, 9, 4):
        event = UsageEvent(customer_id=CustomerId(ACME), name="e", key=str(n), properties={"n": n})
        record_event(world.ports, event)
        world.clock.advance(hours=1)
    assert usage(world, Interval.DAY, START, world.clock.now(), "m") == [expected]


def test_history_that_is_too_long_or_ends_before_it_begins_is_refused() -> None:
    world = busy()
    longest = timedelta(hours=MAX_INTERVALS)
    assert len(usage(world, Interval.HOUR, START - longest, START)) == MAX_INTERVALS
    for begin in (START - longest - timedelta(hours=1), START, START + timedelta(1)):
        with pytest.raises(InvalidError):
            usage(world, Interval.HOUR, begin, START)


def test_history_of_what_is_not_there_is_not_found() -> None:
    world = busy()
    with pytest.raises(NotFoundError):
        usage(world, Interval.DAY, DAY, START, "nothing")
    with pytest.raises(FeatureNotMeteredError):
        usage(world, Interval.DAY, DAY, START, "sso")
    with pytest.raises(NotFoundError):
        view_usage(world.ports, CustomerId("nobody"), "calls", Interval.DAY, DAY, START)
