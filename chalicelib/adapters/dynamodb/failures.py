"""DynamoDB's failures in the domain's words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException, TransactWriteError

from chalicelib.domain.errors import StoreConflictError, StoreUnavailableError, invalid

# Reasons of a cancelled transaction: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
_CONDITION: Final = "ConditionalCheckFailed"
_TOO_LARGE: Final = ("ItemCollectionSizeLimitExceeded", "ValidationError")


class TransientConflictError(Exception):
    """Another transaction held one of the items at that moment; no condition is known to have failed."""


@contextmanager
def translated() -> Iterator[None]:
    """Whatever the SDKs raise comes out as a domain error or as `TransientConflictError`."""
    try:
        yield
    except TransactWriteError as error:
        raise _of_transaction(error) from error
    except PynamoDBException as error:
        raise _of_request(error.cause_response_code, error) from error
    except ClientError as error:
        raise _of_request(error.response.get("Error", {}).get("Code"), error) from error
    except BotoCoreError as error:
        raise StoreUnavailableError("The database could not be reached.") from error


def _of_transaction(error: TransactWriteError) -> Exception:
    codes = {reason.code for reason in error.cancellation_reasons if reason is not None}
    if _CONDITION in codes:
        return StoreConflictError("Another writer was first.")
    if codes.intersection(_TOO_LARGE):
        return _too_large()
    if (
        "TransactionConflict" in codes
        or error.cause_response_code == "TransactionInProgressException"
    ):
        return TransientConflictError()
    if codes:
        return StoreUnavailableError("The database throttled the request.")
    return _of_request(error.cause_response_code, error)


def _of_request(code: str | None, error: Exception) -> Exception:
    if code == "ValidationException" and "size" in str(error).lower():
        return _too_large()
    if code in ("ValidationException", "ResourceNotFoundException", "AccessDeniedException"):
        # A mistake of ours or of the deployment: no retry helps, and it must not look as if one did.
        return error
    return StoreUnavailableError("The database did not answer or throttled the request.")


def _too_large() -> Exception:
    return invalid("", "too_large", "The object is larger than the database can hold (400 KB).")
