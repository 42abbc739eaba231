"""Collecting what an open invoice asks for: intents, charges, attempts, the end of an invoice."""

from __future__ import annotations

from infra.local.stripe_stand_in import shape
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.clock import DAY
from infra.local.stripe_stand_in.store import Obj, copy_of

# Stripe's own schedule varies ("smart retries"); these are its usual distances.
RETRY_DAYS = (3, 5, 7)


def new_intent(acct: Account, amount: int, currency: str, customer: str | None) -> Obj:
    """A payment intent that waits for a payment method."""
    intent = acct.new(
        "payment_intent",
        amount=amount,
        amount_capturable=0,
        amount_details={"tip": {}},
        amount_received=0,
        capture_method="automatic",
        confirmation_method="automatic",
        currency=currency,
        customer=customer,
        metadata={},
        payment_method_types=["card"],
        status="requires_payment_method",
    )
    intent["client_secret"] = f"{intent['id']}_secret_{acct.ids.tail(25)}"
    return acct.add(intent, "payment_intent.created")


def charge(acct: Account, intent_id: str, method: Obj | None, outcome: str) -> Obj:
    """The intent is settled or declined; `outcome` is `ok` or a decline code."""
    intent = acct.edit("payment_intent", intent_id)
    paid = outcome == "ok"
    made = _new_charge(acct, intent, method, outcome)
    intent["latest_charge"] = made["id"]
    if paid:
        intent.update(
            status="succeeded",
            amount_received=intent["amount"],
            payment_method=method["id"] if method else None,
            last_payment_error=None,
        )
    else:
        needs_action = outcome == "authentication_required"
        intent["status"] = "requires_action" if needs_action else "requires_payment_method"
        intent["last_payment_error"] = {
            "advice_code": "try_again_later",
            "charge": made["id"],
            "code": outcome if needs_action else "card_declined",
            "decline_code": outcome,
            "message": "Your card was declined.",
            "type": "card_error",
        }
    acct.save(intent)
    acct.add(made, "charge.succeeded" if paid else "charge.failed")
    acct.emit("payment_intent.succeeded" if paid else "payment_intent.payment_failed", intent)
    return intent


def _new_charge(acct: Account, intent: Obj, method: Obj | None, outcome: str) -> Obj:
    paid = outcome == "ok"
    return acct.new(
        "charge",
        amount=intent["amount"],
        amount_captured=intent["amount"] if paid else 0,
        amount_refunded=0,
        billing_details=shape.new("charge:BillingDetails"),
        captured=paid,
        currency=intent["currency"],
        customer=intent["customer"],
        disputed=False,
        failure_code=None if paid else "card_declined",
        failure_message=None if paid else "Your card was declined.",
        fraud_details={},
        metadata={},
        outcome=None,
        paid=paid,
        payment_intent=intent["id"],
        payment_method=method["id"] if method else None,
        refunded=False,
        status="succeeded" if paid else "failed",
    )


def attempt(acct: Account, invoice_id: str, method: Obj | None, outcome: str) -> bool:
    """One try to collect an open invoice; True when it is paid now."""
    invoice = acct.edit("invoice", invoice_id)
    intent = charge(acct, invoice["_intent"], method, outcome)
    invoice["attempted"] = True
    invoice["attempt_count"] += 1
    if outcome == "ok":
        acct.save(invoice)
        mark_paid(acct, invoice_id)
        return True
    tries = invoice["attempt_count"]
    again = (
        tries <= len(RETRY_DAYS)
        and invoice["auto_advance"]
        and bool(invoice["billing_reason"] == "subscription_cycle")
    )
    invoice["next_payment_attempt"] = acct.now() + RETRY_DAYS[tries - 1] * DAY if again else None
    acct.save(invoice)
    acct.emit("invoice.payment_failed", invoice)
    if intent["status"] == "requires_action":
        acct.emit("invoice.payment_action_required", invoice)
    return False


def mark_paid(acct: Account, invoice_id: str) -> Obj:
    """The invoice and its payment are paid."""
    invoice = acct.edit("invoice", invoice_id)
    invoice.update(
        amount_paid=invoice["amount_due"],
        amount_remaining=0,
        attempted=True,
        auto_advance=False,
        next_payment_attempt=None,
        status="paid",
    )
    invoice["status_transitions"]["paid_at"] = acct.now()
    payment = acct.find("invoice_payment", invoice.get("_payment", ""))
    acct.save(invoice)
    acct.emit("invoice.paid", invoice)
    acct.emit("invoice.payment_succeeded", invoice)
    if payment is not None:
        paid = copy_of(payment)
        paid.update(status="paid", amount_paid=invoice["amount_due"])
        paid["status_transitions"]["paid_at"] = acct.now()
        acct.save(paid)
        acct.emit("invoice_payment.paid", paid)
    return invoice


def close(acct: Account, invoice_id: str, status: str) -> Obj:
    """The invoice is `void` or `uncollectible`."""
    invoice = acct.edit("invoice", invoice_id)
    invoice.update(status=status, auto_advance=False, next_payment_attempt=None)
    field = "voided_at" if status == "void" else "marked_uncollectible_at"
    invoice["status_transitions"][field] = acct.now()
    acct.save(invoice)
    suffix = "voided" if status == "void" else "marked_uncollectible"
    acct.emit(f"invoice.{suffix}", invoice)
    return invoice
