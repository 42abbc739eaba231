"""Invoice items: charges and credits that wait for an invoice."""

from __future__ import annotations

from infra.local.stripe_stand_in import invoicing
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.invoice_lines import line as invoice_line
from infra.local.stripe_stand_in.router import route
from infra.local.stripe_stand_in.rules import matching, merge_metadata, page, refuse
from infra.local.stripe_stand_in.store import Obj


def take_items(acct: Account, customer: str, currency: str) -> list[Obj]:
    """The lines of the waiting items, which wait no more."""
    taken = []
    for item in acct.all("invoiceitem"):
        free = item["invoice"] is None and item["customer"] == customer
        if free and item["currency"] == currency:
            taken.append(dict(item["_line"]))
            acct.store.delete("invoiceitem", item["id"])
    return taken


@route("POST", "/v1/invoiceitems")
def create_item(acct: Account, params: Obj) -> Obj:
    """A charge or credit that waits for the customer's next invoice, or joins a draft."""
    customer = acct.get("customer", params.get("customer", ""), "customer")
    price_id = (params.get("pricing") or {}).get("price")
    currency: str = params.get("currency") or customer["currency"] or "usd"
    quantity = params.get("quantity", 1)
    moment = {"start": acct.now(), "end": acct.now()}
    if price_id is not None:
        price = acct.get("price", price_id, "pricing[price]")
        currency = price["currency"]
        from infra.local.stripe_stand_in.money import cost  # noqa: PLC0415 - only here

        amount = cost(price, quantity)
        line = invoice_line(
            acct,
            price,
            amount,
            (acct.now(), acct.now()),
            currency=currency,
            quantity=quantity,
            description=params.get("description") or "",
        )
    else:
        refuse(
            "amount" not in params,
            "Must provide `amount` or `pricing`.",
            "amount",
            "parameter_missing",
        )
        amount = params["amount"]
        line = _plain_line(acct, params, currency, amount)
    item = acct.new(
        "invoiceitem",
        amount=amount,
        currency=currency,
        customer=customer["id"],
        date=acct.now(),
        description=params.get("description"),
        discountable=params.get("discountable", amount >= 0),
        discounts=[],
        invoice=params.get("invoice"),
        metadata=merge_metadata({}, params.get("metadata")),
        period=moment,
        pricing=line["pricing"],
        proration=False,
        quantity=quantity,
        quantity_decimal=str(quantity),
        tax_rates=[],
    )
    item["_line"] = line
    acct.add(item, "invoiceitem.created")
    if params.get("invoice"):
        draft = acct.edit("invoice", params["invoice"], "invoice")
        invoicing.set_lines(draft, [*draft["_lines"], line])
        acct.save(draft, "invoice.updated")
    return item


def _plain_line(acct: Account, params: Obj, currency: str, amount: int) -> Obj:
    return acct.new(
        "line_item",
        amount=amount,
        currency=currency,
        description=params.get("description"),
        discount_amounts=[],
        discountable=amount >= 0,
        discounts=[],
        metadata={},
        period={"start": acct.now(), "end": acct.now()},
        pretax_credit_amounts=[],
        pricing=None,
        quantity=1,
        quantity_decimal="1",
        subtotal=amount,
        taxes=[],
    )


@route("GET", "/v1/invoiceitems/{id}")
def retrieve_item(acct: Account, _params: Obj, item_id: str) -> Obj:
    """The invoice item."""
    return acct.get("invoiceitem", item_id)


@route("GET", "/v1/invoiceitems")
def list_items(acct: Account, params: Obj) -> Obj:
    """Invoice items, newest first."""
    found = matching(acct.all("invoiceitem"), params, "customer", "invoice")
    if params.get("pending"):
        found = [item for item in found if item["invoice"] is None]
    return page(acct, "invoiceitem", found, params, "/v1/invoiceitems")
