"""Which failures of AWS pass by themselves: a closed list, as whatever else fails is a mistake that must be seen."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from chalicelib.domain.errors import StoreUnavailableError

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_PASSING: Final = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "ThrottledException",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        # A repeated request met its own first try: whether that one succeeds is not known yet.
        "TransactionInProgressException",
    }
)
_SERVER_ERROR: Final = 500


@contextmanager
def unavailable_if_passing() -> Iterator[None]:
    """A failure that passes comes out as `StoreUnavailableError`, any other as it is."""
    try:
        yield
    except Exception as error:
        if passes(error):
            raise StoreUnavailableError("The database did not answer.") from error
        raise


def passes(error: BaseException | None) -> bool:
    """Whether the same request may succeed later."""
    # Here, because describing the API needs no AWS.
    from botocore import exceptions  # noqa: PLC0415

    if isinstance(error, exceptions.ClientError):
        return is_passing_code(_code(error)) or _status(error) >= _SERVER_ERROR
    return isinstance(
        error,
        exceptions.HTTPClientError  # time-outs and broken connections
        | exceptions.ConnectionError
        | exceptions.CredentialRetrievalError,
    )


def is_passing_code(code: str | None) -> bool:
    """Whether this error code tells of something that passes."""
    return code in _PASSING


def _code(error: Any) -> str | None:  # noqa: ANN401 -- a ClientError, which is not imported above
    return error.response.get("Error", {}).get("Code")  # type: ignore[no-any-return]


def _status(error: Any) -> int:  # noqa: ANN401
    # PynamoDB raises a copy without the metadata from the error that has it.
    for found in (error, error.__cause__):
        metadata = getattr(found, "response", {}).get("ResponseMetadata", {})
        if "HTTPStatusCode" in metadata:
            return int(metadata["HTTPStatusCode"])
    return 0
