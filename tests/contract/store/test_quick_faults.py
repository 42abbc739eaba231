"""Whatever becomes of a hand-signed commit: done once, or refused and said so. On the emulator: it knows tokens."""

import json
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from chalicelib.adapters.dynamodb.quick_store import QuickStore
from chalicelib.adapters.hot_client import HotClient, UnexpectedError
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import StoreConflictError
from chalicelib.domain.features import Feature
from chalicelib.domain.snapshots import Snapshot
from chalicelib.ports import Absent, Anyhow, AtRevision, Delete, Put, Require
from tests.contract.store.faults import faults, lost_answer
from tests.contract.store.records import a_customer, a_feature
from tests.contract.store.test_faults import another_store
from tests.contract.store.worlds import DynamoWorld, QuickWorld
from tests.factories import ACME
from tests.fakes.system import RecordingMonitor

pytestmark = pytest.mark.integration
Fault = Callable[[HotClient, str, bytes], Any]


def never_sent(client: HotClient, operation: str, body: bytes) -> Any:
    raise UnexpectedError("no_connection")


def answer_lost(client: HotClient, operation: str, body: bytes) -> Any:
    client.call(operation, body)
    raise UnexpectedError("timeout")


class Faulty:
    """A client whose commits have this fault."""

    def __init__(self, client: HotClient, fault: Fault) -> None:
        self._client = client
        self._fault = fault

    def call(self, operation: str, body: bytes) -> Any:
        if operation == "TransactWriteItems":
            return self._fault(self._client, operation, body)
        return self._client.call(operation, body)


@pytest.fixture
def quick(emulator_world: DynamoWorld) -> Iterator[QuickWorld]:
    made = QuickWorld(emulator_world.stage, emulator_world.client, emulator_world.endpoint_url)
    yield made
    made.hot_client.close()


def faulty_store(quick: QuickWorld, fault: Fault, ordinary: Any = None) -> QuickStore:
    return QuickStore(
        stage=quick.stage,
        client=cast("HotClient", Faulty(quick.hot_client, fault)),
        ordinary=ordinary or quick.store,
        clock=quick.clock,
        monitor=RecordingMonitor(),
    )


@pytest.mark.parametrize("fault", [never_sent, answer_lost])
def test_commit_is_done_once(quick: QuickWorld, fault: Fault) -> None:
    store = faulty_store(quick, fault)
    store.commit(Put(a_customer(), Absent()), Put(a_feature(), Absent()))
    store.commit(Put(a_customer(version=2), AtRevision(number=1)))
    store.commit(Delete(a_feature(), AtRevision(number=1)), Require(a_customer(), Anyhow()))
    assert quick.store.get(Customer, "acme") == a_customer(version=2)
    assert quick.store.get(Feature, a_feature().id) is None


@pytest.mark.parametrize("fault", [never_sent, answer_lost])
def test_commit_is_done_once_though_the_ordinary_ways_answer_is_lost_as_well(
    quick: QuickWorld, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    with faults(monkeypatch, "TransactWriteItems", [lost_answer]):
        store = faulty_store(quick, fault, another_store(quick))
        store.commit(Put(a_customer(), Absent()))
    assert quick.store.get(Customer, "acme") == a_customer()


@pytest.mark.parametrize("fault", [never_sent, answer_lost])
def test_the_same_commit_anew_is_judged_by_its_condition(quick: QuickWorld, fault: Fault) -> None:
    store = faulty_store(quick, fault)
    store.commit(Put(a_customer(), Absent()))
    with pytest.raises(StoreConflictError):
        store.commit(Put(a_customer(), Absent()))


def test_refused_commit_has_written_nothing(quick: QuickWorld) -> None:
    quick.quick.commit(Put(a_customer(), Absent()))
    with pytest.raises(StoreConflictError):
        quick.quick.commit(Put(a_feature(), Absent()), Put(a_customer(), Absent()))
    assert quick.store.get(Feature, a_feature().id) is None


def test_both_ways_say_the_same_to_the_database(
    quick: QuickWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB knows a repetition by its token and refuses one that asks for anything else."""
    said: list[Any] = []

    def note(client: HotClient, operation: str, body: bytes) -> Any:
        said.append(body)
        raise UnexpectedError("no_connection")

    def heard(request: Any) -> None:
        said.append(request.body)

    with faults(monkeypatch, "TransactWriteItems", [heard]):
        store = faulty_store(quick, note, another_store(quick))
        store.commit(
            Put(a_customer(email="a@b"), Absent()),
            Put(Snapshot(customer_id=ACME, version=1, document="{}"), Absent()),
            Delete(a_feature("x"), Anyhow()),
            Require(a_feature("y"), Absent()),
        )
    by_hand, by_sdk = (json.loads(body) for body in said)
    assert by_hand == by_sdk
