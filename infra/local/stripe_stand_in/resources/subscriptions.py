"""Subscriptions over the API: create, read, list, cancel, pause, resume."""

from __future__ import annotations

from typing import Any

from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.changing import change, keep_pending, take_pending
from infra.local.stripe_stand_in.clock import DAY
from infra.local.stripe_stand_in.collecting import attempt
from infra.local.stripe_stand_in.errors import malformed
from infra.local.stripe_stand_in.invoicing import draft_for, finalize
from infra.local.stripe_stand_in.prorating import credit
from infra.local.stripe_stand_in.router import route
from infra.local.stripe_stand_in.rules import limit_lengths, matching, page, refuse, within
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.subscribing import end, is_live, start
from infra.local.stripe_stand_in.subscription_parts import (
    default_method,
    is_metered,
    licensed_line,
    resolve_method,
    set_period,
)

__all__ = ["end", "is_live"]
_MAX_ITEMS = 20


@route("POST", "/v1/subscriptions")
def create(acct: Account, params: Obj) -> Obj:
    """A subscription of an existing customer, paid by the method on file."""
    limit_lengths(params, description=500)
    items = params.get("items")
    if not items:
        raise malformed("Missing required param: items.", "items", "parameter_missing")
    refuse(len(items) > _MAX_ITEMS, "A subscription can have up to 20 items.", "items")
    if "customer" not in params:
        raise malformed("Missing required param: customer.", "customer", "parameter_missing")
    customer = acct.get("customer", params["customer"], "customer")
    by_invoice = params.get("collection_method") == "send_invoice"
    if by_invoice and "days_until_due" not in params:
        raise malformed(
            "You must pass `days_until_due` when `collection_method` is `send_invoice`.",
            "days_until_due",
            "parameter_missing",
        )
    method = resolve_method(acct, params.get("default_payment_method"), "default_payment_method")
    if method is not None:
        refuse(
            acct.get("payment_method", method)["customer"] != customer["id"],
            "The customer does not have a payment method with the ID "
            f"{method}. The payment method must be attached to the customer.",
            "default_payment_method",
            "resource_missing",
        )
    behavior = params.get("payment_behavior", "allow_incomplete")
    spec: Obj = {
        **params,
        "customer": customer["id"],
        "default_payment_method": method,
        "trial_end": _trial_end(acct, params),
        "extra_items": params.get("add_invoice_items"),
        "needs_method": not by_invoice and behavior != "default_incomplete",
    }
    subscription = start(acct, spec)
    wanted: Any = {k: params[k] for k in ("cancel_at", "cancel_at_period_end") if k in params}
    return change(acct, subscription["id"], wanted) if wanted else subscription


def _trial_end(acct: Account, params: Obj) -> int | None:
    given = params.get("trial_end")
    if given == "now":
        return None
    if given is not None:
        refuse(given <= acct.now(), "`trial_end` must be a future timestamp.", "trial_end")
        moment: int = given
        return moment
    days = params.get("trial_period_days")
    if days is None and params.get("trial_from_plan"):
        found = [
            (acct.get("price", item["price"])["recurring"] or {}).get("trial_period_days")
            for item in params["items"]
            if "price" in item
        ]
        days = max((value for value in found if value), default=None)
    return acct.now() + int(days) * DAY if days else None


@route("GET", "/v1/subscriptions/{id}")
def retrieve(acct: Account, _params: Obj, subscription_id: str) -> Obj:
    """The subscription, canceled ones included."""
    return acct.get("subscription", subscription_id)


@route("POST", "/v1/subscriptions/{id}")
def update(acct: Account, params: Obj, subscription_id: str) -> Obj:
    """The subscription with what was given changed, prorated as asked."""
    limit_lengths(params, description=500)
    return change(acct, subscription_id, params)


@route("GET", "/v1/subscriptions")
def list_all(acct: Account, params: Obj) -> Obj:
    """Subscriptions, newest first; canceled ones only when the status asks for them."""
    found = matching(acct.all("subscription"), params, "customer", "collection_method")
    status = params.get("status")
    if status is None:
        found = [s for s in found if s["status"] != "canceled"]
    elif status == "ended":
        found = [s for s in found if not is_live(s)]
    elif status != "all":
        found = [s for s in found if s["status"] == status]
    if "price" in params:
        acct.get("price", params["price"], "price")
        found = [s for s in found if params["price"] in [i["price"] for i in s["items"]["data"]]]
    for name in ("current_period_start", "current_period_end"):
        if name in params:
            found = [
                s for s in found if any(within(i[name], params[name]) for i in s["items"]["data"])
            ]
    return page(acct, "subscription", found, params, "/v1/subscriptions")


@route("DELETE", "/v1/subscriptions/{id}")
def cancel(acct: Account, params: Obj, subscription_id: str) -> Obj:
    """The subscription is over now; refused when it already is."""
    subscription = acct.get("subscription", subscription_id)
    refuse(
        not is_live(subscription),
        f"No such subscription: '{subscription_id}'",
        "id",
        "resource_missing",
    )
    if params.get("prorate") or params.get("invoice_now"):
        change(
            acct,
            subscription_id,
            {"_credit_all": bool(params.get("prorate")), "_invoice": params.get("invoice_now")},
        )
    details = {
        name: value or None for name, value in (params.get("cancellation_details") or {}).items()
    }
    return end(acct, subscription_id, "cancellation_requested", **details)


@route("POST", "/v1/subscriptions/{id}/pause")
def pause(acct: Account, params: Obj, subscription_id: str) -> Obj:
    """The subscription is paused: no periods begin and nothing is charged until it resumes.

    What is left of the period is credited with the next invoice, unless the request says otherwise.
    """
    refuse(
        params.get("invoicing_behavior") == "invoice",
        "The stand-in does not emulate invoicing_behavior=invoice.",
        "invoicing_behavior",
    )
    subscription = acct.edit("subscription", subscription_id)
    refuse(
        subscription["status"] not in ("active", "trialing", "past_due"),
        f"You cannot pause a subscription that is {subscription['status']}.",
        "id",
    )
    unused = ((params.get("bill_for") or {}).get("unused_time_from") or {}).get("type", "now")
    if unused == "now" and subscription["status"] == "active":
        for item in subscription["items"]["data"]:
            keep_pending(acct, subscription_id, credit(acct, subscription, item, acct.now()))
    subscription["status"] = "paused"
    subscription["status_details"] = _paused(acct, "pause_requested")
    acct.save(subscription, "customer.subscription.updated")
    acct.emit("customer.subscription.paused", subscription)
    return subscription


def _paused(acct: Account, why: str) -> Obj:
    return {
        "paused": {
            "subscription": {"type": why},
            "transitioned_at": acct.now(),
            "type": "subscription",
        }
    }


@route("POST", "/v1/subscriptions/{id}/resume")
def resume(acct: Account, params: Obj, subscription_id: str) -> Obj:
    """The subscription is active again; with a new cycle (the default) it is billed at once."""
    subscription = acct.edit("subscription", subscription_id)
    refuse(subscription["status"] != "paused", "You can only resume a paused subscription.", "id")
    subscription["status"] = "active"
    subscription["status_details"] = None
    subscription["trial_end"] = (
        min(subscription["trial_end"] or acct.now(), acct.now())
        if (subscription["trial_end"] is not None)
        else None
    )
    now = acct.now()
    anew = (params.get("billing_cycle_anchor") or {}).get("type", "now") == "now" or any(
        item["current_period_end"] <= now for item in subscription["items"]["data"]
    )
    if anew:
        subscription["billing_cycle_anchor"] = now
        for item in subscription["items"]["data"]:
            set_period(acct, item, now, now)
    acct.save(subscription, "customer.subscription.updated")
    acct.emit("customer.subscription.resumed", subscription)
    if anew:
        _bill_resumption(acct, subscription)
    return acct.get("subscription", subscription_id)


def _bill_resumption(acct: Account, subscription: Obj) -> None:
    lines = [
        licensed_line(acct, subscription, item)
        for item in subscription["items"]["data"]
        if not is_metered(acct, item)
    ]
    lines = take_pending(acct, subscription["id"]) + lines
    invoice = draft_for(acct, subscription, lines, reason="subscription_update")
    acct.save({**subscription, "latest_invoice": invoice["id"]}, "customer.subscription.updated")
    if finalize(acct, invoice["id"])["status"] == "open":
        method = default_method(acct, subscription)
        outcome = method["_charge"] if method else "missing_payment_method"
        if not attempt(acct, invoice["id"], method, outcome):
            current = acct.edit("subscription", subscription["id"])
            acct.save({**current, "status": "past_due"}, "customer.subscription.updated")
