"""What a request meets when a fault was asked for."""

from __future__ import annotations

from typing import Any, Final

from infra.local.stripe_stand_in.errors import StripeError
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.wire import Response, json_response

# Refused before anything ran, whatever was asked.
_REFUSALS: Final = {
    "401": StripeError("Invalid API Key provided: rk_test_************stand", status=401),
    "403": StripeError(
        "The provided key 'rk_test_************stand' does not have the required permissions for this endpoint.",
        status=403,
        code="secret_key_required",
    ),
    "409": StripeError(
        "There is currently another in-progress request using this Stripe API key and idempotency key.",
        status=409,
        code="idempotency_key_in_use",
        type="idempotency_error",
    ),
}


def server_error(request_id: str) -> Response:
    """Stripe's answer when something on its side went wrong."""
    error = StripeError(
        "An unknown error occurred while processing your request.", status=500, type="api_error"
    )
    return json_response(500, error.body(request_id))


def answer_before(fault: Obj, request_id: str) -> Response | None:
    """The answer of a fault that keeps the request from running."""
    kind = fault["kind"]
    if kind in ("429", "429_lock_timeout"):
        code = "rate_limit" if kind == "429" else "lock_timeout"
        message = (
            "Request rate limit exceeded. Learn more about rate limits here "
            "https://docs.stripe.com/rate-limits."
            if kind == "429"
            else "This object cannot be accessed right now because another API request or Stripe "
            "process is currently accessing it."
        )
        headers = {"Stripe-Rate-Limited-Reason": "endpoint-rate"}
        if fault["retry_after"] is not None:
            headers["Retry-After"] = str(fault["retry_after"])
        refused = StripeError(message, status=429, code=code)
        return json_response(429, refused.body(request_id), headers)
    if kind in _REFUSALS:
        refused = _REFUSALS[kind]
        return json_response(refused.status, refused.body(request_id))
    if kind == "500_before":
        return server_error(request_id)
    if kind in ("reset", "timeout_before"):
        return Response(500, {}, b"")
    return None


def lose(answer: Response, fault: Obj) -> None:
    """Tells the transport to lose or delay the answer."""
    kind: Any = fault["kind"]
    if kind in ("timeout_after", "timeout_before"):
        answer.delivery, answer.delay_seconds = "hang", fault["seconds"]
    elif kind in ("reset", "reset_after"):
        answer.delivery = "reset"
    elif kind == "slow":
        answer.delay_seconds = fault["seconds"]
