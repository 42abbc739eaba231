"""Errors as HTTP: the one table from domain errors to statuses, and the body they all share (RFC 9457)."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from chalicelib.domain import errors
from chalicelib.domain.errors import DomainError, InvalidError, Violation

PROBLEM_TYPE: Final = "/docs/problems#"
MEDIA_TYPE: Final = "application/problem+json"
MAX_ERRORS: Final = 50
MAX_PARAM_LENGTH: Final = 200

# What each error means over HTTP. 409: the state of things is in the way; 422: the request is; 503: try again.
TABLE: Final[Mapping[type[DomainError], tuple[int, str]]] = {
    errors.NotFoundError: (404, "Not found"),
    errors.InvalidError: (422, "Invalid input"),
    errors.AlreadyExistsError: (409, "Already exists"),
    errors.VersionConflictError: (409, "Changed by somebody else"),
    errors.StateMovedError: (409, "Catalog changed by somebody else"),
    errors.NothingToPublishError: (409, "Nothing to publish"),
    errors.DraftExistsError: (409, "Draft exists"),
    errors.NotPublishedError: (409, "Not published"),
    errors.ArchivedError: (409, "Archived"),
    errors.RevokedError: (409, "Revoked"),
    errors.InUseError: (409, "In use"),
    errors.SubscriptionExistsError: (409, "Subscription exists"),
    errors.SubscriptionEndedError: (409, "Subscription ended"),
    errors.WrongStateError: (409, "Wrong state"),
    errors.NotSupportedError: (422, "Not supported by the billing provider"),
    errors.BillingNotReadyError: (409, "Not at the billing provider yet"),
    errors.BillingNotConfiguredError: (409, "No billing provider"),
    errors.BillingNotConnectedError: (409, "No account connected"),
    errors.InvalidConnectStateError: (400, "Can't be finished"),
    errors.ConnectRefusedError: (409, "Not connected"),
    errors.ProviderUnavailableError: (503, "Billing provider unavailable"),
    errors.BillingKeyRejectedError: (503, "Billing provider unavailable"),
    errors.ProviderRefusedError: (422, "Refused by the billing provider"),
    errors.StoreConflictError: (409, "Changed at the same time"),
    errors.StoreUnavailableError: (503, "Database unavailable"),
    errors.BusyError: (409, "Busy"),
    errors.TooManyCheckoutsError: (429, "Too many checkouts"),
    errors.TooManyRequestsError: (429, "Too many requests"),
    errors.InvalidSignatureError: (400, "Invalid signature"),
    errors.MalformedEventError: (400, "Malformed event"),
    errors.SigningNotConfiguredError: (422, "Nothing to sign with"),
    errors.SigningUnavailableError: (503, "Nothing can be signed now"),
    errors.UnauthenticatedError: (401, "Unauthenticated"),
    errors.ForbiddenError: (403, "Forbidden"),
    errors.FeatureNotMeteredError: (422, "Feature without usage"),
    errors.UsageReportedByEventsError: (422, "Usage is computed from events"),
    errors.ReservationExpiredError: (409, "Reservation expired"),
    errors.ReservationSettledError: (409, "Reservation settled"),
    errors.IdempotencyKeyReusedError: (422, "Idempotency key reused"),
    errors.IdempotencyKeyInUseError: (409, "Idempotency key in use"),
}
CHALLENGE: Final = 'Bearer realm="paygrade"'


class RequestError(Exception):
    """The request is no request of this API; it never reached the domain."""

    status: int
    title: str
    code: str

    def __init__(self, detail: str, *, param: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.param = param


class MalformedJsonError(RequestError):
    """The body is no JSON object in UTF-8."""

    status, title, code = 400, "Malformed JSON", "malformed_json"


class BadHeaderError(RequestError):
    """A header that the API gives a meaning to has no valid value."""

    status, title, code = 400, "Bad header", "bad_header"


class TooLargeError(RequestError):
    """The body is larger than any request needs to be."""

    status, title, code = 413, "Body too large", "body_too_large"


class UnsupportedMediaTypeError(RequestError):
    """The body is declared to be something other than JSON."""

    status, title, code = 415, "Unsupported media type", "unsupported_media_type"


REQUEST_ERRORS: Final = (
    MalformedJsonError,
    BadHeaderError,
    TooLargeError,
    UnsupportedMediaTypeError,
)
INTERNAL: Final = ("internal_error", "Internal error")


def described() -> list[tuple[str, int, str, str]]:
    """Every problem: its code, status, title and what it means."""
    of_domain: dict[str, tuple[str, int, str, str]] = {}
    for error, (status, title) in TABLE.items():
        # Kinds of a problem that callers need not tell apart share its code; the general one stands first.
        of_domain.setdefault(error.code, (error.code, status, title, _meaning(error)))
    of_requests = ((one.code, one.status, one.title, _meaning(one)) for one in REQUEST_ERRORS)
    internal = (INTERNAL[0], 500, INTERNAL[1], "Something went wrong on our side.")
    return sorted([*of_domain.values(), *of_requests, internal])


def _meaning(error: type[Exception]) -> str:
    return (error.__doc__ or "").split("\n\n")[0].replace("`", "")


class ProblemError(BaseModel):
    """One fault of the input; `param` is its path, e.g. `prices[0].currency`."""

    model_config = ConfigDict(extra="forbid")

    param: str
    code: str
    detail: str


class Problem(BaseModel):
    """An error (RFC 9457). `code` is stable; `detail` is for people."""

    model_config = ConfigDict(extra="forbid")

    type: str
    title: str
    status: int
    detail: str
    code: str
    param: str | None = None
    errors: tuple[ProblemError, ...] | None = None
    subscription_id: str | None = None
    request_id: str

    def text(self) -> str:
        """The body; members without a value are left out."""
        return json.dumps(self.model_dump(mode="json", exclude_none=True), separators=(",", ":"))


def problem_of(error: Exception, request_id: str) -> tuple[Problem, dict[str, str]]:
    """The problem to answer with, and its headers. Of an unknown exception nothing is told but the request's id."""
    headers: dict[str, str] = {"Content-Type": MEDIA_TYPE}
    retry_after = getattr(error, "retry_after_seconds", None)
    if isinstance(error, DomainError):
        status, title = TABLE[type(error)]
        code, detail, param = error.code, error.detail, error.param
        if isinstance(retry_after, int):
            headers["Retry-After"] = str(max(1, retry_after))
        if isinstance(error, errors.UnauthenticatedError):
            headers["WWW-Authenticate"] = CHALLENGE
    elif isinstance(error, RequestError):
        status, title, code = error.status, error.title, error.code
        detail, param = error.detail, error.param
    else:
        status, param = 500, None
        code, title = INTERNAL
        detail = "Something went wrong on our side; quote the request id."
    problem = Problem(
        type=PROBLEM_TYPE + code,
        title=title,
        status=status,
        detail=detail,
        code=code,
        param=param,
        errors=_violations(error.violations) if isinstance(error, InvalidError) else None,
        subscription_id=getattr(error, "subscription_id", None),
        request_id=request_id,
    )
    return problem, headers


def _violations(violations: Sequence[Violation]) -> tuple[ProblemError, ...]:
    return tuple(
        ProblemError(param=violation.param, code=violation.code, detail=violation.detail)
        for violation in violations[:MAX_ERRORS]
    )


# --- pydantic's findings in our words -----------------------------------------------------------

_CODES: Final = {
    "missing": "required",
    "extra_forbidden": "unknown_field",
    "enum": "unknown_value",
    "literal_error": "unknown_value",
    "string_pattern_mismatch": "bad_format",
    "string_too_short": "bad_length",
    "string_too_long": "bad_length",
    "too_short": "bad_length",
    "too_long": "bad_length",
    "greater_than": "out_of_range",
    "greater_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "less_than_equal": "out_of_range",
    "int_from_float": "wrong_type",
    "int_parsing_size": "out_of_range",
    "reserved": "reserved",
    "repeated": "repeated",
}


def from_pydantic(error: ValidationError, *, within: str | None = None) -> InvalidError:
    """The same findings as violations, those inside `within` by their place there; inputs are not quoted back."""
    found: dict[str, Violation] = {}
    for line in error.errors(include_url=False, include_context=False, include_input=False):
        place = line["loc"]
        param = _path(place[1:] if len(place) > 1 and place[0] == within else place)
        kind = line["type"]
        code = _CODES.get(kind) or ("wrong_type" if kind.endswith("_type") else "invalid")
        found.setdefault(param, Violation(param=param, code=code, detail=f"{line['msg']}."))
    return InvalidError(list(found.values()))


def _path(location: Sequence[str | int]) -> str:
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":  # a mapping's key is what is wrong; its path names it already
            path += f".{part}" if path else part
    return path[:MAX_PARAM_LENGTH]
