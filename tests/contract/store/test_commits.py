"""A commit is done whole, on its conditions, or leaves nothing behind."""

from dataclasses import replace

import pytest

from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import InvalidError, StoreConflictError
from chalicelib.domain.features import Feature
from chalicelib.domain.plans import PackageVersion
from chalicelib.domain.snapshots import Snapshot
from chalicelib.ports import (
    Absent,
    Anyhow,
    AtRevision,
    Condition,
    Delete,
    Put,
    Record,
    Require,
    Write,
)
from tests.contract.store.records import a_customer, a_feature, a_version
from tests.contract.store.worlds import World

NOW = AtRevision(number=3)
BEFORE = AtRevision(number=2)
AFTER = AtRevision(number=4)
STORED = a_feature(version=3, name="stored")
OTHER = a_customer("other")
WRITES = [Put, Delete, Require]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("condition", [Absent(), BEFORE, AFTER, AtRevision(number=0)])
def test_condition_that_does_not_hold_of_a_stored_record_refuses_everything(
    world: World, write: type[Write], condition: Condition
) -> None:
    world.store.commit(Put(STORED, Absent()))

    with pytest.raises(StoreConflictError):
        world.store.commit(
            Put(OTHER, Absent()), write(replace(STORED, name="new", version=4), condition)
        )

    assert world.store.get(Feature, "seats") == STORED
    assert world.store.get(Customer, "other") is None


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("condition", [NOW, AtRevision(number=0)])
def test_revision_of_a_missing_record_refuses_everything(
    world: World, write: type[Write], condition: Condition
) -> None:
    with pytest.raises(StoreConflictError):
        world.store.commit(write(STORED, condition), Put(OTHER, Absent()))
    assert world.store.get(Feature, "seats") is None
    assert world.store.get(Customer, "other") is None


@pytest.mark.parametrize("condition", [NOW, Anyhow()])
def test_condition_that_holds_of_a_stored_record_lets_it_be_written(
    world: World, condition: Condition
) -> None:
    world.store.commit(Put(STORED, Absent()))
    changed = replace(STORED, name="new", version=4)

    world.store.commit(Require(STORED, condition), Put(OTHER, Absent()))
    world.store.commit(Put(changed, condition))
    assert world.store.get(Feature, "seats") == changed

    world.store.commit(Delete(changed, AFTER if condition is NOW else condition))
    assert world.store.get(Feature, "seats") is None
    assert world.store.get(Customer, "other") == OTHER


@pytest.mark.parametrize("condition", [Absent(), Anyhow()])
def test_condition_that_holds_of_a_missing_record_lets_it_be_written(
    world: World, condition: Condition
) -> None:
    world.store.commit(Require(STORED, condition), Put(OTHER, Absent()))
    world.store.commit(Delete(STORED, condition))
    assert world.store.get(Feature, "seats") is None
    world.store.commit(Put(STORED, condition))
    assert world.store.get(Feature, "seats") == STORED


def test_whole_record_is_replaced_and_nothing_of_the_old_one_stays(world: World) -> None:
    world.store.commit(Put(a_customer(email="a@example.test", name="A"), Absent()))
    world.store.commit(Put(a_customer(version=2), AtRevision(number=1)))
    assert world.store.get(Customer, "acme") == a_customer(version=2)
    assert world.store.find_by(Customer, "email", "a@example.test").items == ()


def test_commit_of_nothing_is_done(world: World) -> None:
    world.store.commit()
    world.store.commit(Require(STORED, Anyhow()))


def test_commit_over_all_three_tables_is_one(world: World) -> None:
    snapshot = Snapshot(customer_id=OTHER.id, version=7, document="{}")
    writes = (Put(STORED, Absent()), Put(OTHER, Absent()), Put(snapshot, Absent()))
    with pytest.raises(StoreConflictError):
        world.store.commit(*writes, Require(a_feature("x"), NOW))
    assert world.store.get(Snapshot, "other") is None
    world.store.commit(*writes)
    with pytest.raises(StoreConflictError):
        world.store.commit(Put(replace(snapshot, version=9), AtRevision(number=8)))
    assert world.store.get(Snapshot, "other") == snapshot


def test_hundred_writes_are_one_commit(world: World) -> None:
    writes = [Put(a_version(number=number), Absent()) for number in range(100)]
    world.store.commit(*writes)
    assert len(world.store.list_within(PackageVersion, "plan", "pro").items) == 100
    with pytest.raises(StoreConflictError):
        world.store.commit(
            *(Put(a_version("new", number), Absent()) for number in range(99)),
            Put(a_version(number=99), Absent()),
        )
    assert world.store.list_within(PackageVersion, "plan", "new").items == ()


def test_hundred_and_one_writes_are_refused(world: World) -> None:
    writes = [Put(a_version(number=number), Absent()) for number in range(101)]
    with pytest.raises(ValueError, match="at most 100"):
        world.store.commit(*writes)
    assert world.store.get(PackageVersion, *writes[0].record.identity) is None


@pytest.mark.parametrize("second", WRITES)
def test_record_named_twice_is_refused(world: World, second: type[Write]) -> None:
    with pytest.raises(ValueError, match="no record twice"):
        world.store.commit(Put(STORED, Absent()), second(replace(STORED, name="b"), Absent()))
    assert world.store.get(Feature, "seats") is None


@pytest.mark.parametrize(
    "record",
    [
        a_feature(name="x" * 409_600),
        a_feature(name="é" * 205_000),
        a_customer(metadata={"k": "\n" * 205_000}),  # each is two characters of JSON
        Snapshot(customer_id=OTHER.id, version=1, document="x" * 409_600),
    ],
    ids=["ascii", "bytes", "escapes", "snapshot"],
)
def test_record_over_400_kb_is_too_large(world: World, record: Record) -> None:
    with pytest.raises(InvalidError) as caught:
        world.store.commit(Put(a_feature("small"), Absent()), Put(record, Absent()))
    assert caught.value.violations[0].code == "too_large"
    assert world.store.get(Feature, "small") is None


def test_record_of_just_under_400_kb_is_stored(world: World) -> None:
    large = a_feature(name="x" * 404_000)  # moto draws the line at 405,000
    world.store.commit(Put(large, Absent()))
    assert world.store.get(Feature, "seats") == large


def test_commit_over_4_mb_is_too_large_and_nothing_is_written(world: World) -> None:
    # Each of them fits; DynamoDB bounds what a transaction holds as well.
    records = [a_customer(f"c{number}", name="x" * 390_000) for number in range(11)]
    with pytest.raises(InvalidError) as caught:
        world.store.commit(*(Put(record, Absent()) for record in records))
    assert [violation.code for violation in caught.value.violations] == ["too_large"]
    assert world.store.get(Customer, "c0") is None
