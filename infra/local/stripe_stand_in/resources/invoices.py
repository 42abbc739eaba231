"""Invoices over the API, and previews of invoices that do not exist yet."""

from __future__ import annotations

from typing import Any

from infra.local.stripe_stand_in import collecting, invoicing, preview
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.errors import card_error
from infra.local.stripe_stand_in.render import listing
from infra.local.stripe_stand_in.resources import payment_methods
from infra.local.stripe_stand_in.resources.invoice_items import take_items
from infra.local.stripe_stand_in.router import route
from infra.local.stripe_stand_in.rules import matching, merge_metadata, page, refuse, within
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.subscribing import settle
from infra.local.stripe_stand_in.subscription_parts import default_method


def _subscription_of(invoice: Obj) -> str | None:
    details = (invoice["parent"] or {}).get("subscription_details")
    found: str | None = details["subscription"] if details else None
    return found


@route("GET", "/v1/invoices")
def list_all(acct: Account, params: Obj) -> Obj:
    """Invoices, newest first."""
    found = matching(acct.all("invoice"), params, "customer", "status", "collection_method")
    if "subscription" in params:
        found = [i for i in found if _subscription_of(i) == params["subscription"]]
    if "due_date" in params:
        found = [i for i in found if i["due_date"] and within(i["due_date"], params["due_date"])]
    return page(acct, "invoice", found, params, "/v1/invoices")


@route("GET", "/v1/invoices/{id}")
def retrieve(acct: Account, _params: Obj, invoice_id: str) -> Obj:
    """The invoice."""
    return acct.get("invoice", invoice_id)


@route("GET", "/v1/invoices/{id}/lines")
def lines(acct: Account, params: Obj, invoice_id: str) -> Obj:
    """The invoice's lines in order."""
    found = acct.get("invoice", invoice_id)["_lines"]
    limit = params.get("limit", 10)
    ids = [line["id"] for line in found]
    begin = ids.index(params["starting_after"]) + 1 if params.get("starting_after") in ids else 0
    url = f"/v1/invoices/{invoice_id}/lines"
    return listing(url, found[begin : begin + limit], has_more=len(found) > begin + limit)


@route("POST", "/v1/invoices/create_preview")
def create_preview(acct: Account, params: Obj) -> Obj:
    """The invoice that would follow; nothing is kept."""
    return preview.upcoming(acct, params)


@route("POST", "/v1/invoices")
def create(acct: Account, params: Obj) -> Obj:
    """A draft of the customer's pending invoice items."""
    customer = acct.get("customer", params.get("customer", ""), "customer")
    currency: str = params.get("currency") or customer["currency"] or "usd"
    found = []
    if params.get("pending_invoice_items_behavior", "exclude") == "include":
        found = take_items(acct, customer["id"], currency)
    due = params.get("due_date")
    if due is None and "days_until_due" in params:
        due = acct.now() + params["days_until_due"] * 86_400
    return invoicing.draft(
        acct,
        customer,
        found,
        reason="manual",
        currency=currency,
        period=(acct.now(), acct.now()),
        extra={
            "auto_advance": params.get("auto_advance", False),
            "collection_method": params.get("collection_method", "charge_automatically"),
            "description": params.get("description"),
            "due_date": due,
            "metadata": merge_metadata({}, params.get("metadata")),
        },
    )


@route("POST", "/v1/invoices/{id}")
def update(acct: Account, params: Obj, invoice_id: str) -> Obj:
    """The invoice with other notes."""
    invoice = acct.edit("invoice", invoice_id)
    invoice["metadata"] = merge_metadata(invoice["metadata"], params.get("metadata"))
    for name in ("auto_advance", "description", "footer", "default_payment_method"):
        if name in params:
            invoice[name] = None if params[name] == "" else params[name]
    return acct.save(invoice, "invoice.updated")


@route("DELETE", "/v1/invoices/{id}")
def delete(acct: Account, _params: Obj, invoice_id: str) -> Obj:
    """The draft is gone."""
    invoice = acct.get("invoice", invoice_id)
    refuse(invoice["status"] != "draft", "You can only delete draft invoices.", "id")
    return acct.remove(invoice, "invoice.deleted")


@route("POST", "/v1/invoices/{id}/finalize")
def finalize(acct: Account, _params: Obj, invoice_id: str) -> Obj:
    """The draft is an open invoice."""
    invoice = acct.get("invoice", invoice_id)
    refuse(
        invoice["status"] != "draft",
        "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
        "id",
        "invoice_not_editable",
    )
    return invoicing.finalize(acct, invoice_id)


@route("POST", "/v1/invoices/{id}/pay")
def pay(acct: Account, params: Obj, invoice_id: str) -> Obj:
    """The invoice is paid, or the decline is answered with 402."""
    invoice = acct.get("invoice", invoice_id)
    refuse(invoice["status"] == "paid", "Invoice is already paid", "id", "invoice_already_paid")
    refuse(
        invoice["status"] in ("void", "uncollectible"),
        f"This invoice is {invoice['status']}; it cannot be paid.",
        "id",
    )
    if invoice["status"] == "draft":
        invoice = invoicing.finalize(acct, invoice_id)
    if invoice["status"] == "open":
        if params.get("paid_out_of_band"):
            collecting.mark_paid(acct, invoice_id)
        else:
            _collect(acct, invoice, params.get("payment_method") or params.get("source"))
        settle(acct, invoice_id)
    return acct.get("invoice", invoice_id)


def _collect(acct: Account, invoice: Obj, given: str | None) -> None:
    method: Any = None
    if given is not None:
        method = payment_methods.resolve(acct, given, "payment_method")
    elif (owner := _subscription_of(invoice)) is not None:
        method = default_method(acct, acct.get("subscription", owner))
    else:
        customer = acct.get("customer", invoice["customer"])
        method_id = (
            customer["invoice_settings"]["default_payment_method"] or customer["default_source"]
        )
        method = acct.find("payment_method", method_id) if method_id else None
    refuse(
        method is None,
        "There is no payment method on file for this customer.",
        "payment_method",
        "invoice_payment_intent_requires_action",
    )
    outcome = method["_attach"]
    if outcome in ("ok", "authenticate"):
        outcome = method["_charge"]
    if not collecting.attempt(acct, invoice["id"], method, outcome):
        raise card_error(outcome)


@route("POST", "/v1/invoices/{id}/void")
def void(acct: Account, _params: Obj, invoice_id: str) -> Obj:
    """The invoice asks for nothing any more."""
    invoice = acct.get("invoice", invoice_id)
    refuse(
        invoice["status"] not in ("open", "uncollectible"),
        "You can only void open or uncollectible invoices.",
        "id",
    )
    return collecting.close(acct, invoice_id, "void")


@route("POST", "/v1/invoices/{id}/mark_uncollectible")
def mark_uncollectible(acct: Account, _params: Obj, invoice_id: str) -> Obj:
    """The invoice is given up."""
    refuse(
        acct.get("invoice", invoice_id)["status"] != "open",
        "You can only mark open invoices uncollectible.",
        "id",
    )
    return collecting.close(acct, invoice_id, "uncollectible")


@route("POST", "/v1/invoices/{id}/send")
def send(acct: Account, _params: Obj, invoice_id: str) -> Obj:
    """The invoice is open and counts as sent."""
    invoice = acct.get("invoice", invoice_id)
    if invoice["status"] == "draft":
        invoice = invoicing.finalize(acct, invoice_id)
    acct.emit("invoice.sent", invoice)
    return invoice


@route("GET", "/v1/invoice_payments")
def list_payments(acct: Account, params: Obj) -> Obj:
    """Payments of invoices, newest first."""
    found = matching(acct.all("invoice_payment"), params, "invoice", "status")
    wanted = (params.get("payment") or {}).get("payment_intent")
    if wanted is not None:
        found = [p for p in found if p["payment"]["payment_intent"] == wanted]
    return page(acct, "invoice_payment", found, params, "/v1/invoice_payments")


@route("GET", "/v1/invoice_payments/{id}")
def retrieve_payment(acct: Account, _params: Obj, payment_id: str) -> Obj:
    """The invoice payment."""
    return acct.get("invoice_payment", payment_id)
