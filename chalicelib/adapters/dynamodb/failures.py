"""DynamoDB's failures in the domain's words."""

from collections.abc import Iterator
from contextlib import contextmanager

from pynamodb.exceptions import PynamoDBException, TransactWriteError

from chalicelib.adapters.aws_failures import is_passing_code, passes
from chalicelib.adapters.dynamodb.transactions import TransientConflictError
from chalicelib.domain.errors import StoreConflictError, StoreUnavailableError


@contextmanager
def translated() -> Iterator[None]:
    """What PynamoDB raises comes out as a domain error, as `TransientConflictError`, or as it is.

    As it is: mistakes of ours or of the deployment. No retry helps, and it must not look as if one did.
    """
    try:
        yield
    except PynamoDBException as error:
        raise _translation(error) from error


def _translation(error: PynamoDBException) -> Exception:
    if isinstance(error, TransactWriteError):
        # https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
        reasons = {reason.code for reason in error.cancellation_reasons if reason is not None}
        if "ConditionalCheckFailed" in reasons:
            return StoreConflictError("Another writer was first.")
        if "TransactionConflict" in reasons:
            return TransientConflictError()
        if any(is_passing_code(reason) for reason in reasons):
            return StoreUnavailableError("The database throttled the request.")
    if passes(error.cause):
        return StoreUnavailableError("The database did not answer.")
    return error
