"""Invoices from draft to paid, void or uncollectible, with the payments behind them."""

from __future__ import annotations

from infra.local.stripe_stand_in import discounts, shape
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.clock import DAY
from infra.local.stripe_stand_in.collecting import mark_paid, new_intent
from infra.local.stripe_stand_in.render import listing
from infra.local.stripe_stand_in.store import Obj

_INLINE_LINES = 10


def draft_for(
    acct: Account,
    subscription: Obj,
    lines: list[Obj],
    *,
    reason: str,
    period: tuple[int, int] | None = None,
    extra: Obj | None = None,
) -> Obj:
    """A stored draft of a subscription, reduced by its discounts."""
    return draft(
        acct,
        acct.get("customer", subscription["customer"]),
        lines,
        reason=reason,
        currency=subscription["currency"],
        period=period,
        extra={
            "collection_method": subscription["collection_method"],
            "discounts": subscription["discounts"],
            "parent": _parent(subscription),
            **(extra or {}),
        },
    )


def draft(
    acct: Account,
    customer: Obj,
    lines: list[Obj],
    *,
    reason: str,
    currency: str,
    period: tuple[int, int] | None = None,
    extra: Obj | None = None,
) -> Obj:
    """A stored draft; `extra` sets or overrides fields, such as when it finalizes itself."""
    period = period or (acct.now(), acct.now())
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
        billing_reason=reason,
        collection_method="charge_automatically",
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
        discounts=[],
        issuer={"account": None, "type": "self"},
        lines=listing("", []),
        metadata={},
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
    set_lines(invoice, discounts.applied(acct, invoice["discounts"], lines))
    return acct.add(invoice, "invoice.created")


def _parent(subscription: Obj) -> Obj:
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
    balance = invoice["starting_balance"] + (spent or 0)
    if balance != customer["balance"]:
        customer["balance"] = balance
        acct.save(customer, "customer.updated")
    invoice.update(
        automatically_finalizes_at=None,
        effective_at=acct.now(),
        ending_balance=balance,
        hosted_invoice_url=f"https://invoice.stripe.com/i/{acct.id}/test_{invoice_id}",
        invoice_pdf=f"https://pay.stripe.com/invoice/{acct.id}/test_{invoice_id}/pdf",
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
