"""Parts of a counter are laid out and counted on condition of the snapshot that was read, in memory as on DynamoDB."""

from dataclasses import replace

import pytest

from chalicelib.domain.errors import StoreConflictError
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshot_documents import SnapshotDocument, document_text
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.usage import (
    Add,
    AddPart,
    Count,
    Counter,
    CountHour,
    CountUsage,
    LayPart,
    Part,
    Replace,
    Rest,
)
from chalicelib.ports import Absent, AtRevision, HotRead, Put
from tests.contract.store.worlds import World

ACME = CustomerId("acme")
JAN, FEB = 1_767_225_600_000, 1_769_904_000_000
HOUR = 3_600_000


def a_snapshot(version: int, total: int = 2) -> Snapshot:
    document: SnapshotDocument = {
        "version": version,
        "customer_status": "active",
        "sources": [],
        "features": {},
        "shards": {"calls": [total, total]},
    }
    return Snapshot(customer_id=ACME, version=version, document=document_text(document))


def laid(shard: int, **fields: object) -> LayPart:
    lay = LayPart(
        customer_id=ACME,
        counter="calls",
        shard=shard,
        version=1,
        seen=0,
        number=1,
        layout="L",
        period_start_ms=JAN,
        begins=True,
    )
    return replace(lay, **fields)  # type: ignore[arg-type]


def added(delta: int, shard: int = 1, **fields: object) -> AddPart:
    add = AddPart(customer_id=ACME, counter="calls", shard=shard, version=1, number=1, delta=delta)
    return replace(add, **fields)  # type: ignore[arg-type]


def seen(world: World) -> HotRead:
    found = world.reader.read(ACME, consistent=True)
    assert found is not None
    return found


def refused(world: World, *counts: Count) -> bool:
    before = seen(world)
    try:
        world.usage.commit(counts)
    except StoreConflictError:
        assert seen(world) == before
        return True
    return False


@pytest.fixture(autouse=True)
def _spread(world: World) -> None:
    rest = Replace(counter="calls", seen=None, becomes=Counter(5, -1 - JAN))
    world.store.commit(Put(a_snapshot(1), Absent()))
    world.usage.commit([CountUsage(customer_id=ACME, changes=(rest,))])


def test_sum_of_all_parts_and_of_what_rests_is_read(world: World) -> None:
    assert seen(world).usage["calls"] == Counter(5, JAN)
    world.usage.commit([laid(1), laid(2)])
    world.usage.commit([added(3)])
    world.usage.commit([added(4, shard=2)])
    assert seen(world).usage["calls"] == Counter(12, JAN)
    world.usage.commit([laid(1, seen=1, number=2, period_start_ms=FEB)])
    assert seen(world).usage["calls"] == Counter(0, FEB)


def test_part_is_counted_in_its_layout_up_to_its_bound(world: World) -> None:
    assert refused(world, added(1))
    world.usage.commit([laid(1), laid(2)])
    assert refused(world, laid(1))
    world.usage.commit([added(3, at_most=3, seen=0)])
    assert refused(world, added(1, at_most=3))
    assert refused(world, added(1, seen=2))
    assert refused(world, added(1, number=2))
    assert refused(world, added(1), added(1, shard=2, at_most=0))
    world.usage.commit([laid(1, seen=1, number=2, layout="M", begins=False)])
    part = Part(used=3, period_start_ms=JAN, base=3, number=2, layout="M")
    assert seen(world).shards[1].parts["calls"] == part


def test_changed_snapshot_refuses_what_was_read_before(world: World) -> None:
    world.usage.commit([laid(1), laid(2)])
    world.store.commit(Put(a_snapshot(2, total=3), AtRevision(number=1)))
    assert refused(world, added(1))
    assert refused(world, laid(2, seen=1, number=2))
    world.usage.commit([added(1, version=2)])
    assert {number: shard.version for number, shard in seen(world).shards.items() if number} == {
        1: 2,
        2: 2,
        3: 2,
    }


def test_what_rests_is_counted_up_no_more(world: World) -> None:
    def changing(*changes: Add | Rest) -> CountUsage:
        return CountUsage(customer_id=ACME, changes=changes)

    begun = Replace(counter="other", seen=None, becomes=Counter(4, 0))
    world.usage.commit([CountUsage(customer_id=ACME, changes=(begun,))])
    assert refused(world, changing(Rest(counter="other", period_start_ms=JAN)))
    world.usage.commit([changing(Rest(counter="other", period_start_ms=0))])
    assert refused(world, changing(Add(counter="other", period_start_ms=0, delta=1)))
    assert seen(world).usage["other"] == Counter(4, 0)


def test_hours_of_all_shards_are_put_together(world: World) -> None:
    hour = CountHour(customer_id=ACME, counter="calls", hour_ms=JAN, delta=2)
    world.usage.commit([hour])
    world.usage.commit([replace(hour, shard=1), replace(hour, shard=2, hour_ms=JAN + HOUR)])
    assert world.usage.hours(ACME, "calls", JAN, JAN + HOUR) == {JAN: 4, JAN + HOUR: 2}
    assert world.usage.hours(ACME, "calls", JAN, JAN) == {JAN: 4}
