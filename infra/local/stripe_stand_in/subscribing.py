"""How a subscription begins, whoever asked for it: the API, a checkout or a schedule."""

from __future__ import annotations

from typing import Any

from infra.local.stripe_stand_in import collecting, discounts, invoicing, shape
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.clock import DAY, period_end
from infra.local.stripe_stand_in.errors import StripeError, card_error
from infra.local.stripe_stand_in.money import cost, share
from infra.local.stripe_stand_in.render import listing
from infra.local.stripe_stand_in.rules import merge_metadata, refuse
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.subscription_parts import (
    currency_of,
    default_method,
    extra_lines,
    is_metered,
    licensed_line,
    new_item,
    set_period,
)

WARNING_SECONDS = 3 * DAY
DEAD = ("canceled", "incomplete_expired")


def is_live(subscription: Obj) -> bool:
    """Whether the subscription can still come back to life."""
    return subscription["status"] not in DEAD


def build(acct: Account, spec: Obj) -> Obj:
    """An unsaved subscription with its items, in the state before any payment."""
    now = acct.now()
    subscription_id = acct.ids.new("subscription")
    items = [
        new_item(acct, subscription_id, entry, f"items[{i}]")
        for i, entry in enumerate(spec["items"])
    ]
    refuse(
        len({item["price"] for item in items}) < len(items),
        "Subscription items must have distinct prices.",
        "items",
    )
    trial_end: int | None = spec.get("trial_end")
    anchor = trial_end or spec.get("billing_cycle_anchor") or now
    for item in items:
        set_period(acct, item, anchor, now)
        if anchor > now:
            item["current_period_end"] = anchor
    collection = spec.get("collection_method", "charge_automatically")
    return acct.new(
        "subscription",
        id=subscription_id,
        automatic_tax=shape.new(
            "subscription:AutomaticTax", **(spec.get("automatic_tax") or {"enabled": False})
        ),
        billing_cycle_anchor=anchor,
        billing_mode=_billing_mode(spec),
        billing_schedules=[],
        cancel_at_period_end=False,
        cancellation_details=shape.new("subscription:CancellationDetails"),
        collection_method=collection,
        currency=currency_of(acct, items, spec.get("currency")),
        customer=spec["customer"],
        days_until_due=spec.get("days_until_due"),
        default_payment_method=spec.get("default_payment_method"),
        default_source=spec.get("default_source"),
        default_tax_rates=[],
        description=spec.get("description"),
        discounts=[],
        invoice_settings=shape.new(
            "subscription:InvoiceSettings", issuer={"account": None, "type": "self"}
        ),
        items=listing(f"/v1/subscription_items?subscription={subscription_id}", items)
        | {"total_count": len(items)},
        metadata=merge_metadata({}, spec.get("metadata")),
        payment_settings=shape.new(
            "subscription:PaymentSettings", **(spec.get("payment_settings") or {})
        ),
        start_date=now,
        status="trialing" if trial_end else spec.get("first_status", "incomplete"),
        trial_end=trial_end,
        trial_settings=_trial_settings(spec),
        trial_start=now if trial_end else None,
    )


def _billing_mode(spec: Obj) -> Obj:
    kind = (spec.get("billing_mode") or {}).get("type", "flexible")
    flexible = {"proration_discounts": "included"} if kind == "flexible" else None
    return {"flexible": flexible, "type": kind, "updated_at": None}


def _trial_settings(spec: Obj) -> Obj:
    end = {"billing_cycle_anchor": None, "missing_payment_method": "create_invoice"}
    end.update((spec.get("trial_settings") or {}).get("end_behavior", {}))
    return {"end_behavior": end}


def first_lines(acct: Account, subscription: Obj) -> list[Obj]:
    """What the first invoice charges: nothing in a trial, a share before a later anchor."""
    lines = []
    anchor, now = subscription["billing_cycle_anchor"], acct.now()
    for item in subscription["items"]["data"]:
        if is_metered(acct, item):
            continue
        amount = None
        if subscription["status"] == "trialing":
            amount = 0
        elif anchor > now:
            price = acct.get("price", item["price"])
            recurring = price["recurring"]
            whole = period_end(now, now, recurring["interval"], recurring["interval_count"]) - now
            full = cost(price, item["quantity"], subscription["currency"])
            amount = share(full, anchor - now, whole)
        lines.append(licensed_line(acct, subscription, item, amount))
    return lines


def start(acct: Account, spec: Obj) -> Obj:
    """A stored subscription with its first invoice; who pays how decides its status."""
    subscription = build(acct, spec)
    customer = acct.get("customer", spec["customer"])
    subscription["discounts"] = discounts.redeem(
        acct,
        spec.get("discounts"),
        "discounts",
        customer=customer["id"],
        subscription=subscription["id"],
        checkout_session=spec.get("checkout_session"),
    )
    for item, entry in zip(subscription["items"]["data"], spec["items"], strict=True):
        item["discounts"] = discounts.redeem(
            acct,
            entry.get("discounts"),
            "items",
            customer=customer["id"],
            subscription_item=item["id"],
        )
    if spec.get("default_method") is None and spec.get("needs_method"):
        _require_method(acct, subscription)
    acct.add(subscription, "customer.subscription.created")
    if customer["currency"] is None:
        acct.save({**customer, "currency": subscription["currency"]})
    lines = first_lines(acct, subscription)
    lines += extra_lines(acct, spec.get("extra_items"), subscription["currency"], "items")
    if lines:
        _first_invoice(acct, subscription, lines, spec)
    elif subscription["status"] == "incomplete":
        acct.save({**subscription, "status": "active"}, "customer.subscription.updated")
    _warn_of_short_trial(acct, subscription["id"])
    return acct.get("subscription", subscription["id"])


def _require_method(acct: Account, subscription: Obj) -> None:
    free = subscription["status"] == "trialing" or not any(
        entry["amount"] for entry in first_lines(acct, subscription)
    )
    if not free and default_method(acct, subscription) is None:
        raise StripeError(
            "This customer has no attached payment source or default payment method. Please "
            "consider adding a default payment method.",
            code="resource_missing",
            param="customer",
        )


def _first_invoice(acct: Account, subscription: Obj, lines: list[Obj], spec: Obj) -> None:
    invoice = invoicing.draft_for(acct, subscription, lines, reason="subscription_create")
    left = subscription["discounts"]
    if subscription["status"] != "trialing":
        left = discounts.spend_once(acct, left)
    stored = {**subscription, "latest_invoice": invoice["id"], "discounts": left}
    # The first event of an API subscription shows it incomplete; what follows is an update.
    acct.save(stored)
    invoice = invoicing.finalize(acct, invoice["id"])
    status = _after_first_payment(acct, stored, invoice, spec)
    acct.save({**stored, "status": status}, "customer.subscription.updated")


def _after_first_payment(acct: Account, subscription: Obj, invoice: Obj, spec: Obj) -> str:
    """The status the first invoice leaves the subscription in."""
    before: str = subscription["status"]
    if before == "trialing":
        return before
    if invoice["status"] == "paid" or subscription["collection_method"] == "send_invoice":
        return "active"
    behavior = spec.get("payment_behavior", "allow_incomplete")
    if behavior == "default_incomplete":
        return "incomplete"
    method = default_method(acct, subscription)
    outcome = spec.get("outcome") or (method["_charge"] if method else "missing_payment_method")
    if collecting.attempt(acct, invoice["id"], method, outcome):
        return "active"
    if behavior == "error_if_incomplete":
        refused = card_error(outcome)
        refused.keeps_changes = False
        raise refused
    return "incomplete"


def _warn_of_short_trial(acct: Account, subscription_id: str) -> None:
    subscription = acct.edit("subscription", subscription_id)
    trial_end = subscription["trial_end"]
    if trial_end is not None and trial_end - acct.now() <= WARNING_SECONDS:
        subscription["_warned"] = True
        acct.save(subscription)
        acct.emit("customer.subscription.trial_will_end", subscription)


def end(acct: Account, subscription_id: str, reason: str, **details: Any) -> Obj:
    """The subscription is over for good."""
    subscription = acct.edit("subscription", subscription_id)
    now = acct.now()
    subscription.update(
        status="canceled",
        ended_at=now,
        canceled_at=subscription["canceled_at"] or now,
        pause_collection=None,
    )
    if reason == "incomplete_expired":
        subscription["status"] = "incomplete_expired"
    elif subscription["cancellation_details"]["reason"] is None:
        subscription["cancellation_details"].update(reason=reason)
    subscription["cancellation_details"].update(details)
    event = (
        "customer.subscription.updated"
        if reason == "incomplete_expired"
        else "customer.subscription.deleted"
    )
    if event == "customer.subscription.updated":
        acct.save(subscription, event)
    else:
        acct.save(subscription)
        acct.emit(event, subscription)
    schedule = acct.find("subscription_schedule", subscription["schedule"] or "")
    if schedule is not None and schedule["status"] in ("active", "not_started"):
        changed = {**schedule, "status": "canceled", "canceled_at": now, "current_phase": None}
        acct.save(changed)
        acct.emit("subscription_schedule.canceled", changed)
    return subscription


def settle(acct: Account, invoice_id: str) -> None:
    """A late payment of an invoice brings its subscription back to `active`."""
    invoice = acct.get("invoice", invoice_id)
    if invoice["parent"] is None:
        return
    subscription_id = invoice["parent"]["subscription_details"]["subscription"]
    subscription = acct.get("subscription", subscription_id)
    back = subscription["status"] in ("incomplete", "past_due", "unpaid")
    if back and subscription["latest_invoice"] == invoice_id:
        acct.save({**subscription, "status": "active"}, "customer.subscription.updated")
