"""Invoice lines in the shape that came with basil: `parent` and `pricing`."""

from __future__ import annotations

from decimal import Decimal

from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.rules import decimal_text
from infra.local.stripe_stand_in.store import Obj


def line(
    acct: Account,
    price: Obj,
    amount: int,
    period: tuple[int, int],
    *,
    currency: str,
    quantity: Decimal | int,
    description: str,
) -> Obj:
    """A line of this price that no subscription gave rise to."""
    return acct.new(
        "line_item",
        amount=amount,
        currency=currency,
        description=description,
        discount_amounts=[],
        discountable=True,
        discounts=[],
        metadata={},
        period={"start": period[0], "end": period[1]},
        pretax_credit_amounts=[],
        pricing={
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": price["_currency_options"][currency]["unit_amount_decimal"],
        },
        quantity=int(quantity),
        quantity_decimal=decimal_text(Decimal(quantity)),
        subtotal=amount,
        taxes=[],
    )


def item_line(
    acct: Account,
    subscription: Obj,
    item: Obj,
    amount: int,
    period: tuple[int, int],
    *,
    quantity: Decimal | int,
    proration: str | None = None,
) -> Obj:
    """A line of a subscription item; `proration` says in words what is shared out, if anything."""
    price = acct.get("price", item["price"])
    name = acct.get("product", price["product"])["name"]
    made = line(
        acct,
        price,
        amount,
        period,
        currency=subscription["currency"],
        quantity=quantity,
        description=f"{proration or ''} {decimal_text(Decimal(quantity))} \u00d7 {name}".strip(),
    )
    details = {
        "invoice_item": None,
        "proration": proration is not None,
        "proration_details": {"credited_items": None},
        "subscription": subscription["id"],
        "subscription_item": item["id"],
    }
    made.update(
        metadata=dict(subscription["metadata"]),
        parent={
            "invoice_item_details": None,
            "subscription_item_details": details,
            "type": "subscription_item_details",
        },
        subscription=subscription["id"],
    )
    return made
