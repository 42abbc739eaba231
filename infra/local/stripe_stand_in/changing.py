"""Changes to a running subscription: items, proration, trial, cancellation, and their invoices."""

from __future__ import annotations

from typing import Any

from infra.local.stripe_stand_in import collecting, discounts, invoicing
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.errors import card_error, invalid
from infra.local.stripe_stand_in.prorating import credit, debit, interval_of
from infra.local.stripe_stand_in.rules import merge_metadata, refuse, unset
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.subscribing import DEAD
from infra.local.stripe_stand_in.subscription_parts import (
    default_method,
    extra_lines,
    is_metered,
    licensed_line,
    new_item,
    price_of,
    resolve_method,
    set_period,
)

_PLAIN = (
    "collection_method",
    "days_until_due",
    "description",
    "default_source",
    "pause_collection",
)
_HARMLESS = {"metadata", "cancellation_details", "expand"}


def change(acct: Account, subscription_id: str, params: Obj) -> Obj:
    """The subscription is changed, and invoiced at once where the change says so."""
    subscription = acct.edit("subscription", subscription_id)
    refuse(
        subscription["status"] in DEAD and bool(set(params) - _HARMLESS),
        "A canceled subscription can only update its cancellation_details and metadata.",
    )
    refuse(
        params.get("payment_behavior") == "pending_if_incomplete",
        "The stand-in does not emulate payment_behavior=pending_if_incomplete.",
        "payment_behavior",
    )
    lines, at_once = apply(acct, subscription, params)
    acct.save(subscription, "customer.subscription.updated")
    lines += extra_lines(
        acct, params.get("add_invoice_items"), subscription["currency"], "add_invoice_items"
    )
    if at_once or params.get("proration_behavior") == "always_invoice":
        _invoice(acct, subscription_id, lines, params)
    else:
        keep_pending(acct, subscription_id, lines)
    return acct.get("subscription", subscription_id)


def apply(acct: Account, subscription: Obj, params: Obj) -> tuple[list[Obj], bool]:
    """The edited subscription; the lines the change costs, and whether they are due at once."""
    _apply_plain(acct, subscription, params)
    behavior = params.get("proration_behavior", "create_prorations")
    moment = params.get("proration_date", acct.now())
    lines: list[Obj] = []
    at_once = bool(params.get("_invoice"))
    if params.get("_credit_all"):
        for item in subscription["items"]["data"]:
            lines += credit(acct, subscription, item, moment)
    restarted = _end_trial(acct, subscription, params)
    for i, entry in enumerate(params.get("items") or []):
        made, fresh = _change_item(acct, subscription, entry, f"items[{i}]", behavior, moment)
        lines += made
        at_once = at_once or fresh
    if restarted:
        at_once = True
        lines = [
            licensed_line(acct, subscription, item)
            for item in subscription["items"]["data"]
            if not is_metered(acct, item)
        ]
    _apply_end(acct, subscription, params)
    subscription["items"]["total_count"] = len(subscription["items"]["data"])
    return lines, at_once


def _apply_plain(acct: Account, subscription: Obj, params: Obj) -> None:
    for name in _PLAIN:
        if name in params:
            subscription[name] = unset(params[name])
    if isinstance(subscription["pause_collection"], dict):
        subscription["pause_collection"].setdefault("resumes_at", None)
    if "default_payment_method" in params:
        subscription["default_payment_method"] = resolve_method(
            acct, params["default_payment_method"], "default_payment_method"
        )
    subscription["metadata"] = merge_metadata(subscription["metadata"], params.get("metadata"))
    for name in ("cancellation_details", "payment_settings"):
        given = {key: unset(value) for key, value in (params.get(name) or {}).items()}
        subscription[name].update(given)
    if "trial_settings" in params:
        subscription["trial_settings"]["end_behavior"].update(
            params["trial_settings"].get("end_behavior", {})
        )
    if "discounts" in params:
        _change_discounts(acct, subscription, params["discounts"] or [])


def _change_discounts(acct: Account, subscription: Obj, given: list[Obj]) -> None:
    kept = {entry["discount"] for entry in given if "discount" in entry}
    for discount_id in subscription["discounts"]:
        if discount_id not in kept:
            discounts.drop(acct, discount_id)
    subscription["discounts"] = discounts.redeem(
        acct,
        given,
        "discounts",
        customer=subscription["customer"],
        subscription=subscription["id"],
    )


def _end_trial(acct: Account, subscription: Obj, params: Obj) -> bool:
    """Whether a new billing cycle begins now."""
    given: Any = params.get("trial_end")
    now = acct.now()
    if isinstance(given, int):
        refuse(given <= now, "`trial_end` must be a future timestamp or `now`.", "trial_end")
        subscription.update(
            status="trialing",
            trial_end=given,
            trial_start=subscription["trial_start"] or now,
            billing_cycle_anchor=given,
        )
        for item in subscription["items"]["data"]:
            item["current_period_end"] = given
        return False
    ends = given == "now" and subscription["status"] == "trialing"
    anew = (params.get("billing_cycle_anchor") or {}).get("type") == "now"
    if not (ends or anew):
        return False
    if ends:
        subscription.update(status="active", trial_end=now)
    subscription["billing_cycle_anchor"] = now
    for item in subscription["items"]["data"]:
        set_period(acct, item, now, now)
    return True


def _change_item(
    acct: Account, subscription: Obj, entry: Obj, param: str, behavior: str, moment: int
) -> tuple[list[Obj], bool]:
    """The lines of one item's change, and whether its billing period starts anew."""
    items: list[Obj] = subscription["items"]["data"]
    prorate = behavior != "none" and subscription["status"] not in ("trialing", "incomplete")
    if "id" not in entry:
        item = new_item(acct, subscription["id"], entry, param)
        refuse(
            item["price"] in [other["price"] for other in items],
            f"An item with the price `{item['price']}` exists already; change its quantity.",
            f"{param}[price]",
        )
        set_period(acct, item, subscription["billing_cycle_anchor"], moment)
        if subscription["status"] == "trialing":
            item["current_period_end"] = subscription["trial_end"]
        items.append(item)
        return (debit(acct, subscription, item, moment) if prorate else []), False
    item = next((found for found in items if found["id"] == entry["id"]), {})
    if not item:
        raise invalid(
            f"No such subscription item: '{entry['id']}'", f"{param}[id]", "resource_missing"
        )
    given_back = credit(acct, subscription, item, moment) if prorate else []
    if entry.get("deleted"):
        refuse(len(items) == 1, "A subscription must have at least one active item.", param)
        items.remove(item)
        return given_back, False
    old_interval = interval_of(acct, item)
    before = (item["price"], item.get("quantity"))
    _rewrite(acct, item, entry, param)
    if "metadata" in entry:
        item["metadata"] = merge_metadata(item["metadata"], entry["metadata"])
    if (item["price"], item.get("quantity")) == before:
        return [], False
    if interval_of(acct, item) != old_interval and subscription["status"] != "trialing":
        subscription["billing_cycle_anchor"] = moment
        set_period(acct, item, moment, moment)
        fresh = [] if is_metered(acct, item) else [licensed_line(acct, subscription, item)]
        return given_back + fresh, True
    asked_for = debit(acct, subscription, item, moment) if prorate else []
    return given_back + asked_for, False


def _rewrite(acct: Account, item: Obj, entry: Obj, param: str) -> None:
    if {"price", "price_data", "plan"} & set(entry):
        price = price_of(acct, entry, param)
        refuse(price["type"] != "recurring", "Items need a recurring price.", f"{param}[price]")
        item["price"] = price["id"]
    if is_metered(acct, item):
        refuse("quantity" in entry, "You cannot set a quantity for a metered price.", param)
        item.pop("quantity", None)
    else:
        item["quantity"] = entry.get("quantity", item.get("quantity") or 1)


def _apply_end(acct: Account, subscription: Obj, params: Obj) -> None:
    now = acct.now()
    ends = [item["current_period_end"] for item in subscription["items"]["data"]]
    at_period_end = params.get("cancel_at_period_end")
    refuse(
        bool(at_period_end) and bool(params.get("cancel_at")),
        "You may only specify one of these parameters: cancel_at, cancel_at_period_end.",
        "cancel_at",
    )
    cancel_at: Any = params.get("cancel_at")
    if isinstance(cancel_at, str) and cancel_at:
        cancel_at = min(ends) if cancel_at == "min_period_end" else max(ends)
    if at_period_end is True:
        subscription.update(cancel_at_period_end=True, cancel_at=max(ends), canceled_at=now)
        subscription["cancellation_details"]["reason"] = "cancellation_requested"
    elif cancel_at == "" or (at_period_end is False and subscription["cancel_at_period_end"]):
        subscription.update(cancel_at_period_end=False, cancel_at=None, canceled_at=None)
        subscription["cancellation_details"]["reason"] = None
    elif cancel_at:
        refuse(cancel_at <= now, "`cancel_at` must be in the future.", "cancel_at")
        subscription.update(cancel_at_period_end=False, cancel_at=cancel_at, canceled_at=now)
        subscription["cancellation_details"]["reason"] = "cancellation_requested"


def keep_pending(acct: Account, subscription_id: str, lines: list[Obj]) -> None:
    """The lines wait for the subscription's next invoice."""
    for entry in lines:
        acct.store.put(
            "_pending_line",
            entry["id"],
            {"id": entry["id"], "subscription": subscription_id, "line": entry},
        )


def take_pending(acct: Account, subscription_id: str) -> list[Obj]:
    """The waiting lines, which wait no more."""
    found = [
        entry
        for entry in acct.store.scan("_pending_line")
        if entry["subscription"] == subscription_id
    ]
    for entry in found:
        acct.store.delete("_pending_line", entry["id"])
    return [dict(entry["line"]) for entry in found]


def _invoice(acct: Account, subscription_id: str, lines: list[Obj], params: Obj) -> None:
    subscription = acct.get("subscription", subscription_id)
    lines = take_pending(acct, subscription_id) + lines
    if not lines:
        return
    invoice = invoicing.draft_for(acct, subscription, lines, reason="subscription_update")
    subscription = acct.save(
        {**subscription, "latest_invoice": invoice["id"]}, "customer.subscription.updated"
    )
    invoice = invoicing.finalize(acct, invoice["id"])
    if invoice["status"] != "open" or subscription["collection_method"] == "send_invoice":
        return
    if params.get("payment_behavior") == "default_incomplete":
        return
    method = default_method(acct, subscription)
    outcome = method["_charge"] if method else "missing_payment_method"
    if collecting.attempt(acct, invoice["id"], method, outcome):
        return
    if params.get("payment_behavior") == "error_if_incomplete":
        refused = card_error(outcome)
        refused.keeps_changes = False
        raise refused
    acct.save({**subscription, "status": "past_due"}, "customer.subscription.updated")
