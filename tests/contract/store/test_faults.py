"""Whatever happens between us and DynamoDB: done once, or not done and said so."""

import pytest

from chalicelib.adapters.dynamodb.store import DynamoStore
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import StoreConflictError, StoreUnavailableError
from chalicelib.domain.subscriptions import Subscription
from chalicelib.ports import Absent, AtRevision, Put
from infra.local.ports import free_port
from tests.contract.store.faults import Handler, faults, lost_answer, refusal, timed_out
from tests.contract.store.worlds import REGION, DynamoWorld
from tests.factories import a_customer, a_product

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


def test_a_commit_that_never_gets_an_answer_is_unavailable(
    emulator_world: DynamoWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        faults(monkeypatch, WRITE, [lost_answer] * 20),
        pytest.raises(StoreUnavailableError),
    ):
        another_store(emulator_world).commit(Put(a_customer(), Absent()))


def cancelled(*codes: str) -> Handler:
    reasons = [{"Code": code, "Message": code} for code in codes]
    return lambda _: refusal("TransactionCanceledException", CancellationReasons=reasons)


def test_a_collision_of_transactions_is_tried_again(
    emulator_world: DynamoWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faults(monkeypatch, WRITE, [cancelled("None", "TransactionConflict")] * 3) as requests:
        store = another_store(emulator_world)
        store.commit(Put(a_customer(), Absent()), Put(a_product(), Absent()))
    assert emulator_world.store.get(Customer, "acme") == a_customer()
    assert requests.count(WRITE) == 4
    assert len(emulator_world.clock.slept) == 3
    assert emulator_world.clock.slept[0] < emulator_world.clock.slept[-1]


def test_collisions_without_end_are_unavailable_in_bounded_time(
    emulator_world: DynamoWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        faults(monkeypatch, WRITE, [cancelled("TransactionConflict")] * 50) as requests,
        pytest.raises(StoreUnavailableError),
    ):
        another_store(emulator_world).commit(Put(a_customer(), Absent()))
    assert requests.count(WRITE) <= 10
    assert sum(emulator_world.clock.slept) < 5


@pytest.mark.parametrize("reason", ["ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_cancellation_for_throttling_is_no_conflict(
    emulator_world: DynamoWorld, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    with (
        faults(monkeypatch, WRITE, [cancelled(reason)] * 50),
        pytest.raises(StoreUnavailableError),
    ):
        another_store(emulator_world).commit(Put(a_customer(), Absent()))


def test_a_failed_condition_beside_a_collision_is_a_conflict(
    emulator_world: DynamoWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = cancelled("TransactionConflict", "ConditionalCheckFailed")
    with (
        faults(monkeypatch, WRITE, [both]),
        pytest.raises(StoreConflictError),
    ):
        another_store(emulator_world).commit(
            Put(a_customer(), Absent()), Put(a_product(), Absent())
        )


PASSING = [
    ("ThrottlingException", 400),
    ("ProvisionedThroughputExceededException", 400),
    ("RequestLimitExceeded", 400),
    ("InternalServerError", 500),
    ("ServiceUnavailable", 503),
    ("TransactionInProgressException", 400),
]


@pytest.mark.parametrize(("code", "status"), PASSING)
def test_a_passing_failure_is_repeated_and_then_unavailable(
    emulator_world: DynamoWorld, monkeypatch: pytest.MonkeyPatch, code: str, status: int
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with (
        faults(monkeypatch, WRITE, [lambda _: refusal(code, status)] * 50),
        pytest.raises(StoreUnavailableError),
    ):
        another_store(emulator_world).commit(Put(a_customer(), Absent()))
    assert emulator_world.store.get(Customer, "acme") is None


@pytest.mark.parametrize("operation", ["GetItem", "Query"], ids=["get", "list"])
@pytest.mark.parametrize(("code", "status"), PASSING[:-1])
def test_a_read_that_fails_for_now_is_unavailable(
    emulator_world: DynamoWorld,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    code: str,
    status: int,
) -> None:
    with faults(monkeypatch, operation, [lambda _: refusal(code, status)] * 50):
        store = another_store(emulator_world)
        read = store.get if operation == "GetItem" else store.list_within
        with pytest.raises(StoreUnavailableError):
            read(Subscription, *["acme"] * (2 if operation == "GetItem" else 1))


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
def test_a_mistake_of_the_deployment_is_not_called_unavailable(
    emulator_world: DynamoWorld, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    with (
        faults(monkeypatch, "GetItem", [lambda _: refusal(code)] * 50),
        pytest.raises(Exception, match=code) as raised,
    ):
        another_store(emulator_world).get(Customer, "acme")
    assert not isinstance(raised.value, StoreUnavailableError)


def test_a_read_whose_first_answer_was_lost_succeeds(
    emulator_world: DynamoWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator_world.store.commit(Put(a_customer(), Absent()))
    with faults(monkeypatch, "GetItem", [lost_answer]):
        assert another_store(emulator_world).get(Customer, "acme") == a_customer()


def test_no_database_at_all_is_unavailable(emulator_world: DynamoWorld) -> None:
    emulator_world.endpoint_url = f"http://127.0.0.1:{free_port()}"  # nobody listens
    with pytest.raises(StoreUnavailableError):
        another_store(emulator_world).get(Customer, "acme")
