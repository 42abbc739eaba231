"""Counting when DynamoDB is in the way: repeated while others hold the item, never counted twice, never swallowed."""

from collections.abc import Callable

import pytest

from chalicelib.adapters.dynamodb.usage_ledger import DynamoUsageLedger
from chalicelib.domain.errors import StoreConflictError, StoreUnavailableError
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.usage import Add, Count, CountUsage
from tests.fakes.system import FakeClock
from tests.unit.adapters.dynamodb.wire import READ_TIMEOUT, Answer, Wire, cancelled, error

Database = Callable[..., Wire]
ONE_MORE: list[Count] = [
    CountUsage(
        customer_id=CustomerId("acme"),
        changes=(Add(counter="calls", period_start_ms=0, delta=1, at_most=9),),
    )
]


def test_count_that_meets_another_transaction_is_waited_out(
    ledger: DynamoUsageLedger, usage_database: Database, clock: FakeClock
) -> None:
    wire = usage_database(
        cancelled("TransactionConflict"), cancelled("TransactionConflict"), Answer()
    )
    ledger.commit(ONE_MORE)
    assert len(wire.requests) == 3
    assert clock.slept == pytest.approx([0.01, 0.02], abs=0.011)


def test_count_that_never_gets_through_is_unavailable(
    ledger: DynamoUsageLedger, usage_database: Database
) -> None:
    wire = usage_database(cancelled("TransactionConflict"))
    with pytest.raises(StoreUnavailableError):
        ledger.commit(ONE_MORE)
    assert len(wire.requests) == 6


def test_count_whose_condition_fails_is_a_conflict_at_once(
    ledger: DynamoUsageLedger, usage_database: Database
) -> None:
    wire = usage_database(cancelled("ConditionalCheckFailed"))
    with pytest.raises(StoreConflictError):
        ledger.commit(ONE_MORE)
    assert len(wire.requests) == 1


def test_count_whose_answer_was_lost_is_repeated_under_the_same_token(
    ledger: DynamoUsageLedger, usage_database: Database
) -> None:
    wire = usage_database(READ_TIMEOUT, Answer())
    ledger.commit(ONE_MORE)
    assert len(wire.tokens) == 2
    assert len(set(wire.tokens)) == 1


def test_history_that_can_not_be_read_is_unavailable_and_no_empty_one(
    ledger: DynamoUsageLedger, usage_database: Database
) -> None:
    usage_database(error("ProvisionedThroughputExceededException"))
    with pytest.raises(StoreUnavailableError):
        ledger.hours(CustomerId("acme"), "calls", 0, 1)
