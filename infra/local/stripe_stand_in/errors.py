"""The one place that knows what a Stripe error answer looks like."""

from __future__ import annotations

from typing import Any


class StripeError(Exception):
    """A refusal, as Stripe words it; `keeps_changes` marks those that happen after a commit."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",  # noqa: A002 - Stripe's own field name
        code: str | None = None,
        param: str | None = None,
        replayable: bool = True,
        keeps_changes: bool = False,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.code = code
        self.message = message
        self.param = param
        # Stripe stores an answer under its idempotency key only once the request began to execute.
        self.replayable = replayable
        self.keeps_changes = keeps_changes
        self.extra = extra or {}

    def body(self, request_id: str) -> dict[str, Any]:
        """The answer body, with only the fields Stripe would send."""
        error: dict[str, Any] = {}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = "https://docs.stripe.com/error-codes/" + self.code.replace("_", "-")
        error["message"] = self.message
        if self.param is not None:
            error["param"] = self.param
        error["request_log_url"] = (
            f"https://dashboard.stripe.com/acct_stand_in/test/workbench/logs?object={request_id}"
        )
        error.update(self.extra)
        error["type"] = self.type
        return {"error": error}


def invalid(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    """A 400 for a request that was understood and refused."""
    return StripeError(message, param=param, code=code)


def malformed(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    """A 400 found before anything was executed: not stored under the idempotency key."""
    return StripeError(message, param=param, code=code, replayable=False)


def no_such(kind: str, object_id: str, param: str | None = None) -> StripeError:
    """404 for an id in the path, 400 for an id in a parameter, both `resource_missing`."""
    noun = kind.replace("checkout.session", "checkout session").replace("_", " ").split(".")[-1]
    return StripeError(
        f"No such {noun}: '{object_id}'",
        status=404 if param is None else 400,
        code="resource_missing",
        param=param or "id",
    )


def card_error(decline_code: str, payment_intent: dict[str, Any] | None = None) -> StripeError:
    """A 402 that keeps what was written: a declined attempt is a fact."""
    messages = {
        "insufficient_funds": "Your card has insufficient funds.",
        "authentication_required": "Your card was declined. This transaction requires "
        "authentication.",
    }
    code = (
        "authentication_required" if decline_code == "authentication_required" else "card_declined"
    )
    extra: dict[str, Any] = {"decline_code": decline_code, "advice_code": "try_again_later"}
    if payment_intent is not None:
        extra["payment_intent"] = payment_intent
    return StripeError(
        messages.get(decline_code, "Your card was declined."),
        status=402,
        type="card_error",
        code=code,
        keeps_changes=True,
        extra=extra,
    )
