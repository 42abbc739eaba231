"""Paying back what a subscription's latest invoice took (https://docs.stripe.com/refunds).

Since basil (2025-03-31) an invoice names what paid it only through its invoice payments. Before anything is refunded
Stripe is asked what was: so neither a lost answer nor a key's stored failure pays back twice.
"""

from typing import TYPE_CHECKING, Any, Final

from chalicelib.adapters.billing.stripe.connection import PAGE_SIZE, Connection
from chalicelib.adapters.billing.stripe.customers import StripeCustomers
from chalicelib.adapters.billing.stripe.errors import Effect
from chalicelib.adapters.billing.stripe.subscriptions import Json, id_of
from chalicelib.domain.billing import RefundedPayment
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError

if TYPE_CHECKING:
    import stripe
    from stripe.params import InvoicePaymentListParams, RefundListParams

_ROUNDS: Final = 4
_UNDONE: Final = ("failed", "canceled")


class StripeRefunds:
    """The refunds of one account."""

    def __init__(self, connection: Connection, customers: StripeCustomers) -> None:
        self._at = connection
        self._customers = customers

    def refund_last(self, billing_id: str, idempotency_key: str) -> RefundedPayment:
        """See `Refunding`."""
        subscription, _ = self._customers.subscription_with_items(billing_id)
        latest = subscription.get("latest_invoice")
        if latest is None:
            return RefundedPayment(amount=0, currency=subscription["currency"])
        invoice = self._invoice(id_of(latest))
        payments = self._payments(invoice["id"])
        intents = [
            id_of(payment["payment"]["payment_intent"])
            for payment in payments
            if payment["payment"]["type"] == "payment_intent"
        ]
        taken = sum(
            payment["amount_paid"] or 0
            for payment in payments
            if payment["payment"]["type"] == "payment_intent"
        )
        if invoice["amount_paid"] > taken:
            raise ProviderRefusedError(
                f"The invoice {invoice['id']!r} was paid in a way that can't be paid back here.",
                provider_code="paid_elsewhere",
            )
        refunded = sum(self._refund(intent, f"{idempotency_key}:{intent}") for intent in intents)
        return RefundedPayment(amount=refunded, currency=invoice["currency"])

    def _invoice(self, invoice_id: str) -> Json:
        found = self._at.run(
            "invoices", Effect.READ, lambda: self._at.v1.invoices.retrieve(invoice_id)
        )
        value: Json = found.to_dict(for_json=True)
        return value

    def _payments(self, invoice_id: str) -> list[dict[str, Any]]:
        def fetch(after: str | None) -> "stripe.ListObject[stripe.InvoicePayment]":
            params: InvoicePaymentListParams = {
                "invoice": invoice_id,
                "status": "paid",
                "limit": PAGE_SIZE,
            }
            if after is not None:
                params["starting_after"] = after
            return self._at.v1.invoice_payments.list(params)

        return [one.to_dict(for_json=True) for one in self._at.pages("invoice_payments", fetch)]

    def _refund(self, intent_id: str, idempotency_key: str) -> int:
        """How much of the payment went back; all that it took."""
        unavailable: ProviderUnavailableError | None = None
        for generation in range(_ROUNDS):
            if (refunded := self._refunded(intent_id)) > 0:
                return refunded
            try:
                self._create(intent_id, f"{idempotency_key}:{generation}")
            except ProviderUnavailableError as error:
                if not error.definite:
                    raise
                unavailable = error
            except ProviderRefusedError as error:
                # By another worker, between our look and our call.
                if error.provider_code != "charge_already_refunded":
                    raise
        raise unavailable or ProviderRefusedError("The payment is not paid back, nor refused.")

    def _refunded(self, intent_id: str) -> int:
        def fetch(after: str | None) -> "stripe.ListObject[stripe.Refund]":
            params: RefundListParams = {"payment_intent": intent_id, "limit": PAGE_SIZE}
            if after is not None:
                params["starting_after"] = after
            return self._at.v1.refunds.list(params)

        return sum(
            found.amount
            for found in self._at.pages("refunds", fetch)
            if found.status not in _UNDONE
        )

    def _create(self, intent_id: str, idempotency_key: str) -> None:
        self._at.run(
            "refunds",
            Effect.CREATE,
            lambda: self._at.v1.refunds.create(
                {"payment_intent": intent_id, "reason": "duplicate"},
                {"idempotency_key": idempotency_key},
            ),
        )
