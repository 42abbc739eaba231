"""Counts are conditional, and in one step with the records that belong to them."""

from collections.abc import Mapping, Sequence

import pytest

from chalicelib.domain.errors import StoreConflictError
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.products import Product
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.usage import (
    Add,
    Count,
    Counter,
    CountHour,
    CountUsage,
    Drop,
    Hold,
    Keep,
    Replace,
    UsageChange,
)
from chalicelib.ports import Absent, AtRevision, Put, Require
from tests.contract.store.worlds import World
from tests.factories import a_product

ACME = CustomerId("acme")
JAN, FEB = 1_767_225_600_000, 1_769_904_000_000
HOUR = 3_600_000
NAME = "api:calls.v2"
HOLD = Hold(counter=NAME, amount=4, period_start_ms=JAN, expires_ms=JAN + 60_000)


@pytest.fixture(autouse=True)
def _snapshot(world: World) -> None:
    world.store.commit(Put(Snapshot(customer_id=ACME, version=1, document="{}"), Absent()))


def counting(*changes: UsageChange) -> list[Count]:
    return [CountUsage(customer_id=ACME, changes=changes)]


def begun(used: int, period: int = JAN, **fields: int) -> Replace:
    return Replace(
        counter=NAME,
        seen=None,
        becomes=Counter(used=used, period_start_ms=period, **fields),
    )


def seen(world: World) -> tuple[Mapping[str, Counter], Mapping[str, Hold]]:
    found = world.reader.read(ACME, consistent=True)
    assert found is not None
    return found.usage, found.holds


def refused(world: World, changes: Sequence[UsageChange]) -> bool:
    """Whether the changes were refused, and then left nothing, of themselves and of what came with them."""
    before = seen(world)
    product = a_product("beside")
    try:
        world.usage.commit(counting(*changes), Put(product, Absent()))
    except StoreConflictError:
        assert seen(world) == before
        assert world.store.get(Product, "beside") is None
        return True
    return False


def test_counter_begins_once(world: World) -> None:
    world.usage.commit(counting(begun(3)))
    assert seen(world) == ({NAME: Counter(3, JAN)}, {})
    assert refused(world, [begun(5)])


def test_add_counts_in_its_period_only(world: World) -> None:
    assert refused(world, [Add(counter=NAME, period_start_ms=JAN, delta=1)])
    world.usage.commit(counting(begun(3)))
    world.usage.commit(counting(Add(counter=NAME, period_start_ms=JAN, delta=2)))
    assert seen(world)[0][NAME].used == 5
    assert refused(world, [Add(counter=NAME, period_start_ms=FEB, delta=1)])
    assert refused(world, [Add(counter="other", period_start_ms=JAN, delta=1)])


def test_add_without_period_begins_the_counter_unless_bounded(world: World) -> None:
    assert refused(world, [Add(counter=NAME, period_start_ms=0, delta=2, at_most=9)])
    world.usage.commit(counting(Add(counter=NAME, period_start_ms=0, delta=2)))
    world.usage.commit(counting(Add(counter=NAME, period_start_ms=0, delta=7, at_most=9)))
    assert seen(world)[0] == {NAME: Counter(9, 0)}


@pytest.mark.parametrize(("delta", "fits"), [(1, True), (2, True), (3, False), (-1, True)])
def test_add_keeps_its_bound(world: World, delta: int, *, fits: bool) -> None:
    world.usage.commit(counting(begun(8)))
    change = Add(counter=NAME, period_start_ms=JAN, delta=delta, at_most=10)
    assert refused(world, [change]) is not fits
    assert seen(world)[0][NAME].used == (8 + delta if fits else 8)


def test_replace_needs_what_was_seen(world: World) -> None:
    world.usage.commit(counting(begun(8, held=2, at_ms=7)))
    stored = Counter(8, JAN, held=2, at_ms=7)
    rolled = Counter(1, FEB)
    for other in (
        Counter(9, JAN, held=2, at_ms=7),
        Counter(8, FEB, held=2, at_ms=7),
        Counter(8, JAN, held=1, at_ms=7),
        Counter(8, JAN, at_ms=7),
        Counter(8, JAN, held=2, at_ms=8),
        Counter(8, JAN, held=2),
    ):
        assert refused(world, [Replace(counter=NAME, seen=other, becomes=rolled)])
    world.usage.commit(counting(Replace(counter=NAME, seen=stored, becomes=rolled)))
    assert seen(world)[0] == {NAME: rolled}


def test_counter_written_without_period_is_one_that_never_resets(world: World) -> None:
    world.use("acme", {NAME: Counter(3, 0)})
    world.usage.commit(counting(Replace(counter=NAME, seen=Counter(3, 0), becomes=Counter(4, 0))))
    world.usage.commit(counting(Add(counter=NAME, period_start_ms=0, delta=1, at_most=5)))
    assert seen(world)[0] == {NAME: Counter(5, 0)}


def test_hold_is_written_down_once_and_struck_out_once(world: World) -> None:
    keep, drop = Keep(reservation_id="r1", hold=HOLD), Drop(reservation_id="r1", hold=HOLD)
    world.usage.commit(counting(begun(4, held=4), keep))
    assert seen(world) == ({NAME: Counter(4, JAN, held=4)}, {"r1": HOLD})
    assert refused(world, [keep])
    other = Hold(counter=NAME, amount=5, period_start_ms=JAN, expires_ms=JAN + 60_000)
    assert refused(world, [Drop(reservation_id="r1", hold=other)])
    back = Add(counter=NAME, period_start_ms=JAN, delta=-4, held=-4)
    world.usage.commit(counting(back, drop))
    assert seen(world) == ({NAME: Counter(0, JAN)}, {})
    assert refused(world, [drop])


def test_one_refused_change_refuses_all(world: World) -> None:
    world.usage.commit(counting(begun(3)))
    good = Add(counter=NAME, period_start_ms=JAN, delta=1)
    bad = Add(counter="other", period_start_ms=JAN, delta=1)
    assert refused(world, [good, bad])


def test_count_depends_on_the_records_that_come_with_it(world: World) -> None:
    stale = Snapshot(customer_id=ACME, version=2, document="")
    with pytest.raises(StoreConflictError):
        world.usage.commit(counting(begun(3)), Require(stale, AtRevision(number=2)))
    with pytest.raises(StoreConflictError):
        world.usage.commit(
            counting(begun(3)), Put(a_product(), Absent()), Put(stale, AtRevision(number=2))
        )
    assert seen(world) == ({}, {})
    current = Snapshot(customer_id=ACME, version=1, document="")
    world.usage.commit(counting(begun(3)), Require(current, AtRevision(number=1)))
    assert seen(world)[0][NAME].used == 3


def hour(at_ms: int, delta: int = 0, value: int | None = None) -> CountHour:
    return CountHour(customer_id=ACME, counter=NAME, hour_ms=at_ms, delta=delta, value=value)


def test_hours_remember_sums_and_values(world: World) -> None:
    for count in (hour(JAN, 2), hour(JAN, 3), hour(JAN + HOUR, value=9), hour(JAN + HOUR, value=7)):
        world.usage.commit([count])
    world.usage.commit([hour(FEB + 23 * HOUR, 1)])
    other = CountHour(customer_id=CustomerId("acm"), counter=NAME, hour_ms=JAN, delta=50)
    longer = CountHour(customer_id=ACME, counter=f"{NAME}/r", hour_ms=JAN, delta=60)
    world.usage.commit([other, longer])
    everything = {JAN: 5, JAN + HOUR: 7, FEB + 23 * HOUR: 1}
    assert world.usage.hours(ACME, NAME, 0, FEB + 30 * 24 * HOUR) == everything
    assert world.usage.hours(ACME, NAME, JAN + HOUR, FEB + 23 * HOUR - 1) == {JAN + HOUR: 7}
    assert world.usage.hours(ACME, "none", 0, FEB) == {}


def test_hours_can_depend_on_what_was_remembered(world: World) -> None:
    def exactly(seen: int | None, value: int) -> CountHour:
        return CountHour(
            customer_id=ACME, counter=NAME, hour_ms=JAN, value=value, is_exact=True, seen=seen
        )

    world.usage.commit([exactly(None, 4)])
    for wrong in (None, 5):
        with pytest.raises(StoreConflictError):
            world.usage.commit([exactly(wrong, 9)])
    world.usage.commit([exactly(4, 6)])
    assert world.usage.hours(ACME, NAME, JAN, JAN) == {JAN: 6}


def test_hours_are_in_one_step_with_the_counter(world: World) -> None:
    world.usage.commit([*counting(begun(1)), hour(JAN, 1)])
    with pytest.raises(StoreConflictError):
        world.usage.commit([*counting(begun(1)), hour(JAN, 1)])
    assert world.usage.hours(ACME, NAME, JAN, JAN) == {JAN: 1}


def test_nothing_is_counted_twice_in_one_commit(world: World) -> None:
    with pytest.raises(ValueError, match="at most 100"):
        world.usage.commit([hour(JAN + number * 24 * HOUR, 1) for number in range(101)])
