"""Payment methods: test cards, and what each does when it is charged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from infra.local.stripe_stand_in import shape
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.errors import card_error, no_such
from infra.local.stripe_stand_in.router import route
from infra.local.stripe_stand_in.rules import merge_metadata, page, refuse
from infra.local.stripe_stand_in.store import Obj

# number -> (brand, what happens at attach, what happens at a charge with nobody present)
_CARDS: dict[str, tuple[str, str, str]] = {
    "4242424242424242": ("visa", "ok", "ok"),
    "5555555555554444": ("mastercard", "ok", "ok"),
    "378282246310005": ("amex", "ok", "ok"),
    "4000000000000002": ("visa", "generic_decline", "generic_decline"),
    "4000000000009995": ("visa", "insufficient_funds", "insufficient_funds"),
    "4000002500003155": ("visa", "authenticate", "ok"),
    "4000002760003184": ("visa", "authenticate", "authentication_required"),
    "4000000000000341": ("visa", "ok", "generic_decline"),
}
_TOKENS = {
    "visa": "4242424242424242",
    "visa_debit": "4242424242424242",
    "mastercard": "5555555555554444",
    "amex": "378282246310005",
    "chargeDeclined": "4000000000000002",
    "visa_chargeDeclined": "4000000000000002",
    "chargeDeclinedInsufficientFunds": "4000000000009995",
    "visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "chargeCustomerFail": "4000000000000341",
    "authenticationRequired": "4000002500003155",
    "authenticationRequiredOnSetup": "4000002760003184",
}
_LATER_YEARS = 4


def card_number(token: str) -> str | None:
    """The test card behind `pm_card_x`, `tok_x` or a bare number."""
    for prefix in ("pm_card_", "tok_"):
        if token.startswith(prefix):
            return _TOKENS.get(token.removeprefix(prefix))
    return token if token in _CARDS else None


def at_checkout(number: str) -> str:
    """What a test card does on the pay page: `ok`, `authenticate` or a decline code."""
    return _CARDS[number][1] if number in _CARDS else "generic_decline"


def known_card(number: str) -> bool:
    """Whether it is one of the test cards."""
    return number in _CARDS


def make_card(acct: Account, number: str, **fields: Any) -> Obj:
    """A stored card payment method for this test number."""
    brand, attach, charge = _CARDS[number]
    method = acct.new(
        "payment_method",
        billing_details={
            "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
            "email": None,
            "name": None,
            "phone": None,
            "tax_id": None,
        },
        allow_redisplay="unspecified",
        card=_card(acct, number, brand),
        metadata={},
        type="card",
        **fields,
    )
    method["_attach"], method["_charge"] = attach, charge
    # A null here would say "a payment method of type affirm without details".
    kept = {"card", "customer", "customer_account", "metadata", "allow_redisplay"}
    nulls = [k for k, v in method.items() if v is None and k not in kept]
    return acct.add({k: v for k, v in method.items() if k not in nulls})


def _card(acct: Account, number: str, brand: str) -> Obj:
    return shape.new(
        "payment_method:Card",
        brand=brand,
        checks={
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "pass",
        },
        country="US",
        display_brand=brand,
        exp_month=12,
        exp_year=datetime.fromtimestamp(acct.now(), UTC).year + _LATER_YEARS,
        fingerprint="fp" + number[-8:],
        funding="credit",
        last4=number[-4:],
        networks={"available": [brand], "preferred": None},
        three_d_secure_usage={"supported": True},
    )


def resolve(acct: Account, given: str, param: str) -> Obj:
    """The payment method; a test token becomes one new card per request."""
    number = card_number(given)
    if number is None:
        return acct.get("payment_method", given, param)
    made = acct.aliases.get(given)
    if made is None:
        made = acct.aliases[given] = make_card(acct, number)["id"]
    return acct.get("payment_method", made, param)


def attach_to(acct: Account, method: Obj, customer_id: str) -> Obj:
    """The method belongs to the customer; a card that declines at attach is refused with 402."""
    if method.get("customer") == customer_id:
        return method
    refuse(
        method.get("customer") is not None,
        "The payment method you provided has already been attached to a customer.",
        "payment_method",
        "payment_method_unexpected_state",
    )
    if method["_attach"] not in ("ok", "authenticate"):
        raise card_error(method["_attach"])
    attached = {**method, "customer": customer_id}
    acct.store.put("payment_method", method["id"], attached)
    acct.emit("payment_method.attached", attached)
    return attached


@route("POST", "/v1/payment_methods")
def create(acct: Account, params: Obj) -> Obj:
    """A card; only test numbers and tokens are known."""
    card = params.get("card") or {}
    token = card.get("token") or card.get("number") or "4242424242424242"
    number = card_number(token)
    refuse(params.get("type", "card") != "card", "The stand-in emulates cards only.", "type")
    if number is None:
        raise no_such("token", token, "card[token]")
    method = make_card(acct, number)
    details = {**method["billing_details"], **(params.get("billing_details") or {})}
    if isinstance(details.get("address"), dict):
        details["address"] = {**method["billing_details"]["address"], **details["address"]}
    metadata = merge_metadata({}, params.get("metadata"))
    return acct.save({**method, "billing_details": details, "metadata": metadata})


@route("GET", "/v1/payment_methods/{id}")
def retrieve(acct: Account, _params: Obj, method_id: str) -> Obj:
    """The payment method."""
    return acct.get("payment_method", method_id)


@route("POST", "/v1/payment_methods/{id}/attach")
def attach(acct: Account, params: Obj, method_id: str) -> Obj:
    """The method is attached to the customer."""
    number = card_number(method_id)
    method = (
        make_card(acct, number) if number is not None else acct.get("payment_method", method_id)
    )
    customer = acct.get("customer", params["customer"], "customer")
    return attach_to(acct, method, customer["id"])


@route("POST", "/v1/payment_methods/{id}/detach")
def detach(acct: Account, _params: Obj, method_id: str) -> Obj:
    """The method belongs to nobody and is no default any more."""
    method = acct.edit("payment_method", method_id)
    refuse(
        method["customer"] is None,
        "The payment method you provided is not attached to a customer so detachment is "
        "impossible.",
        "payment_method",
    )
    customer = acct.edit("customer", method["customer"])
    if customer["invoice_settings"]["default_payment_method"] == method_id:
        customer["invoice_settings"]["default_payment_method"] = None
        acct.save(customer, "customer.updated")
    method["customer"] = None
    acct.store.put("payment_method", method_id, method)
    acct.emit("payment_method.detached", method)
    return method


@route("GET", "/v1/payment_methods")
def list_all(acct: Account, params: Obj) -> Obj:
    """A customer's payment methods, newest first."""
    found = [
        method
        for method in acct.all("payment_method")
        if method["customer"] is not None
        and params.get("customer", method["customer"]) == method["customer"]
    ]
    return page(acct, "payment_method", found, params, "/v1/payment_methods")


@route("GET", "/v1/customers/{id}/payment_methods")
def list_of_customer(acct: Account, params: Obj, customer_id: str) -> Obj:
    """A customer's payment methods, newest first."""
    acct.get("customer", customer_id)
    found = [m for m in acct.all("payment_method") if m["customer"] == customer_id]
    url = f"/v1/customers/{customer_id}/payment_methods"
    return page(acct, "payment_method", found, params, url)
