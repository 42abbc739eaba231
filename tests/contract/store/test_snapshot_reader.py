"""A check reads what the store has committed, in one request of half a read unit."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.adapters.dynamodb.keys import Table
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshots import Snapshot
from chalicelib.ports import Absent, AtRevision, Counter, HotRead, Put
from tests.contract.store.records import a_customer
from tests.contract.store.worlds import DynamoWorld, World

ACME = CustomerId("acme")
SNAPSHOT = Snapshot(customer_id=ACME, version=1, document='{"é":"\\u00e9"}')


@pytest.mark.parametrize("consistent", [False, True])
def test_customer_without_a_snapshot_is_none(world: World, *, consistent: bool) -> None:
    world.store.commit(Put(a_customer(), Absent()))
    world.use("acme", {"seats": Counter(used=1, period_start_ms=0)})
    for customer_id in ("acme", "nobody", "", "x" * 5000, "\ud800"):
        assert world.reader.read(CustomerId(customer_id), consistent=consistent) is None


@pytest.mark.parametrize("consistent", [False, True])
def test_snapshot_is_read_as_the_text_that_was_committed(world: World, *, consistent: bool) -> None:
    world.store.commit(Put(SNAPSHOT, Absent()), Put(a_customer(), Absent()))
    assert world.reader.read(ACME, consistent=consistent) == HotRead(SNAPSHOT.document, {})
    newer = Snapshot(customer_id=ACME, version=2, document="{}")
    world.store.commit(Put(newer, AtRevision(number=1)))
    assert world.reader.read(ACME, consistent=consistent) == HotRead("{}", {})


def test_usage_counters_are_read_with_their_period_starts(world: World) -> None:
    usage = {
        "seats": Counter(used=3, period_start_ms=0),
        "api:calls.v2": Counter(used=10**18, period_start_ms=1_768_478_400_000),
        "refunds": Counter(used=-2, period_start_ms=0),
    }
    world.store.commit(Put(SNAPSHOT, Absent()))
    world.use("acme", usage)
    assert world.reader.read(ACME, consistent=True) == HotRead(SNAPSHOT.document, usage)


def test_other_customers_are_not_read(world: World) -> None:
    for name in ("a", "a.b", "ab", "a#b"):
        snapshot = Snapshot(customer_id=CustomerId(name), version=1, document=name)
        world.store.commit(Put(snapshot, Absent()))
    for name in ("a", "a.b", "ab", "a#b"):
        found = world.reader.read(CustomerId(name), consistent=True)
        assert found is not None
        assert found.document == name


def test_hot_items_of_a_later_release_are_passed_over(dynamo: DynamoWorld) -> None:
    dynamo.store.commit(Put(SNAPSHOT, Absent()))
    for sort in ("HOT#USE#2", "HOT#A", "HOT#Z"):
        row = {"pk": {"S": "CUST#acme"}, "sk": {"S": sort}, "u:seats": {"N": "9"}}
        dynamo.put_row(Table.CUSTOMERS, row)
    assert dynamo.reader.read(ACME, consistent=True) == HotRead(SNAPSHOT.document, {})


@contextmanager
def _answers(client: Any) -> Iterator[list[dict[str, Any]]]:
    """Each request of the client as what it was answered."""
    seen: list[dict[str, Any]] = []

    def ask(params: dict[str, Any], **_: Any) -> None:
        params["ReturnConsumedCapacity"] = "TOTAL"

    def note(parsed: dict[str, Any], **_: Any) -> None:
        seen.append(parsed)

    client.meta.events.register("provide-client-params.dynamodb.Query", ask)
    client.meta.events.register("after-call.dynamodb", note)
    yield seen
    client.meta.events.unregister("after-call.dynamodb", note)


@pytest.mark.parametrize(("consistent", "units"), [(False, 0.5), (True, 1.0)])
@pytest.mark.integration
def test_read_is_one_request_of_half_a_unit(
    emulator_world: DynamoWorld, *, consistent: bool, units: float
) -> None:
    emulator_world.store.commit(
        Put(Snapshot(customer_id=ACME, version=1, document="x" * 3000), Absent()),
        Put(a_customer(metadata={"not": "read" * 1000}), Absent()),
    )
    usage = {f"feature{number}": Counter(used=1, period_start_ms=0) for number in range(20)}
    emulator_world.use("acme", usage)
    with _answers(emulator_world.reader._client) as answers:
        emulator_world.reader.read(ACME, consistent=consistent)
    [answer] = answers
    assert answer["ConsumedCapacity"]["CapacityUnits"] == units
