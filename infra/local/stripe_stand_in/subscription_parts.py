"""What subscriptions are made of: items, their periods, the lines they cost, who pays."""

from __future__ import annotations

from typing import Any

from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.clock import period_end
from infra.local.stripe_stand_in.errors import invalid
from infra.local.stripe_stand_in.invoice_lines import item_line, line
from infra.local.stripe_stand_in.money import cost
from infra.local.stripe_stand_in.resources import payment_methods, prices
from infra.local.stripe_stand_in.rules import merge_metadata, refuse
from infra.local.stripe_stand_in.store import Obj


def price_of(acct: Account, entry: Obj, param: str) -> Obj:
    """The active price an entry names, or a new one from its `price_data`."""
    if "price_data" in entry:
        return prices.create(acct, entry["price_data"])
    given = entry.get("price") or entry.get("plan")
    if given is None:
        raise invalid("An item needs a `price`.", f"{param}[price]", "parameter_missing")
    price = acct.get("price", given, f"{param}[price]")
    refuse(
        # What a schedule took when the price was sold it carries out, as subscriptions keep what they have.
        not price["active"] and "_scheduled" not in entry,
        "The price specified is inactive. This field only accepts active prices.",
        f"{param}[price]",
    )
    return price


def new_item(acct: Account, subscription_id: str, entry: Obj, param: str) -> Obj:
    """An item of a recurring price; its period is set by the caller."""
    price = price_of(acct, entry, param)
    refuse(
        price["type"] != "recurring",
        "The price specified is set to `type=one_time` but this field only accepts prices with "
        "`type=recurring`.",
        f"{param}[price]",
    )
    metered = price["recurring"]["usage_type"] == "metered"
    refuse(
        metered and "quantity" in entry,
        "You cannot set a quantity for a metered price.",
        f"{param}[quantity]",
    )
    item = acct.new(
        "subscription_item",
        current_period_end=0,
        current_period_start=0,
        discounts=[],
        metadata=merge_metadata({}, entry.get("metadata")),
        price=price["id"],
        quantity=None if metered else entry.get("quantity", 1),
        subscription=subscription_id,
        tax_rates=[],
        plan=None,
    )
    if metered:
        # Stripe leaves the quantity of metered items out altogether.
        del item["quantity"]
    acct.store.put("_item_owner", item["id"], {"id": item["id"], "subscription": subscription_id})
    return item


def currency_of(acct: Account, items: list[Obj], wanted: str | None) -> str:
    """The one currency of all items."""
    found = [acct.get("price", item["price"]) for item in items]
    currency: str = wanted or found[0]["currency"]
    for price in found:
        refuse(
            currency not in price["_currency_options"],
            f"The price `{price['id']}` is not available in the currency `{currency}`.",
            "items",
        )
    return currency


def set_period(acct: Account, item: Obj, anchor: int, start: int) -> None:
    """The item's period begins at `start` and ends at the next boundary after it."""
    recurring = acct.get("price", item["price"])["recurring"]
    item["current_period_start"] = start
    item["current_period_end"] = period_end(
        anchor, start, recurring["interval"], recurring["interval_count"]
    )


def licensed_line(acct: Account, subscription: Obj, item: Obj, amount: int | None = None) -> Obj:
    """The invoice line for an item's current period."""
    if amount is None:
        price = acct.get("price", item["price"])
        amount = cost(price, item["quantity"], subscription["currency"])
    period = (item["current_period_start"], item["current_period_end"])
    return item_line(acct, subscription, item, amount, period, quantity=item["quantity"])


def is_metered(acct: Account, item: Obj) -> bool:
    """Whether the item is billed by usage after its period."""
    return bool(acct.get("price", item["price"])["recurring"]["usage_type"] == "metered")


def default_method(acct: Account, subscription: Obj) -> Obj | None:
    """The payment method that pays: the subscription's, else the customer's."""
    customer = acct.get("customer", subscription["customer"])
    for method_id in (
        subscription["default_payment_method"],
        subscription["default_source"],
        customer["invoice_settings"]["default_payment_method"],
        customer["default_source"],
    ):
        found = acct.find("payment_method", method_id) if method_id else None
        if found is not None and found["customer"] is not None:
            return found
    return None


def extra_lines(acct: Account, entries: Any, currency: str, param: str) -> list[Obj]:
    """One-time prices added to an invoice."""
    lines = []
    for i, entry in enumerate(entries or []):
        price = price_of(acct, entry, f"{param}[{i}]")
        quantity = entry.get("quantity", 1)
        product = acct.get("product", price["product"])
        lines.append(
            line(
                acct,
                price,
                cost(price, quantity, currency),
                (acct.now(), acct.now()),
                currency=currency,
                quantity=quantity,
                description=product["name"],
            )
        )
    return lines


def resolve_method(acct: Account, given: str | None, param: str) -> str | None:
    """The id of a payment method given by id or test token."""
    if not given:
        return None
    found: str = payment_methods.resolve(acct, given, param)["id"]
    return found
