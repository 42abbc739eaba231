"""Payment intents, charges and refunds, as far as triggers and refunds in tests need them."""

from __future__ import annotations

from typing import Any

from infra.local.stripe_stand_in import collecting, shape
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.errors import card_error
from infra.local.stripe_stand_in.render import view
from infra.local.stripe_stand_in.resources import payment_methods
from infra.local.stripe_stand_in.router import route
from infra.local.stripe_stand_in.rules import limit_lengths, matching, merge_metadata, page, refuse
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.subscribing import settle


@route("POST", "/v1/payment_intents")
def create_intent(acct: Account, params: Obj) -> Obj:
    """An intent, charged at once when `confirm` is given."""
    refuse(params["amount"] < 1, "Invalid positive integer", "amount", "parameter_invalid_integer")
    if "customer" in params:
        acct.get("customer", params["customer"], "customer")
    made = collecting.new_intent(
        acct, params["amount"], params["currency"].lower(), params.get("customer")
    )
    intent = acct.edit("payment_intent", made["id"])
    intent["metadata"] = merge_metadata({}, params.get("metadata"))
    for name in ("description", "receipt_email", "setup_future_usage", "statement_descriptor"):
        if name in params:
            intent[name] = params[name]
    intent["capture_method"] = params.get("capture_method", "automatic")
    if "shipping" in params:
        address = shape.new("customer:Address", **params["shipping"].get("address", {}))
        given = {**params["shipping"], "address": address}
        intent["shipping"] = shape.new("payment_intent:Shipping", **given)
    acct.save(intent)
    if "payment_method" in params:
        method = payment_methods.resolve(acct, params["payment_method"], "payment_method")
        acct.save({**intent, "payment_method": method["id"], "status": "requires_confirmation"})
    return (
        confirm(acct, params, intent["id"])
        if params.get("confirm")
        else acct.get("payment_intent", intent["id"])
    )


@route("GET", "/v1/payment_intents/{id}")
def retrieve_intent(acct: Account, _params: Obj, intent_id: str) -> Obj:
    """The payment intent."""
    return acct.get("payment_intent", intent_id)


@route("POST", "/v1/payment_intents/{id}/confirm")
def confirm(acct: Account, params: Obj, intent_id: str) -> Obj:
    """The intent is paid, or declined with 402; an invoice behind it follows."""
    intent = acct.get("payment_intent", intent_id)
    refuse(
        intent["status"] in ("succeeded", "canceled"),
        f"This PaymentIntent's status is {intent['status']}; it cannot be confirmed.",
        "id",
        "payment_intent_unexpected_state",
    )
    given = params.get("payment_method") or intent["payment_method"]
    refuse(
        given is None,
        "You must provide a payment method to confirm this PaymentIntent.",
        "payment_method",
        "payment_intent_unexpected_state",
    )
    method = payment_methods.resolve(acct, str(given), "payment_method")
    outcome: str = method["_attach"] if method["_attach"] != "ok" else method["_charge"]
    if outcome == "authenticate":
        outcome = "ok"
    invoice = next((i for i in acct.all("invoice") if i.get("_intent") == intent_id), None)
    if invoice is not None:
        paid = collecting.attempt(acct, invoice["id"], method, outcome)
        if paid:
            settle(acct, invoice["id"])
    else:
        collecting.charge(acct, intent_id, method, outcome)
    if outcome != "ok":
        raise card_error(outcome, view(acct, acct.get("payment_intent", intent_id)))
    return acct.get("payment_intent", intent_id)


@route("POST", "/v1/payment_intents/{id}/cancel")
def cancel_intent(acct: Account, params: Obj, intent_id: str) -> Obj:
    """The intent can no longer be paid."""
    intent = acct.edit("payment_intent", intent_id)
    refuse(
        intent["status"] in ("succeeded", "canceled"),
        f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}.",
        "id",
        "payment_intent_unexpected_state",
    )
    intent.update(
        status="canceled",
        canceled_at=acct.now(),
        cancellation_reason=params.get("cancellation_reason"),
    )
    acct.save(intent)
    acct.emit("payment_intent.canceled", intent)
    return intent


@route("GET", "/v1/payment_intents")
def list_intents(acct: Account, params: Obj) -> Obj:
    """Payment intents, newest first."""
    found = matching(acct.all("payment_intent"), params, "customer")
    return page(acct, "payment_intent", found, params, "/v1/payment_intents")


@route("POST", "/v1/charges")
def create_charge(acct: Account, params: Obj) -> Obj:
    """The older way to charge a card in one step."""
    limit_lengths(params, statement_descriptor=22)
    made = collecting.new_intent(
        acct, params["amount"], params["currency"].lower(), params.get("customer")
    )
    token: Any = params.get("source", "tok_visa")
    method = payment_methods.resolve(acct, token, "source")
    outcome = method["_attach"] if method["_attach"] != "authenticate" else "ok"
    intent = collecting.charge(acct, made["id"], method, outcome)
    if outcome != "ok":
        raise card_error(outcome)
    return acct.get("charge", intent["latest_charge"])


@route("GET", "/v1/charges/{id}")
def retrieve_charge(acct: Account, _params: Obj, charge_id: str) -> Obj:
    """The charge."""
    return acct.get("charge", charge_id)


@route("POST", "/v1/charges/{id}")
def update_charge(acct: Account, params: Obj, charge_id: str) -> Obj:
    """The charge with other notes."""
    charge = acct.edit("charge", charge_id)
    charge["metadata"] = merge_metadata(charge["metadata"], params.get("metadata"))
    for name in ("description", "receipt_email"):
        if name in params:
            charge[name] = params[name]
    return acct.save(charge, "charge.updated")


@route("GET", "/v1/charges")
def list_charges(acct: Account, params: Obj) -> Obj:
    """Charges, newest first."""
    found = matching(acct.all("charge"), params, "customer", "payment_intent")
    return page(acct, "charge", found, params, "/v1/charges")


@route("POST", "/v1/refunds")
def create_refund(acct: Account, params: Obj) -> Obj:
    """Money of a charge goes back, never more than it took."""
    charge_id = params.get("charge")
    if charge_id is None:
        refuse(
            "payment_intent" not in params,
            "Must provide `charge` or `payment_intent`.",
            "charge",
            "parameter_missing",
        )
        intent = acct.get("payment_intent", params["payment_intent"], "payment_intent")
        charge_id = intent["latest_charge"]
    charge = acct.edit("charge", charge_id, "charge")
    left = charge["amount_captured"] - charge["amount_refunded"]
    refuse(
        left == 0,
        f"Charge {charge_id} has already been refunded.",
        "charge",
        "charge_already_refunded",
    )
    amount = params.get("amount", left)
    refuse(
        not 1 <= amount <= left,
        f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
        "amount",
    )
    refund = acct.new(
        "refund",
        amount=amount,
        charge=charge_id,
        currency=charge["currency"],
        customer=charge["customer"],
        metadata=merge_metadata({}, params.get("metadata")),
        payment_intent=charge["payment_intent"],
        reason=params.get("reason"),
        status="succeeded",
    )
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    acct.add(refund, "refund.created")
    acct.save(charge, "charge.refunded")
    return refund


@route("GET", "/v1/refunds/{id}")
def retrieve_refund(acct: Account, _params: Obj, refund_id: str) -> Obj:
    """The refund."""
    return acct.get("refund", refund_id)


@route("GET", "/v1/refunds")
def list_refunds(acct: Account, params: Obj) -> Obj:
    """Refunds, newest first."""
    found = matching(acct.all("refund"), params, "charge", "payment_intent")
    return page(acct, "refund", found, params, "/v1/refunds")


def _account(acct: Account) -> Obj:
    return shape.new(
        "account",
        id=acct.id,
        business_profile=None,
        capabilities={"card_payments": "active", "transfers": "active"},
        charges_enabled=True,
        country="US",
        default_currency="usd",
        details_submitted=True,
        email="owner@example.com",
        metadata={},
        payouts_enabled=True,
        type="standard",
    )


@route("GET", "/v1/account")
def own_account(acct: Account, _params: Obj) -> Obj:
    """The account behind the key."""
    return _account(acct)


@route("GET", "/v1/accounts/{id}")
def some_account(acct: Account, _params: Obj, account_id: str) -> Obj:
    """The account behind the key, by its id."""
    refuse(account_id != acct.id, f"No such account: '{account_id}'", "id", "resource_missing")
    return _account(acct)
