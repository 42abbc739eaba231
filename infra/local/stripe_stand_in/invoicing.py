"""Invoices from draft to paid, void or uncollectible, with the payments behind them."""

from __future__ import annotations

from typing import Any

from . import discounts, shape
from .account import ACCOUNT_ID, Account
from .clock import DAY, HOUR
from .render import listing
from .rules import decimal_text
from .store import Obj, copy_of

# Stripe's own schedule varies ("smart retries"); these are its usual distances.
RETRY_DAYS = (3, 5, 7)
_INLINE_LINES = 10


def line(
    acct: Account,
    price: Obj,
    amount: int,
    period: tuple[int, int],
    *,
    currency: str,
    quantity: Any,
    parent: Obj | None,
    description: str,
    metadata: Obj | None = None,
) -> Obj:
    """One invoice line in the shape that came with basil: `parent` and `pricing`."""
    text = decimal_text(quantity) if quantity is not None else None
    unit = price["_currency_options"].get(currency, {}).get("unit_amount_decimal")
    return acct.new(
        "line_item",
        amount=amount,
        currency=currency,
        description=description,
        discount_amounts=[],
        discountable=True,
        discounts=[],
        metadata=metadata or {},
        parent=parent,
        period={"start": period[0], "end": period[1]},
        pretax_credit_amounts=[],
        pricing={
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": unit,
        },
        quantity=int(quantity) if quantity is not None else None,
        quantity_decimal=text,
        subscription=((parent or {}).get("subscription_item_details") or {}).get("subscription"),
        subtotal=amount,
        taxes=[],
    )


def item_parent(subscription: Obj, item: Obj, *, proration: bool) -> Obj:
    """The `parent` of a line that a subscription item gave rise to."""
    return {
        "invoice_item_details": None,
        "subscription_item_details": {
            "invoice_item": None,
            "proration": proration,
            "proration_details": {"credited_items": None},
            "subscription": subscription["id"],
            "subscription_item": item["id"],
        },
        "type": "subscription_item_details",
    }


def draft(
    acct: Account,
    customer: Obj,
    lines: list[Obj],
    *,
    reason: str,
    currency: str,
    period: tuple[int, int],
    subscription: Obj | None = None,
    discount_ids: list[str] | None = None,
    waits: bool = False,
    extra: Obj | None = None,
) -> Obj:
    """A stored draft; one that `waits` finalizes itself after an hour, as renewals do."""
    used = discount_ids or []
    lines = discounts.applied(acct, used, lines)
    collection = subscription["collection_method"] if subscription else "charge_automatically"
    invoice = acct.new(
        "invoice",
        account_country="US",
        account_name="Stand-in",
        amount_due=0,
        amount_overpaid=0,
        amount_paid=0,
        amount_paid_off_stripe=0,
        amount_remaining=0,
        amount_shipping=0,
        attempt_count=0,
        attempted=False,
        auto_advance=True,
        automatic_tax=shape.new("invoice:AutomaticTax", enabled=False),
        automatically_finalizes_at=acct.now() + HOUR if waits else None,
        billing_reason=reason,
        collection_method=collection,
        currency=currency,
        customer=customer["id"],
        customer_address=customer["address"],
        customer_email=customer["email"],
        customer_name=customer["name"],
        customer_phone=customer["phone"],
        customer_tax_exempt=customer["tax_exempt"],
        customer_tax_ids=[],
        default_payment_method=None,
        default_tax_rates=[],
        discounts=used,
        issuer={"account": None, "type": "self"},
        lines=listing("", []),
        metadata={},
        parent=_parent(subscription),
        payment_settings=shape.new("invoice:PaymentSettings"),
        period_start=period[0],
        period_end=period[1],
        post_payment_credit_notes_amount=0,
        pre_payment_credit_notes_amount=0,
        starting_balance=customer["balance"],
        status="draft",
        status_transitions=shape.new("invoice:StatusTransitions"),
        subtotal=0,
        total=0,
        total_discount_amounts=[],
        total_pretax_credit_amounts=[],
        total_taxes=[],
        webhooks_delivered_at=acct.now(),
    )
    invoice.update(extra or {})
    set_lines(invoice, lines)
    return acct.add(invoice, "invoice.created")


def _parent(subscription: Obj | None) -> Obj | None:
    if subscription is None:
        return None
    return {
        "quote_details": None,
        "subscription_details": {
            "metadata": subscription["metadata"],
            "subscription": subscription["id"],
            "subscription_proration_date": None,
        },
        "type": "subscription_details",
    }


def set_lines(invoice: Obj, lines: list[Obj]) -> None:
    """The invoice holds these lines and the sums they make."""
    for entry in lines:
        entry["invoice"] = invoice["id"]
    invoice["_lines"] = lines
    url = f"/v1/invoices/{invoice['id']}/lines"
    shown = listing(url, lines[:_INLINE_LINES], has_more=len(lines) > _INLINE_LINES)
    invoice["lines"] = {**shown, "total_count": len(lines)}
    subtotal = sum(entry["amount"] for entry in lines)
    taken: dict[str, int] = {}
    for entry in lines:
        for part in entry["discount_amounts"]:
            taken[part["discount"]] = taken.get(part["discount"], 0) + part["amount"]
    total = subtotal - sum(taken.values())
    # A customer's balance pays first; a negative total adds to it instead of being paid out.
    balance = min(0, invoice["starting_balance"]) if total > 0 else 0
    due = max(0, total + balance)
    invoice.update(
        subtotal=subtotal,
        subtotal_excluding_tax=subtotal,
        total=total,
        total_excluding_tax=total,
        total_discount_amounts=[{"amount": a, "discount": d} for d, a in taken.items()],
        total_pretax_credit_amounts=[
            {"amount": a, "credit_balance_transaction": None, "discount": d, "type": "discount"}
            for d, a in taken.items()
        ],
        amount_due=due,
        amount_remaining=due,
    )


def finalize(acct: Account, invoice_id: str) -> Obj:
    """The invoice is open with a number, or paid at once when nothing is due."""
    invoice = acct.edit("invoice", invoice_id)
    number = acct.setting("invoice_number") + 1
    acct.set_setting("invoice_number", number)
    customer = acct.edit("customer", invoice["customer"])
    spent = invoice["total"] - invoice["amount_due"]
    balance = invoice["starting_balance"] + (spent if spent else 0)
    if balance != customer["balance"]:
        customer["balance"] = balance
        acct.save(customer, "customer.updated")
    invoice.update(
        automatically_finalizes_at=None,
        effective_at=acct.now(),
        ending_balance=balance,
        hosted_invoice_url=f"https://invoice.stripe.com/i/{ACCOUNT_ID}/test_{invoice_id}",
        invoice_pdf=f"https://pay.stripe.com/invoice/{ACCOUNT_ID}/test_{invoice_id}/pdf",
        number=f"{customer['invoice_prefix']}-{number:04d}",
        status="open",
    )
    invoice["status_transitions"]["finalized_at"] = acct.now()
    if invoice["collection_method"] == "send_invoice" and invoice["due_date"] is None:
        invoice["due_date"] = acct.now() + 30 * DAY
    acct.save(invoice)
    acct.emit("invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        return mark_paid(acct, invoice_id)
    _prepare_payment(acct, invoice)
    return acct.get("invoice", invoice_id)


def _prepare_payment(acct: Account, invoice: Obj) -> None:
    intent = new_intent(acct, invoice["amount_due"], invoice["currency"], invoice["customer"])
    payment = acct.new(
        "invoice_payment",
        amount_requested=invoice["amount_due"],
        currency=invoice["currency"],
        invoice=invoice["id"],
        is_default=True,
        payment=shape.new(
            "invoice_payment:Payment", payment_intent=intent["id"], type="payment_intent"
        ),
        status="open",
        status_transitions=shape.new("invoice_payment:StatusTransitions"),
    )
    acct.add(payment)
    acct.save(
        {
            **invoice,
            "_payment": payment["id"],
            "_intent": intent["id"],
            "_confirmation_secret": {
                "client_secret": intent["client_secret"],
                "type": "payment_intent",
            },
        }
    )


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
