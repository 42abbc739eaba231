"""Proration: the shares of a period that a change gives back and asks for."""

from __future__ import annotations

from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.invoice_lines import item_line
from infra.local.stripe_stand_in.money import cost, share
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.subscription_parts import is_metered


def interval_of(acct: Account, item: Obj) -> tuple[str, int]:
    """The item's billing interval: unit and count."""
    recurring = acct.get("price", item["price"])["recurring"]
    return recurring["interval"], recurring["interval_count"]


def credit(acct: Account, subscription: Obj, item: Obj, moment: int) -> list[Obj]:
    """What the rest of the period gives back."""
    return _proration(acct, subscription, item, moment, -1, "Unused time on")


def debit(acct: Account, subscription: Obj, item: Obj, moment: int) -> list[Obj]:
    """What the rest of the period asks for."""
    return _proration(acct, subscription, item, moment, 1, "Remaining time on")


def _proration(
    acct: Account, subscription: Obj, item: Obj, moment: int, sign: int, words: str
) -> list[Obj]:
    if is_metered(acct, item):
        return []
    start, stop = item["current_period_start"], item["current_period_end"]
    if stop <= moment:
        # Nothing of the period is left, so there is nothing to share out.
        return []
    if sign > 0 and start == moment:
        start = _whole_start(acct, subscription, item)
    price = acct.get("price", item["price"])
    full = cost(price, item["quantity"], subscription["currency"])
    amount = sign * share(full, max(0, stop - moment), stop - start)
    period = (moment, stop)
    quantity = item["quantity"]
    return [item_line(acct, subscription, item, amount, period, quantity=quantity, proration=words)]


def _whole_start(acct: Account, subscription: Obj, item: Obj) -> int:
    """When the period that an added item joins began, so that it pays its share only."""
    same = [
        other["current_period_start"]
        for other in subscription["items"]["data"]
        if other["id"] != item["id"]
        and other["current_period_end"] == item["current_period_end"]
        and interval_of(acct, other) == interval_of(acct, item)
    ]
    begun: int = min(same, default=item["current_period_start"])
    return begun
