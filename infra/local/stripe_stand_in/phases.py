"""The phases of a schedule: what they hold and what starting one does."""

from __future__ import annotations

from infra.local.stripe_stand_in import shape
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.changing import change
from infra.local.stripe_stand_in.clock import add_intervals
from infra.local.stripe_stand_in.rules import refuse
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.subscription_parts import price_of


def phases_of(acct: Account, given: list[Obj], begin_at: int) -> list[Obj]:
    """The phases end to end, each with its dates worked out."""
    phases: list[Obj] = []
    at = begin_at
    for i, entry in enumerate(given):
        param = f"phases[{i}]"
        prices = [
            price_of(acct, item, f"{param}[items][{j}]") for j, item in enumerate(entry["items"])
        ]
        start_date = entry.get("start_date", at)
        start_date = acct.now() if start_date == "now" else start_date
        refuse(
            bool(phases) and start_date != at,
            "Phases must follow one another without a gap.",
            f"{param}[start_date]",
        )
        stop = entry.get("end_date")
        if stop == "now":
            stop = acct.now()
        if stop is None:
            span = entry.get("duration") or prices[0]["recurring"]
            stop = add_intervals(start_date, span["interval"], span.get("interval_count", 1))
        refuse(stop <= start_date, "A phase must end after it starts.", f"{param}[end_date]")
        items = [
            {**item, "price": price["id"]}
            for item, price in zip(entry["items"], prices, strict=True)
        ]
        phases.append(phase_of({**entry, "items": items}, prices[0]["currency"], start_date, stop))
        at = stop
    return phases


def phase_of(entry: Obj, currency: str, start_date: int, end_date: int) -> Obj:
    """One phase with every field of the pinned version."""
    kind = "subscription_schedule:Phase"
    items = []
    for given in entry["items"]:
        item = shape.new(
            f"{kind}.Item",
            discounts=[],
            metadata=given.get("metadata") or {},
            plan=given["price"],
            price=given["price"],
            quantity=given.get("quantity"),
            tax_rates=[],
        )
        items.append(item)
    return shape.new(
        kind,
        add_invoice_items=[],
        currency=entry.get("currency", currency),
        discounts=[
            {
                "coupon": d.get("coupon"),
                "discount": d.get("discount"),
                "promotion_code": d.get("promotion_code"),
            }
            for d in entry.get("discounts") or []
        ],
        end_date=end_date,
        items=items,
        metadata=entry.get("metadata") or {},
        proration_behavior=entry.get("proration_behavior", "create_prorations"),
        start_date=start_date,
        trial_end=entry.get("trial_end"),
    )


def entry_of(item: Obj) -> Obj:
    """The item as the creation or change of a subscription takes it."""
    entry: Obj = {"price": item["price"], "metadata": item["metadata"]}
    if item["quantity"] is not None:
        entry["quantity"] = item["quantity"]
    return entry


def apply_phase(acct: Account, schedule: Obj, phase: Obj, behavior: str | None) -> None:
    """The subscription has the phase's items, in place of those it had."""
    subscription = acct.get("subscription", schedule["subscription"])
    have = subscription["items"]["data"]
    by_price = {item["price"]: item["id"] for item in have}
    entries, used = [], set()
    for item in phase["items"]:
        entry = {**entry_of(item), "_scheduled": True}
        if item["price"] in by_price:
            entry["id"] = by_price[item["price"]]
            used.add(entry["id"])
        entries.append(entry)
    spare = [item["id"] for item in have if item["id"] not in used]
    for entry in entries:
        # An item that is replaced keeps its id, as a change of price does.
        if "id" not in entry and spare:
            entry["id"] = spare.pop(0)
    entries += [{"id": item_id, "deleted": True} for item_id in spare]
    params: Obj = {"items": entries, "proration_behavior": behavior or "create_prorations"}
    if phase["metadata"]:
        params["metadata"] = phase["metadata"]
    given = [{k: v for k, v in d.items() if v} for d in phase["discounts"]]
    # What the phase does not name ends with it, and what is used up does not come back.
    params["discounts"] = [
        one
        for one in given
        if "discount" not in one or one["discount"] in subscription["discounts"]
    ]
    change(acct, subscription["id"], params)
