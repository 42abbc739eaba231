"""What passes by itself is `StoreUnavailableError` after a few tries; what does not is seen as what it is."""

from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from pynamodb.exceptions import PynamoDBException

from chalicelib.adapters.dynamodb.snapshot_reader import DynamoSnapshotReader
from chalicelib.adapters.dynamodb.store import DynamoStore
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import StoreConflictError, StoreUnavailableError
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.sync import SyncTask
from chalicelib.ports import Absent, Put, Require
from tests.fakes.system import START, FakeClock
from tests.unit.adapters.dynamodb.wire import (
    CONNECT_TIMEOUT,
    CONNECTION_REFUSED,
    READ_TIMEOUT,
    Answer,
    Scripted,
    Wire,
    cancelled,
    error,
)

ACME = Customer(id=CustomerId("acme"), created_at=START)
ACME_2 = Customer(id=CustomerId("acme2"), created_at=START)
CALLS: dict[str, Callable[[DynamoStore], object]] = {
    "get": lambda store: store.get(Customer, "acme"),
    "list": lambda store: store.list_within(Customer),
    "find": lambda store: store.find_by(SyncTask, "status", "pending"),
    "commit": lambda store: store.commit(Put(ACME, Absent())),
}
PASSING: dict[str, Scripted] = {
    "throttled": error("ProvisionedThroughputExceededException"),
    "rate limited": error("ThrottlingException"),
    "account limited": error("RequestLimitExceeded"),
    "server error": error("InternalServerError", status=500),
    "unavailable": Answer(503, b"<html>Service Unavailable</html>"),
    "bad gateway": Answer(502, b""),
    "refused": CONNECTION_REFUSED,
    "connect timeout": CONNECT_TIMEOUT,
    "read timeout": READ_TIMEOUT,
}
LASTING: dict[str, Scripted] = {
    "no such table": error("ResourceNotFoundException"),
    "not allowed": error("AccessDeniedException"),
    "wrong key": error("UnrecognizedClientException"),
    "our mistake": error("ValidationException", "The size of the sort key is off."),
    "no credentials": NoCredentialsError(),
}
Database = Callable[..., Wire]


@pytest.mark.parametrize("failure", PASSING)
def test_failure_that_passes_is_unavailable_after_three_tries(
    store: DynamoStore, database: Database, failure: str
) -> None:
    wire = database(PASSING[failure])
    for call in CALLS.values():
        wire.requests.clear()
        with pytest.raises(StoreUnavailableError):
            call(store)
        assert len(wire.requests) == 3


@pytest.mark.parametrize("failure", PASSING)
def test_failure_that_passes_in_time_is_not_noticed(
    store: DynamoStore, database: Database, failure: str
) -> None:
    wire = database(PASSING[failure], Answer())
    assert store.get(Customer, "acme") is None
    assert len(wire.requests) == 2


@pytest.mark.parametrize("failure", LASTING)
def test_failure_that_lasts_is_raised_as_it_is_and_at_once(
    store: DynamoStore, database: Database, failure: str
) -> None:
    wire = database(LASTING[failure])
    for call in CALLS.values():
        wire.requests.clear()
        with pytest.raises(PynamoDBException) as caught:
            call(store)
        assert isinstance(caught.value.cause, ClientError | NoCredentialsError)
        assert len(wire.requests) == 1


@pytest.mark.parametrize("failure", [READ_TIMEOUT, error("InternalServerError", status=500)])
def test_commit_whose_answer_was_lost_is_repeated_under_the_same_token(
    store: DynamoStore, database: Database, failure: Scripted
) -> None:
    wire = database(failure, failure, Answer())
    store.commit(Put(ACME, Absent()))
    assert len(wire.tokens) == 3
    assert len(set(wire.tokens)) == 1
    store.commit(Put(ACME, Absent()))
    assert wire.tokens[3] != wire.tokens[0], "another commit is not a repetition"


def test_commit_that_meets_its_own_first_try_waits_for_it_under_the_same_token(
    store: DynamoStore, database: Database, naps: list[float]
) -> None:
    in_progress = error("TransactionInProgressException")
    wire = database(READ_TIMEOUT, in_progress, Answer())
    store.commit(Put(ACME, Absent()))
    assert len(set(wire.tokens)) == 1
    assert len(naps) == 2


def test_commit_whose_first_try_never_ends_is_unavailable_and_not_begun_anew(
    store: DynamoStore, database: Database
) -> None:
    wire = database(error("TransactionInProgressException"))
    with pytest.raises(StoreUnavailableError):
        store.commit(Put(ACME, Absent()))
    # Under another token it would take its own effect for somebody else's.
    assert len(set(wire.tokens)) == 1


def test_conflict_with_another_transaction_is_waited_out(
    store: DynamoStore, database: Database, clock: FakeClock
) -> None:
    wire = database(cancelled("TransactionConflict"), cancelled("TransactionConflict"), Answer())
    store.commit(Put(ACME, Absent()))
    assert len(wire.requests) == 3
    assert clock.slept == pytest.approx([0.01, 0.02], abs=0.011)


def test_conflict_that_does_not_end_is_unavailable_after_growing_pauses(
    store: DynamoStore, database: Database, clock: FakeClock
) -> None:
    wire = database(cancelled("None", "TransactionConflict"))
    with pytest.raises(StoreUnavailableError):
        store.commit(Require(ACME, Absent()), Put(ACME_2, Absent()))
    assert len(wire.requests) == 6
    assert len(clock.slept) == 5, "nobody sleeps after the last try"
    assert all(0.01 * 2**n <= nap < 0.03 * 2**n for n, nap in enumerate(clock.slept))
    assert sum(clock.slept) < 1


@pytest.mark.parametrize(
    ("codes", "raised"),
    [
        (("ConditionalCheckFailed", "None"), StoreConflictError),
        (("None", "ConditionalCheckFailed"), StoreConflictError),
        # Definite: repeating can't make the condition hold.
        (("TransactionConflict", "ConditionalCheckFailed"), StoreConflictError),
        (("ThrottlingError", "ConditionalCheckFailed"), StoreConflictError),
        (("ThrottlingError", "None"), StoreUnavailableError),
        (("None", "ProvisionedThroughputExceeded"), StoreUnavailableError),
        (("ValidationError", "None"), PynamoDBException),
        (("None", "None"), PynamoDBException),
    ],
)
def test_cancelled_transaction_is_told_by_its_reasons_and_tried_once(
    store: DynamoStore, database: Database, codes: tuple[str, ...], raised: type[Exception]
) -> None:
    wire = database(cancelled(*codes))
    with pytest.raises(raised):
        store.commit(Put(ACME, Absent()), Put(ACME_2, Absent()))
    assert len(wire.requests) == 1


def test_commit_that_was_throttled_as_a_whole_is_unavailable(
    store: DynamoStore, database: Database
) -> None:
    database(error("ThrottlingException"))
    with pytest.raises(StoreUnavailableError):
        store.commit(Put(ACME, Absent()))


@pytest.mark.parametrize("failure", PASSING)
def test_read_of_a_snapshot_that_fails_in_passing_is_unavailable(
    reader: DynamoSnapshotReader, hot_database: Database, failure: str
) -> None:
    wire = hot_database(PASSING[failure])
    with pytest.raises(StoreUnavailableError):
        reader.read(ACME.id, consistent=False)
    assert len(wire.requests) == 3


@pytest.mark.parametrize("failure", LASTING)
def test_read_of_a_snapshot_that_fails_for_good_is_raised_as_it_is(
    reader: DynamoSnapshotReader, hot_database: Database, failure: str
) -> None:
    wire = hot_database(LASTING[failure])
    with pytest.raises((ClientError, NoCredentialsError)):
        reader.read(ACME.id, consistent=False)
    assert len(wire.requests) == 1
