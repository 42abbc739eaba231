"""Paying for a subscription on Stripe's page or inside ours (https://docs.stripe.com/api/checkout/sessions)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

import stripe

from chalicelib.adapters.billing.stripe.connection import PAGE_SIZE, Connection
from chalicelib.adapters.billing.stripe.customers import is_replayed
from chalicelib.adapters.billing.stripe.errors import Benign, Effect, is_benign
from chalicelib.adapters.billing.stripe.subscriptions import moment
from chalicelib.domain.billing import (
    CheckoutItem,
    CheckoutMode,
    CheckoutRequest,
    CheckoutStatus,
    ProviderCheckout,
)
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError

if TYPE_CHECKING:
    from stripe.params.checkout import (
        SessionCreateParams,
        SessionCreateParamsLineItem,
        SessionListParams,
    )

_SESSIONS: Final = "checkout.sessions"
_UI_MODES: Final[Mapping[CheckoutMode, Literal["embedded_page", "elements"]]] = {
    CheckoutMode.EMBEDDED: "embedded_page",
    CheckoutMode.ELEMENTS: "elements",
}


class StripeCheckout:
    """The checkout sessions of one account."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    def open(self, request: CheckoutRequest, idempotency_key: str) -> ProviderCheckout:
        """A session that the customer can pay; on a repetition the first one, as it is now."""
        params = create_params(request)
        try:
            created = self._at.run(
                _SESSIONS,
                Effect.CREATE,
                lambda: self._at.v1.checkout.sessions.create(
                    params, {"idempotency_key": idempotency_key}
                ),
            )
        except ProviderUnavailableError as error:
            made = self._made_all_the_same(request) if error.definite else None
            if made is None:
                raise
            return made
        # A replayed answer says "open" for ever.
        now = self.get(created.id) if is_replayed(created) else None
        return now or checkout_of(created)

    def _made_all_the_same(self, request: CheckoutRequest) -> ProviderCheckout | None:
        """The session that Stripe made and answered with a failure, which it would repeat for a day."""
        params: SessionListParams = {
            "customer": request.customer_billing_id,
            "status": "open",
            "limit": PAGE_SIZE,
        }
        listed = self._at.run(
            _SESSIONS, Effect.READ, lambda: self._at.v1.checkout.sessions.list(params)
        )
        for session in listed.data:
            if session.client_reference_id == request.reference:
                return checkout_of(session)
        return None

    def get(self, billing_id: str) -> ProviderCheckout | None:
        """The session as it is now; None if Stripe has none of that id."""
        found = self._at.attempt(
            _SESSIONS,
            Effect.READ,
            lambda: self._at.v1.checkout.sessions.retrieve(billing_id),
            lambda error: is_benign(error, Benign.MISSING),
        )
        return None if found is None else checkout_of(found)

    def expire(self, billing_id: str) -> ProviderCheckout:
        """The session can't be paid any more; `complete` if it was paid before."""
        expired = self._at.attempt(
            _SESSIONS,
            Effect.SET,
            lambda: self._at.v1.checkout.sessions.expire(billing_id),
            lambda error: is_benign(error, Benign.NOT_OPEN),
        )
        if expired is not None:
            return checkout_of(expired)
        # Only open sessions can be expired; whether that was the reason, the session itself tells.
        now = self.get(billing_id)
        if now is None or now.status is CheckoutStatus.OPEN:
            raise ProviderRefusedError("Stripe refused to expire the checkout session.")
        return now


def create_params(request: CheckoutRequest) -> "SessionCreateParams":
    """The same bytes for the same request: nothing here looks at a clock.

    Metadata of a session is not copied to the subscription that it makes, so both carry it. Stripe's own page is
    what `ui_mode` means when left out; the other modes refuse the hosted page's addresses.
    """
    params: SessionCreateParams = {
        "mode": "subscription",
        "customer": request.customer_billing_id,
        "client_reference_id": request.reference,
        "line_items": [_line_item(item) for item in request.items],
        "expires_at": int(request.expires_at.timestamp()),
        "metadata": dict(request.metadata),
        "subscription_data": {"metadata": dict(request.metadata)},
    }
    if request.trial_days is not None:
        data = params["subscription_data"]
        data["trial_period_days"] = request.trial_days
        # Should the payment method be gone by then, the invoice is open and the usual dunning follows.
        data["trial_settings"] = {"end_behavior": {"missing_payment_method": "create_invoice"}}
    if request.discount is not None and request.discount.code_billing_id is not None:
        params["discounts"] = [{"promotion_code": request.discount.code_billing_id}]
    elif request.discount is not None and request.discount.coupon_billing_id is not None:
        params["discounts"] = [{"coupon": request.discount.coupon_billing_id}]
    if request.mode is not CheckoutMode.HOSTED:
        params["ui_mode"] = _UI_MODES[request.mode]
    if request.success_url is not None:
        params["success_url"] = request.success_url
    if request.cancel_url is not None:
        params["cancel_url"] = request.cancel_url
    if request.return_url is not None:
        params["return_url"] = request.return_url
    return params


def _line_item(item: CheckoutItem) -> "SessionCreateParamsLineItem":
    line: SessionCreateParamsLineItem = {"price": item.price_billing_id}
    if item.quantity is not None:  # metered prices take none
        line["quantity"] = item.quantity
    return line


def checkout_of(session: "stripe.checkout.Session") -> ProviderCheckout:
    """The session in our words."""
    value = session.to_dict(for_json=True)
    status = CheckoutStatus(value["status"])
    return ProviderCheckout(
        billing_id=value["id"],
        customer_billing_id=value.get("customer"),
        url=value.get("url"),
        client_secret=value.get("client_secret") if status is CheckoutStatus.OPEN else None,
        status=status,
        expires_at=moment(value["expires_at"]),
    )
