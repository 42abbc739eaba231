import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.entitlements import ResetAnchor, ResetPeriod
from chalicelib.domain.errors import (
    ArchivedError,
    IdempotencyKeyReusedError,
    InvalidError,
    NotFoundError,
)
from chalicelib.domain.features import Aggregation, Lifecycle, Meter, MeterCondition, UsageKind
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshot_documents import epoch_ms
from chalicelib.domain.usage_records import UniqueValue, UsageRecord
from chalicelib.services.manage_customers import set_customer_status
from chalicelib.services.record_event import MAX_METERS, Recorded, UsageEvent, record_event
from tests.factories import ACME, a_feature, a_limit
from tests.fakes.system import START
from tests.fakes.using import a_user, used
from tests.fakes.world import World, a_cause

KEYS = itertools.count()


def metered(aggregation: Aggregation, **fields: Any) -> World:
    """The feature `m`, by the calendar's month."""
    prop = None if aggregation is Aggregation.COUNT else "n"
    meter = Meter(aggregation=aggregation, property=prop)
    world = World()
    world.put(a_feature("m", meter=meter, **fields))
    limit = a_limit("m", 100, reset_period=ResetPeriod.MONTH, reset_anchor=ResetAnchor.CALENDAR)
    return a_user(limit, a_limit("calls", 10), into=world)


def send(
    world: World,
    n: Any = None,
    *,
    key: str | None = None,
    at: datetime | None = None,
    name: str = "job",
    customer_id: str = ACME,
    **properties: Any,
) -> Recorded:
    if n is not None:
        properties["n"] = n
    event = UsageEvent(
        customer_id=CustomerId(customer_id),
        name=name,
        key=key or f"k{next(KEYS)}",
        properties=properties,
        at=at,
    )
    return record_event(world.ports, event)


def hours(world: World, feature_id: str = "m") -> list[int]:
    found = world.ports.usage.hours(ACME, feature_id, 0, epoch_ms(START) * 2)
    return [number for _, number in sorted(found.items())]


@pytest.mark.parametrize(
    ("aggregation", "values", "expected"),
    [
        (Aggregation.SUM, [3, 4, 0], 7),
        (Aggregation.COUNT, [3, 4, 0], 3),
        (Aggregation.UNIQUE, ["a", "b", "a", 1, "1"], 4),
        (Aggregation.MAX, [3, 9, 4], 9),
        (Aggregation.MIN, [3, 2, 4], 2),
        (Aggregation.LATEST, [3, 9, 4], 4),
    ],
)
def test_meter_makes_one_number_of_all_events(
    aggregation: Aggregation, values: list[Any], expected: int
) -> None:
    world = metered(aggregation)
    for value in values:
        send(world, value)
    assert used(world, "m") == expected
    assert hours(world) == [expected]


@given(
    st.sampled_from([Aggregation.SUM, Aggregation.MAX, Aggregation.MIN, Aggregation.UNIQUE]),
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
def test_order_and_duplicates_do_not_matter(
    aggregation: Aggregation, sent: list[tuple[int, int]], chance: Any
) -> None:
    events = [(value, f"key{number}", hour) for number, (value, hour) in enumerate(sent)]
    shuffled = [*events, *chance.sample(events, len(events) // 2)]
    chance.shuffle(shuffled)
    results = []
    for order in (events, shuffled):
        world = metered(aggregation)
        world.clock.advance(hours=6)
        for value, key, hour in order:
            send(world, value, key=key, at=START + timedelta(hours=hour))
        results.append(used(world, "m"))
        if (
            aggregation is not Aggregation.UNIQUE
        ):  # the hour in which it is new depends on the order
            results.append(hours(world))  # type: ignore[arg-type]
    half = len(results) // 2
    assert results[:half] == results[half:]


def test_latest_is_by_the_time_of_the_event_and_not_of_its_coming() -> None:
    world = metered(Aggregation.LATEST)
    world.clock.advance(hours=5)
    send(world, 7, at=START + timedelta(hours=3))
    send(world, 5, at=START + timedelta(hours=1))
    assert used(world, "m") == 7
    assert hours(world) == [5, 7]
    send(world, 6, at=START + timedelta(hours=3))
    assert used(world, "m") == 6


def test_one_event_feeds_every_feature_whose_meter_looks_at_it() -> None:
    world = metered(Aggregation.SUM)
    only = (MeterCondition(property="event_name", op="equals", value="job"),)
    world.put(
        a_feature("jobs", meter=Meter(aggregation=Aggregation.COUNT, filters=(only,))),
        a_feature("users", meter=Meter(aggregation=Aggregation.UNIQUE, property="user")),
    )
    assert send(world, 5, user="u1").counted == {"jobs": 1, "m": 5, "users": 1}
    assert send(world, 5, user="u1", name="call").counted == {"m": 5, "users": 0}
    assert send(world, name="call").counted == {}
    assert used(world, "m") == 10


def test_event_without_the_property_says_nothing() -> None:
    world = metered(Aggregation.MAX)
    assert send(world, None, other=5).counted == {}
    assert hours(world) == []


def test_event_is_counted_once_for_its_key() -> None:
    world = metered(Aggregation.SUM)
    first = send(world, 5, key="k")
    again = send(world, 5, key="k")
    assert (again.counted, again.is_replay) == (first.counted, True)
    assert used(world, "m") == 5
    with pytest.raises(IdempotencyKeyReusedError):
        send(world, 6, key="k")


@pytest.mark.parametrize(
    ("aggregation", "now", "then"),
    [
        (Aggregation.SUM, 1, [5, 1]),
        (Aggregation.COUNT, 1, [1, 1]),
        (Aggregation.UNIQUE, 1, [1, 1]),
        (Aggregation.MAX, 1, [5, 1]),
        (Aggregation.MIN, 1, [5, 1]),
        (Aggregation.LATEST, 1, [5, 1]),
    ],
)
def test_event_of_a_period_that_is_over_is_remembered_in_its_hour_alone(
    aggregation: Aggregation, now: int, then: list[int]
) -> None:
    world = metered(aggregation)
    world.clock.advance(days=20)
    send(world, 1)
    late = send(world, 5, at=START)
    assert late.counted == {"m": 0}
    assert used(world, "m") == now
    assert hours(world) == then


def test_value_is_unique_in_each_period_anew() -> None:
    world = metered(Aggregation.UNIQUE)
    send(world, "a")
    world.clock.advance(days=20)
    assert used(world, "m") == 0
    send(world, "a")
    assert send(world, "a", at=START).counted == {"m": 0}
    assert (used(world, "m"), hours(world)) == (1, [1, 1])
    ends = {value.period_start_ms: value.expires_at for value in world.store.all(UniqueValue)}
    assert len(ends) == 2
    assert all(end is not None for end in ends.values())


def test_highest_and_lowest_begin_anew_with_the_period() -> None:
    for aggregation in (Aggregation.MAX, Aggregation.MIN):
        world = metered(aggregation)
        send(world, 5)
        world.clock.advance(days=20)
        send(world, 6)
        send(world, 6)
        assert used(world, "m") == 6


def test_sum_of_what_goes_up_and_down_may_fall_but_not_below_none() -> None:
    world = metered(Aggregation.SUM, usage_kind=UsageKind.FLUCTUATING)
    send(world, 5)
    send(world, -3)
    assert (used(world, "m"), hours(world)) == (2, [2])
    with pytest.raises(InvalidError):
        send(world, -3)
    world.clock.advance(days=20)
    send(world, 1)
    assert send(world, 5, at=START).counted == {"m": 0}
    assert used(world, "m") == 1


@pytest.mark.parametrize("aggregation", [Aggregation.SUM, Aggregation.MAX, Aggregation.LATEST])
def test_event_with_a_wrong_value_is_refused_and_changes_nothing(aggregation: Aggregation) -> None:
    world = metered(aggregation)
    for value in ("5", 1.5, True, -1):
        with pytest.raises(InvalidError) as error:
            send(world, value)
        assert error.value.violations[0].param == "properties.n"
    assert world.reader.usage == {}
    assert world.store.all(UsageRecord) == []


def test_event_that_one_meter_refuses_is_counted_by_none() -> None:
    world = metered(Aggregation.SUM)
    world.put(a_feature("aa", meter=Meter(aggregation=Aggregation.COUNT)))
    with pytest.raises(InvalidError):
        send(world, "wrong")
    assert world.reader.usage == {}


def test_event_of_nobody_or_of_an_impossible_time_is_refused() -> None:
    world = metered(Aggregation.SUM)
    with pytest.raises(NotFoundError):
        send(world, 1, customer_id="nobody")
    for at, code in ((START - timedelta(days=36), "too_old"), (START + timedelta(1), "in_future")):
        with pytest.raises(InvalidError) as error:
            send(world, 1, at=at)
        assert error.value.violations[0].code == code
    set_customer_status(world.ports, a_cause("archive"), CustomerId(ACME), Lifecycle.ARCHIVED)
    with pytest.raises(ArchivedError):
        send(world, 1)


def test_event_that_too_many_meters_look_at_is_refused() -> None:
    world = metered(Aggregation.SUM)
    world.put(
        *(
            a_feature(f"c{number}", meter=Meter(aggregation=Aggregation.COUNT))
            for number in range(MAX_METERS + 1)
        )
    )
    with pytest.raises(InvalidError) as error:
        send(world, 1)
    assert error.value.violations[0].code == "too_many_meters"


def test_highest_is_right_when_another_event_comes_in_between() -> None:
    world = metered(Aggregation.MAX)
    send(world, 1)

    def another(_: object) -> None:
        world.store.before_commit = None
        send(world, 9)

    world.store.before_commit = another
    send(world, 5)
    assert (used(world, "m"), hours(world)) == (9, [9])
