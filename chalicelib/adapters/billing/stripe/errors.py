"""What each failure of a Stripe call means for the caller: the only place that tells them apart.

Sources: https://docs.stripe.com/api/errors, /api/idempotent_requests, /rate-limits,
/error-low-level, and the exceptions of the SDK (stripe._api_requestor.specific_v1_api_error),
which drop the code of some answers.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import stripe

from chalicelib.domain.errors import (
    BillingKeyRejectedError,
    BillingNotConnectedError,
    DomainError,
    ProviderRefusedError,
    ProviderUnavailableError,
)

_SECRET: Final = re.compile(r"\b(sk|rk|pk|whsec)_[A-Za-z0-9_*]+")
_MAX_DETAIL: Final = 300
_DEFAULT_RETRY_AFTER_SECONDS: Final = 5
_TOO_MANY: Final = 429
_CONFLICT: Final = 409
_UNAUTHORIZED: Final = 401
_CLIENT_ERROR: Final = 400
_SERVER_ERROR: Final = 500


class Effect(StrEnum):
    """What a request does, and with that what its repetition does."""

    READ = "read"
    SET = "set"  # sets absolute values: once or thrice is the same
    CREATE = "create"  # makes an object under an idempotency key; only the key keeps it single


class Benign(StrEnum):
    """The refusals that are answers: the whole list, each captured in this module's tests."""

    MISSING = "resource_missing"  # looked up by id: there is none
    EXISTS = "resource_already_exists"  # created under an id of ours: look at what is there
    REPORTED = "duplicate_meter_event"  # usage reported under an id that Stripe has: it is counted
    NOT_CONNECTED = "account_invalid"  # asked for a connected account: its owner has ended that
    NOT_OPEN = "not_open"  # a checkout to expire was paid or had expired before: look at it


class Reason(StrEnum):
    """Why a call may be repeated; each has its own patience."""

    THROTTLED = "throttled"  # refused before it ran
    UNREACHED = "unreached"  # no answer, or none that can be read: it may have run
    FAILED = "failed"  # Stripe answered with a server error that it does not replay


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the caller gets if the call is not repeated, and whether it may be repeated."""

    error: DomainError
    retry: Reason | None = None
    delay_seconds: float | None = None

    @property
    def rejects_key(self) -> bool:
        """Whether it is the key that Stripe does not take."""
        return isinstance(self.error, BillingKeyRejectedError)


def verdict_on(error: stripe.StripeError, effect: Effect) -> Verdict:
    """What to make of the error: a later repetition helps (`retry`), or nothing does."""
    status = error.http_status
    should_retry = _header(error, "stripe-should-retry") == "true"
    if isinstance(error, stripe.APIConnectionError):
        return Verdict(
            ProviderUnavailableError("Stripe could not be reached."),
            Reason.UNREACHED if error.should_retry else None,
        )
    if isinstance(error, stripe.RateLimitError) or status in {_CONFLICT, _TOO_MANY}:
        return _throttled(error)
    if status is not None and status >= _SERVER_ERROR and error.error is not None:
        # Stripe stores its 500s: under the same key they come back for a day, whether or not the
        # object was made. Only the caller can look at what there is and go on under a new key.
        is_stored = effect is Effect.CREATE and not should_retry
        failed = ProviderUnavailableError(_detail(error, "failed"), definite=is_stored)
        return Verdict(failed, None if is_stored else Reason.FAILED)
    if status is None or not _CLIENT_ERROR <= status < _SERVER_ERROR:
        # A proxy's error page or half an answer: whether it ran is unknown, and the same key asks
        # again.
        return Verdict(
            ProviderUnavailableError("Stripe's answer could not be read."), Reason.UNREACHED
        )
    if is_benign(error, Benign.MISSING, "starting_after"):
        # The last object of a page was deleted before the next one was asked for.
        return Verdict(ProviderUnavailableError("Stripe's list changed while it was read."))
    return Verdict(_refused(error), Reason.FAILED if should_retry else None)


def _refused(error: stripe.StripeError) -> DomainError:
    if error.http_status == _UNAUTHORIZED:
        # Unknown, expired or revoked: no fault of the request, which waits for another key. Stripe looks at the key
        # before anything else, so nothing ran and nothing is stored under the idempotency key, which stays the right
        # one: no `definite` failure. Its message is left out, as it shows how the key begins and ends.
        detail = f"Stripe does not take this environment's key: {code_of(error)}"
        return BillingKeyRejectedError(_with_request_id(error, detail))
    detail = _detail(error, "refused")
    if is_benign(error, Benign.NOT_CONNECTED):
        # No fault of the request: it is taken again once the account is connected again.
        return BillingNotConnectedError(detail)
    return ProviderRefusedError(detail, provider_code=code_of(error))


def is_benign(error: stripe.StripeError, kind: Benign, param: str | None = None) -> bool:
    """Whether this refusal is the expected one. `param`: it must be about this parameter."""
    if kind is Benign.NOT_CONNECTED:
        return isinstance(error, stripe.PermissionError) and code_of(error) == kind
    if not isinstance(error, stripe.InvalidRequestError):
        return False
    if kind is Benign.NOT_OPEN:
        # Stripe gives no code here, only a sentence; the caller judges by the state it then looks
        # at.
        return error.code is None
    return code_of(error) == kind and param in (None, error.param)


def code_of(error: stripe.StripeError) -> str:
    """Stripe's code, or the error's type where it has none."""
    answer = _answer(error)
    return str(error.code or answer.get("code") or answer.get("type") or type(error).__name__)


def _throttled(error: stripe.StripeError) -> Verdict:
    delay_seconds = _retry_after(error)
    retry_after_seconds = math.ceil(delay_seconds or _DEFAULT_RETRY_AFTER_SECONDS)
    unavailable = ProviderUnavailableError(
        _detail(error, "postponed"), retry_after_seconds=retry_after_seconds
    )
    return Verdict(unavailable, Reason.THROTTLED, delay_seconds)


def _retry_after(error: stripe.StripeError) -> float | None:
    text = _header(error, "retry-after") or ""
    return min(float(text), 3600.0) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", text) else None


def _detail(error: stripe.StripeError, what: str) -> str:
    """A bounded sentence for people, in which nothing looks like a key."""
    message = _SECRET.sub("[key]", error.user_message or "")
    return _with_request_id(error, f"Stripe {what} the request: {code_of(error)}: {message}")


def _with_request_id(error: stripe.StripeError, sentence: str) -> str:
    request_id = _header(error, "request-id")
    bounded = sentence[:_MAX_DETAIL]
    return f"{bounded} ({request_id})" if request_id else bounded


def _answer(error: stripe.StripeError) -> Mapping[str, Any]:
    body = error.json_body
    answer = body.get("error") if isinstance(body, dict) else None
    return answer if isinstance(answer, dict) else {}


def _header(error: stripe.StripeError, name: str) -> str | None:
    headers = error.headers or {}
    return next((str(value) for key, value in headers.items() if key.lower() == name), None)
