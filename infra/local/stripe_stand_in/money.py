"""What a price costs for a quantity: whole minor units, decimals in between, never a float."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from infra.local.stripe_stand_in.errors import invalid
from infra.local.stripe_stand_in.store import Obj


def rounded(value: Decimal) -> int:
    """The nearest whole minor unit, halves away from zero."""
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def share(amount: int, part_seconds: int, whole_seconds: int) -> int:
    """The part of an amount that a part of its period costs."""
    if whole_seconds <= 0:
        return 0
    return rounded(Decimal(amount) * part_seconds / whole_seconds)


def cost(price: Obj, quantity: Decimal | int, currency: str | None = None) -> int:
    """The amount for this quantity in the price's own or another of its currencies."""
    option = option_for(price, currency or price["currency"])
    amount = Decimal(quantity)
    transform = price["transform_quantity"]
    if transform is not None:
        blocks, rest = divmod(amount, transform["divide_by"])
        amount = blocks + (1 if rest and transform["round"] == "up" else 0)
    tiers = option.get("tiers")
    if tiers is not None:
        return rounded(_tiered(tiers, str(price["tiers_mode"]), amount))
    return rounded(amount * _decimal(option["unit_amount_decimal"]))


def option_for(price: Obj, currency: str) -> Obj:
    """The amounts of the price in a currency it has."""
    option: Any = price["_currency_options"].get(currency)
    if option is None:
        raise invalid(
            f"The price `{price['id']}` is not available in the currency `{currency}`.", "currency"
        )
    found: Obj = option
    return found


def _decimal(text: str | None) -> Decimal:
    return Decimal(text) if text is not None else Decimal(0)


def _tiered(tiers: list[Obj], mode: str, quantity: Decimal) -> Decimal:
    total = Decimal(0)
    below = Decimal(0)
    for tier in tiers:
        bound = Decimal(tier["up_to"]) if tier["up_to"] is not None else None
        inside = quantity if bound is None else min(quantity, bound)
        unit, flat = _decimal(tier["unit_amount_decimal"]), _decimal(tier["flat_amount_decimal"])
        if mode == "volume":
            if bound is None or quantity <= bound:
                return quantity * unit + flat
            continue
        # Graduated: the first tier's flat fee is due even at nought, the others' when reached.
        if below == 0 or quantity > below:
            total += max(Decimal(0), inside - below) * unit + flat
        if bound is None or quantity <= bound:
            return total
        below = bound
    return total
