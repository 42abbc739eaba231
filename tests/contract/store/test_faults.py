"""Whatever happens on the way to the database and back: done once, or not done and said so.

What the database itself may answer is in tests/unit/adapters/dynamodb. Moto does not know client tokens.
"""

import pytest

from chalicelib.adapters.dynamodb.store import DynamoStore
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import StoreConflictError, StoreUnavailableError
from chalicelib.ports import Absent, AtRevision, Delete, Put
from tests.contract.store.faults import Handler, faults, lost_answer, timed_out
from tests.contract.store.worlds import REGION, DynamoWorld
from tests.factories import a_customer
from tests.nobody import nobody

pytestmark = pytest.mark.integration
WRITE = "TransactWriteItems"


def another_store(world: DynamoWorld) -> DynamoStore:
    """A second process's store of the same environment, with a client of its own."""
    return DynamoStore(
        stage=world.stage, region=REGION, endpoint_url=world.endpoint_url, clock=world.clock
    )


@pytest.mark.parametrize("fault", [lost_answer, timed_out])
@pytest.mark.parametrize("times", [1, 2])
def test_a_commit_whose_answer_was_lost_succeeds_once(
    emulator_world: DynamoWorld, monkeypatch: pytest.MonkeyPatch, fault: Handler, times: int
) -> None:
    with faults(monkeypatch, WRITE, [fault] * times) as requests:
        store = another_store(emulator_world)
        store.commit(Put(a_customer(), Absent()))
        store.commit(Put(a_customer(version=2), AtRevision(number=1)))
    assert emulator_world.store.get(Customer, "acme") == a_customer(version=2)
    assert requests.count(WRITE) == 2 + times


def test_a_delete_whose_answer_was_lost_succeeds_once(
    emulator_world: DynamoWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator_world.store.commit(Put(a_customer(), Absent()))
    with faults(monkeypatch, WRITE, [lost_answer]):
        store = another_store(emulator_world)
        store.commit(Delete(a_customer(), AtRevision(number=1)))
    assert store.get(Customer, "acme") is None


def test_the_same_commit_anew_is_judged_by_its_condition(
    emulator_world: DynamoWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faults(monkeypatch, WRITE, [lost_answer]):
        store = another_store(emulator_world)
        store.commit(Put(a_customer(), Absent()))
        with pytest.raises(StoreConflictError):
            store.commit(Put(a_customer(), Absent()))


def test_a_commit_that_never_gets_an_answer_is_unavailable(
    emulator_world: DynamoWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        faults(monkeypatch, WRITE, [lost_answer] * 20),
        pytest.raises(StoreUnavailableError),
    ):
        another_store(emulator_world).commit(Put(a_customer(), Absent()))


def test_a_read_whose_first_answer_was_lost_succeeds(
    emulator_world: DynamoWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator_world.store.commit(Put(a_customer(), Absent()))
    with faults(monkeypatch, "GetItem", [lost_answer]):
        assert another_store(emulator_world).get(Customer, "acme") == a_customer()


def test_no_database_at_all_is_unavailable(emulator_world: DynamoWorld) -> None:
    with nobody() as port:
        emulator_world.endpoint_url = f"http://127.0.0.1:{port}"
        with pytest.raises(StoreUnavailableError):
            another_store(emulator_world).get(Customer, "acme")
