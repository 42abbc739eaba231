"""Invoices that would be: the change is carried out for real, then taken back."""

from __future__ import annotations

from typing import Any

from infra.local.stripe_stand_in import changing, invoicing, renewing
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.errors import malformed
from infra.local.stripe_stand_in.rules import exclusive
from infra.local.stripe_stand_in.store import Obj, copy_of
from infra.local.stripe_stand_in.subscribing import build, first_lines
from infra.local.stripe_stand_in.subscription_parts import (
    extra_lines,
    is_metered,
    licensed_line,
    set_period,
)

_CHANGES = (
    "items",
    "proration_behavior",
    "proration_date",
    "trial_end",
    "cancel_at",
    "cancel_at_period_end",
    "billing_cycle_anchor",
    "metadata",
)


def upcoming(acct: Account, params: Obj) -> Obj:
    """The next invoice of a subscription (as changed), or the first of one not made yet."""
    exclusive(params, "schedule", "subscription")
    if "schedule" in params or "schedule_details" in params:
        raise malformed("The stand-in does not emulate previews of schedules.", "schedule")
    with acct.muted():
        made = _of_existing if "subscription" in params else _of_new
        return copy_of(made(acct, params))


def _finish(
    acct: Account, subscription: Obj, lines: list[Obj], reason: str, period: tuple[int, int]
) -> Obj:
    return invoicing.draft_for(
        acct,
        subscription,
        lines,
        reason=reason,
        period=period,
        extra={"id": acct.ids.new("invoice").replace("in_1", "upcoming_in_1", 1)},
    )


def _of_existing(acct: Account, params: Obj) -> Obj:
    given: Any = params.get("subscription_details") or {}
    subscription = acct.edit("subscription", params["subscription"], "subscription")
    wanted = {name: given[name] for name in _CHANGES if name in given}
    if "discounts" in params:
        wanted["discounts"] = params["discounts"]
    if given.get("cancel_now"):
        wanted["_credit_all"] = given.get("proration_behavior") != "none"
        wanted["_invoice"] = True
    lines, at_once = changing.apply(acct, subscription, wanted)
    acct.save(subscription)
    if at_once or given.get("proration_behavior") == "always_invoice":
        now = acct.now()
        pending = changing.take_pending(acct, subscription["id"])
        return _finish(acct, subscription, pending + lines, "subscription_update", (now, now))
    lines = changing.take_pending(acct, subscription["id"]) + lines
    due_at = min(item["current_period_end"] for item in subscription["items"]["data"])
    begun = due_at
    for item in subscription["items"]["data"]:
        if item["current_period_end"] != due_at:
            continue
        begun = min(begun, item["current_period_start"])
        lines += renewing.metered_lines(acct, subscription, item)
        set_period(acct, item, subscription["billing_cycle_anchor"], due_at)
        if not is_metered(acct, item) and not subscription["cancel_at_period_end"]:
            lines.append(licensed_line(acct, subscription, item))
    return _finish(acct, subscription, lines, "upcoming", (begun, due_at))


def _of_new(acct: Account, params: Obj) -> Obj:
    given: Any = params.get("subscription_details") or {}
    if "items" not in given:
        raise malformed(
            "Missing required param: subscription_details[items].",
            "subscription_details[items]",
            "parameter_missing",
        )
    if "customer" in params:
        customer = acct.get("customer", params["customer"], "customer")
    else:
        from infra.local.stripe_stand_in.resources.customers import create  # noqa: PLC0415 - a passing customer only

        customer = create(acct, {})
    trial_end = given.get("trial_end")
    spec: Obj = {
        "customer": customer["id"],
        "items": given["items"],
        "trial_end": trial_end if isinstance(trial_end, int) else None,
        "first_status": "active",
        "currency": params.get("currency"),
    }
    subscription = build(acct, spec)
    if "discounts" in params:
        from infra.local.stripe_stand_in.discounts import redeem  # noqa: PLC0415 - only here

        subscription["discounts"] = redeem(
            acct, params["discounts"], "discounts", customer=customer["id"]
        )
    acct.store.put("subscription", subscription["id"], subscription)
    lines = first_lines(acct, subscription)
    lines += extra_lines(
        acct, params.get("invoice_items"), subscription["currency"], "invoice_items"
    )
    return _finish(acct, subscription, lines, "upcoming", (acct.now(), acct.now()))
