"""New billing periods, ends of trials, and the collection of what they cost."""

from __future__ import annotations

from infra.local.stripe_stand_in import collecting, discounts, invoicing
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.changing import take_pending
from infra.local.stripe_stand_in.clock import HOUR
from infra.local.stripe_stand_in.invoice_lines import item_line
from infra.local.stripe_stand_in.money import cost
from infra.local.stripe_stand_in.resources.meters import usage
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.subscribing import WARNING_SECONDS, end, is_live, settle
from infra.local.stripe_stand_in.subscription_parts import (
    default_method,
    is_metered,
    licensed_line,
    set_period,
)

INCOMPLETE_SECONDS = 23 * HOUR
_RUNNING = ("active", "past_due", "unpaid", "trialing")


def moments(subscription: Obj) -> list[int]:
    """When something happens to this subscription by itself."""
    status = subscription["status"]
    if not is_live(subscription):
        return []
    if status == "incomplete":
        return [subscription["created"] + INCOMPLETE_SECONDS]
    found = [subscription["cancel_at"]] if subscription["cancel_at"] else []
    if status == "trialing" and not subscription.get("_warned"):
        found.append(subscription["trial_end"] - WARNING_SECONDS)
    if status in _RUNNING:
        found += [item["current_period_end"] for item in subscription["items"]["data"]]
    pause = subscription["pause_collection"]
    if pause is not None and pause["resumes_at"] is not None:
        found.append(pause["resumes_at"])
    return found


def run(acct: Account, subscription_id: str, moment: int) -> None:
    """Whatever was due for this subscription at the moment has happened."""
    subscription = acct.get("subscription", subscription_id)
    if subscription["status"] == "incomplete":
        _expire(acct, subscription)
        return
    pause = subscription["pause_collection"]
    if pause is not None and pause["resumes_at"] is not None and pause["resumes_at"] <= moment:
        subscription = acct.save(
            {**subscription, "pause_collection": None}, "customer.subscription.updated"
        )
    if subscription["cancel_at"] is not None and subscription["cancel_at"] <= moment:
        _bill_last_usage(acct, subscription)
        end(acct, subscription_id, "cancellation_requested")
        return
    warn_at = (subscription["trial_end"] or 0) - WARNING_SECONDS
    if (
        subscription["status"] == "trialing"
        and not subscription.get("_warned")
        and (warn_at <= moment)
    ):
        subscription = acct.save({**subscription, "_warned": True})
        acct.emit("customer.subscription.trial_will_end", subscription)
    if subscription["status"] not in _RUNNING:
        return
    if any(i["current_period_end"] <= moment for i in subscription["items"]["data"]):
        _next_period(acct, subscription_id, moment)


def _expire(acct: Account, subscription: Obj) -> None:
    """A first invoice nobody paid for 23 hours ends the subscription."""
    end(acct, subscription["id"], "incomplete_expired")
    invoice = acct.find("invoice", subscription["latest_invoice"] or "")
    if invoice is not None and invoice["status"] == "open":
        collecting.close(acct, invoice["id"], "void")


def _next_period(acct: Account, subscription_id: str, moment: int) -> None:
    subscription = acct.edit("subscription", subscription_id)
    if subscription["status"] == "trialing":
        if not _leave_trial(acct, subscription):
            return
        subscription = acct.edit("subscription", subscription_id)
    due = [i for i in subscription["items"]["data"] if i["current_period_end"] <= moment]
    begun = min(item["current_period_start"] for item in due)
    ended = max(item["current_period_end"] for item in due)
    lines = [line for item in due for line in metered_lines(acct, subscription, item)]
    for item in due:
        set_period(acct, item, subscription["billing_cycle_anchor"], item["current_period_end"])
        if not is_metered(acct, item):
            lines.append(licensed_line(acct, subscription, item))
    lines = take_pending(acct, subscription_id) + lines
    pause = subscription["pause_collection"]
    extra: Obj = {"automatically_finalizes_at": acct.now() + HOUR}
    if pause is not None and pause["behavior"] == "keep_as_draft":
        extra = {"auto_advance": False}
    elif subscription["status"] == "unpaid":
        extra = {}
    invoice = invoicing.draft_for(
        acct,
        subscription,
        lines,
        reason="subscription_cycle",
        period=(begun, ended),
        extra=extra,
    )
    subscription["latest_invoice"] = invoice["id"]
    subscription["discounts"] = discounts.spend_once(acct, subscription["discounts"])
    if subscription["status"] == "trialing":
        subscription["status"] = "active"
    acct.save(subscription, "customer.subscription.updated")


def _leave_trial(acct: Account, subscription: Obj) -> bool:
    """Whether the trial goes on into a paid period; without a card its settings decide."""
    by_card = subscription["collection_method"] == "charge_automatically"
    if not by_card or default_method(acct, subscription) is not None:
        return True
    behavior = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if behavior == "cancel":
        end(acct, subscription["id"], "payment_failed")
        return False
    if behavior == "pause":
        paused: Obj = {
            **subscription,
            "status": "paused",
            "status_details": {
                "paused": {
                    "subscription": {"type": "trial_end_without_payment_method"},
                    "transitioned_at": acct.now(),
                    "type": "subscription",
                }
            },
        }
        acct.save(paused, "customer.subscription.updated")
        acct.emit("customer.subscription.paused", paused)
        return False
    return True


def metered_lines(acct: Account, subscription: Obj, item: Obj) -> list[Obj]:
    """What the ending period's usage costs."""
    if not is_metered(acct, item):
        return []
    price = acct.get("price", item["price"])
    start, stop = item["current_period_start"], item["current_period_end"]
    meter = price["recurring"]["meter"]
    # What was used in a trial is free.
    free = subscription["status"] == "trialing"
    used = usage(acct, meter, subscription["customer"], start, stop)
    amount = 0 if free else cost(price, used, subscription["currency"])
    return [item_line(acct, subscription, item, amount, (start, stop), quantity=used)]


def _bill_last_usage(acct: Account, subscription: Obj) -> None:
    lines = []
    for item in subscription["items"]["data"]:
        if is_metered(acct, item):
            stop = min(acct.now(), item["current_period_end"])
            lines += metered_lines(acct, subscription, {**item, "current_period_end": stop})
    lines = take_pending(acct, subscription["id"]) + [line for line in lines if line["amount"]]
    if not lines:
        return
    invoice = invoicing.draft_for(acct, subscription, lines, reason="subscription_cycle")
    acct.save({**subscription, "latest_invoice": invoice["id"]})
    collect(acct, invoice["id"])


def collect(acct: Account, invoice_id: str) -> None:
    """A waiting draft is finalized and its payment tried."""
    invoice = acct.get("invoice", invoice_id)
    subscription = _subscription_of(acct, invoice)
    pause = subscription["pause_collection"] if subscription else None
    invoice = invoicing.finalize(acct, invoice_id)
    if pause is not None and invoice["status"] == "open":
        collecting.close(
            acct, invoice_id, "void" if pause["behavior"] == "void" else "uncollectible"
        )
    elif invoice["status"] == "paid":
        settle(acct, invoice_id)
    elif invoice["collection_method"] == "charge_automatically":
        try_payment(acct, invoice_id)


def _subscription_of(acct: Account, invoice: Obj) -> Obj | None:
    details = (invoice["parent"] or {}).get("subscription_details")
    return acct.get("subscription", details["subscription"]) if details else None


def try_payment(acct: Account, invoice_id: str) -> None:
    """One attempt; a failure makes the subscription past due, the last one ends it as set."""
    invoice = acct.get("invoice", invoice_id)
    subscription = _subscription_of(acct, invoice)
    if subscription is None:
        return
    if not is_live(subscription):
        acct.save({**invoice, "next_payment_attempt": None, "auto_advance": False})
        return
    method = default_method(acct, subscription)
    outcome = method["_charge"] if method else "missing_payment_method"
    if collecting.attempt(acct, invoice_id, method, outcome):
        settle(acct, invoice_id)
        return
    if acct.get("invoice", invoice_id)["next_payment_attempt"] is not None:
        status = "past_due"
    else:
        status = acct.setting("dunning_end")
    if status == "cancel":
        end(acct, subscription["id"], "payment_failed")
    else:
        acct.save({**subscription, "status": status}, "customer.subscription.updated")
