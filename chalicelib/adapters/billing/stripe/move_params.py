"""What a move needs at Stripe, computed from what Stripe holds now. Pure: a move that is done needs nothing."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from chalicelib.adapters.billing.stripe.subscriptions import Json, id_of
from chalicelib.domain.price_moves import ItemMove, Proration

# On a schedule of ours: a digest of the change it waits to make.
MARK: Final = "paygrade_move"
_PRORATION: Final = {
    Proration.NONE: "none",
    Proration.CREATE: "create_prorations",
    Proration.INVOICE_NOW: "always_invoice",
}


def digest_of(value: object) -> str:
    """Equal for equal values only."""
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:24]


def update_params(
    subscription: Json,
    items: Sequence[Json],
    moves: Sequence[ItemMove],
    proration: Proration,
    metadata: Mapping[str, str],
) -> dict[str, Any] | None:
    """The update that makes the moves; None if the subscription is that way already.

    A line that changes its price keeps its id, so Stripe settles the difference of the two.
    """
    by_price = {id_of(item["price"]): item for item in items}
    entries: list[dict[str, Any]] = []
    for move in moves:
        old = by_price.get(move.from_price or "")
        present = by_price.get(move.to_price or "")
        if move.to_price is None:
            if old is not None:
                entries.append({"id": old["id"], "deleted": True})
            continue
        if present is not None and present.get("quantity") == move.quantity:
            if old is not None and old is not present:
                entries.append({"id": old["id"], "deleted": True})
            continue
        entry: dict[str, Any] = {"price": move.to_price}
        changed = present or old
        if changed is not None:
            entry["id"] = changed["id"]
        if move.quantity is not None:
            entry["quantity"] = move.quantity
        entries.append(entry)
    params: dict[str, Any] = {}
    if entries:
        params = {"items": entries, "proration_behavior": _PRORATION[proration]}
    if not tells(subscription, metadata):
        params["metadata"] = dict(metadata)
    return params or None


def tells(subscription: Json, metadata: Mapping[str, str]) -> bool:
    """Whether the subscription carries all of the metadata; an empty value is one that is not there."""
    held = subscription.get("metadata") or {}
    return all((held.get(key) or "") == value for key, value in metadata.items())


def next_items(items: Sequence[Json], moves: Sequence[ItemMove]) -> list[dict[str, Any]]:
    """The lines of the next period: those of now, with the moves made."""
    lines = {id_of(item["price"]): item.get("quantity") for item in items}
    for move in moves:
        if move.from_price is not None:
            lines.pop(move.from_price, None)
        if move.to_price is not None:
            lines[move.to_price] = move.quantity
    return [
        {"price": price} if quantity is None else {"price": price, "quantity": quantity}
        for price, quantity in sorted(lines.items())
    ]


def is_idle(schedule: Json) -> bool:
    """Whether the schedule changes nothing: it has one phase, after which the subscription goes on as it is.

    Such a one is what a call of ours leaves that was cut off between making a schedule and filling it.
    """
    return len(schedule["phases"]) == 1 and schedule["end_behavior"] == "release"


def is_ours(schedule: Json) -> bool:
    """Whether we made the schedule, so that we may change it."""
    return MARK in (schedule.get("metadata") or {}) or is_idle(schedule)


def is_open(schedule: Json) -> bool:
    """Whether the schedule still holds its subscription."""
    return schedule["status"] in ("not_started", "active")


def schedule_params(
    schedule: Json,
    subscription: Json,
    items: Sequence[Json],
    moves: Sequence[ItemMove],
    metadata: Mapping[str, str],
) -> dict[str, Any] | None:
    """The update that makes the schedule change the subscription when its period ends; None if it does so already."""
    phase = _current_phase(schedule)
    wanted = next_items(items, moves)
    mark = digest_of([wanted, dict(metadata), phase["end_date"]])
    if (schedule.get("metadata") or {}).get(MARK) == mark:
        return None
    following = {
        "items": wanted,
        # The schedule lets the subscription go after this one; Stripe has no shorter way to say so.
        "duration": {"interval": "day", "interval_count": 1},
        "metadata": {**(phase.get("metadata") or {}), **metadata},
        "proration_behavior": "none",
        **_discounts(subscription),
    }
    return {
        "phases": [_kept(phase, subscription), following],
        "end_behavior": "release",
        "proration_behavior": "none",
        "metadata": {MARK: mark},
    }


def carrying_params(
    schedule: Json, subscription: Json, metadata: Mapping[str, str]
) -> dict[str, Any] | None:
    """The update that lets what is to come keep the present discounts, and have the metadata; None if it does so."""
    phase = _current_phase(schedule)
    coming = [one for one in schedule["phases"] if one["start_date"] >= phase["end_date"]]
    wanted = _discounts(subscription).get("discounts", [])
    if all(
        [_kept_discount(given) for given in one.get("discounts") or []] == wanted
        and tells(one, metadata)
        for one in coming
    ):
        return None
    following = [
        {
            **_kept(one, subscription),
            "metadata": {**(one.get("metadata") or {}), **metadata},
        }
        for one in coming
    ]
    return {
        "phases": [_kept(phase, subscription), *following],
        "end_behavior": schedule["end_behavior"],
        "proration_behavior": "none",
    }


def _current_phase(schedule: Json) -> Json:
    start = (schedule.get("current_phase") or {}).get("start_date")
    phases: Sequence[Json] = schedule["phases"]
    return next((phase for phase in phases if phase["start_date"] == start), phases[0])


def _kept(phase: Json, subscription: Json) -> dict[str, Any]:
    """A phase as an update must repeat it."""
    kept: dict[str, Any] = {
        "items": [_kept_item(item) for item in phase["items"]],
        "start_date": phase["start_date"],
        "end_date": phase["end_date"],
        "proration_behavior": "none",
        **_discounts(subscription),
    }
    if phase.get("metadata"):
        kept["metadata"] = dict(phase["metadata"])
    if phase.get("trial_end"):
        kept["trial_end"] = phase["trial_end"]
    return kept


def _discounts(subscription: Json) -> dict[str, Any]:
    """What a phase must name, or it ends as the phase begins: by its id, so that none begins anew."""
    found = [{"discount": id_of(one)} for one in subscription.get("discounts") or []]
    return {"discounts": found} if found else {}


def _kept_item(item: Json) -> dict[str, Any]:
    kept: dict[str, Any] = {"price": id_of(item["price"])}
    if item.get("quantity") is not None:
        kept["quantity"] = item["quantity"]
    return kept


def _kept_discount(discount: Json) -> dict[str, str]:
    """A discount by the most exact of its names: Stripe takes one."""
    for name in ("discount", "promotion_code", "coupon"):
        if discount.get(name):
            return {name: id_of(discount[name])}
    return {}
