"""Customers: deleting one ends its subscriptions and leaves a mark that can still be read."""

from __future__ import annotations

from typing import Any

from infra.local.stripe_stand_in import shape
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.errors import malformed, no_such
from infra.local.stripe_stand_in.resources import payment_methods
from infra.local.stripe_stand_in.router import route
from infra.local.stripe_stand_in.rules import limit_lengths, matching, merge_metadata, page, unset
from infra.local.stripe_stand_in.store import Obj

_PLAIN = (
    "email",
    "name",
    "description",
    "phone",
    "address",
    "shipping",
    "tax_exempt",
    "balance",
    "preferred_locales",
    "business_name",
    "individual_name",
    "invoice_prefix",
    "next_invoice_sequence",
)


@route("POST", "/v1/customers")
def create(acct: Account, params: Obj) -> Obj:
    """A customer."""
    customer = acct.new(
        "customer",
        balance=0,
        delinquent=False,
        invoice_prefix=acct.ids.new("code"),
        invoice_settings=shape.new("customer:InvoiceSettings"),
        metadata={},
        next_invoice_sequence=1,
        preferred_locales=[],
        tax_exempt="none",
    )
    _apply(acct, customer, params)
    acct.add(customer, "customer.created")
    if "payment_method" in params:
        method = payment_methods.resolve(acct, params["payment_method"], "payment_method")
        payment_methods.attach_to(acct, method, customer["id"])
    if "source" in params:
        customer = _use_source(acct, customer, params["source"])
    return _set_default_method(acct, customer, params)


def _apply(_acct: Account, customer: Obj, params: Obj) -> None:
    limit_lengths(params, email=512, name=256, phone=20, description=40_000)
    email = params.get("email")
    if email and ("@" not in email or any(c.isspace() for c in email)):
        raise malformed(f"Invalid email address: {email}", "email", "email_invalid")
    for name in _PLAIN:
        if name in params:
            customer[name] = unset(params[name])
    for name in ("address", "shipping"):
        if isinstance(params.get(name), dict):
            customer[name] = _filled(name, params[name])
    customer["metadata"] = merge_metadata(customer["metadata"], params.get("metadata"))
    settings = params.get("invoice_settings") or {}
    for name in ("custom_fields", "footer", "rendering_options"):
        if name in settings:
            customer["invoice_settings"][name] = unset(settings[name])


def _filled(name: str, given: Obj) -> Obj:
    if name == "address":
        return shape.new("customer:Address", **given)
    return {
        **shape.new("customer:Shipping", **given),
        "address": shape.new("customer:Address", **given.get("address", {})),
    }


def _set_default_method(acct: Account, customer: Obj, params: Obj) -> Obj:
    given: Any = (params.get("invoice_settings") or {}).get("default_payment_method")
    if given is None:
        return acct.get("customer", customer["id"])
    edited = acct.edit("customer", customer["id"])
    method_id = None
    if given != "":
        param = "invoice_settings[default_payment_method]"
        method = payment_methods.resolve(acct, given, param)
        if method["customer"] != customer["id"]:
            raise malformed(
                "The customer does not have a payment method with the ID "
                f"{method['id']}. The payment method must be attached to the customer.",
                param,
                "resource_missing",
            )
        method_id = method["id"]
    edited["invoice_settings"]["default_payment_method"] = method_id
    return acct.save(edited, "customer.updated")


def _use_source(acct: Account, customer: Obj, source: str) -> Obj:
    """The older way to give a card: it becomes an attached payment method and the default source."""
    method = payment_methods.resolve(acct, source, "source")
    payment_methods.attach_to(acct, method, customer["id"])
    return acct.save({**customer, "default_source": method["id"]}, "customer.updated")


@route("GET", "/v1/customers/{id}")
def retrieve(acct: Account, _params: Obj, customer_id: str) -> Obj:
    """The customer; a deleted one answers with its mark, not with 404."""
    found = acct.find("customer", customer_id)
    if found is None:
        raise no_such("customer", customer_id)
    if found.get("_deleted"):
        return {"id": customer_id, "object": "customer", "deleted": True}
    return found


@route("POST", "/v1/customers/{id}")
def update(acct: Account, params: Obj, customer_id: str) -> Obj:
    """The customer with what was given changed."""
    customer = acct.edit("customer", customer_id)
    _apply(acct, customer, params)
    customer = acct.save(customer, "customer.updated")
    if "source" in params:
        customer = _use_source(acct, customer, params["source"])
    return _set_default_method(acct, customer, params)


@route("DELETE", "/v1/customers/{id}")
def delete(acct: Account, _params: Obj, customer_id: str) -> Obj:
    """The customer is gone and its subscriptions are canceled at once."""
    from infra.local.stripe_stand_in.resources import subscriptions  # noqa: PLC0415 - subscriptions need customers too

    customer = acct.get("customer", customer_id)
    for subscription in acct.all("subscription"):
        if subscription["customer"] == customer_id and subscriptions.is_live(subscription):
            subscriptions.end(acct, subscription["id"], "cancellation_requested")
    return acct.remove(customer, "customer.deleted")


@route("GET", "/v1/customers")
def list_all(acct: Account, params: Obj) -> Obj:
    """Customers, newest first; the email filter is exact and minds case, as Stripe's does."""
    found = matching(acct.all("customer"), params, "email")
    return page(acct, "customer", found, params, "/v1/customers")
