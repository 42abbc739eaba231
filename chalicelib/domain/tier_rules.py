"""What makes tiers sellable: they follow each other without gap, the last without end, each with an amount."""

from collections.abc import Iterable, Sequence

from chalicelib.domain.money import MAX_AMOUNT_MINOR, MAX_DECIMAL_PLACES
from chalicelib.domain.prices import Tier

_Refusal = tuple[str, str, str]
"""The field, a stable code, and what is wrong with it."""


def tier_refusals(tiers: Sequence[Tier]) -> Iterable[_Refusal]:
    """Everything that is wrong with the tiers of one price, from the first tier to the last."""
    below = 0
    for index, tier in enumerate(tiers):
        at = f"tiers[{index}]"
        is_last = index == len(tiers) - 1
        if is_last and tier.up_to is not None:
            yield f"{at}.up_to", "not_open", "The last tier has no end: its up_to is null."
        elif not is_last and tier.up_to is None:
            yield f"{at}.up_to", "required", "Only the last tier is without end."
        elif tier.up_to is not None and tier.up_to <= below:
            yield f"{at}.up_to", "not_rising", f"The tier ends above {below} units."
        below = max(below, tier.up_to or 0)
        yield from _amount_refusals(tier, at)


def _amount_refusals(tier: Tier, at: str) -> Iterable[_Refusal]:
    if tier.unit_amount is not None and tier.unit_amount_decimal is not None:
        detail = "A tier has either unit_amount or unit_amount_decimal."
        yield f"{at}.unit_amount", "not_allowed", detail
    if (tier.unit_amount, tier.unit_amount_decimal, tier.flat_amount) == (None, None, None):
        yield f"{at}.unit_amount", "required", "A tier has an amount per unit, a flat one, or both."
    for field, value in (
        ("unit_amount", tier.unit_amount),
        ("unit_amount_decimal", tier.unit_amount_decimal),
        ("flat_amount", tier.flat_amount),
    ):
        if value is not None and not 0 <= value <= MAX_AMOUNT_MINOR:
            detail = f"An amount is between 0 and {MAX_AMOUNT_MINOR} minor units."
            yield f"{at}.{field}", "out_of_range", detail
    decimal = tier.unit_amount_decimal
    if decimal is not None and decimal != round(decimal, MAX_DECIMAL_PLACES):
        detail = f"An amount has at most {MAX_DECIMAL_PLACES} decimal places."
        yield f"{at}.unit_amount_decimal", "out_of_range", detail
