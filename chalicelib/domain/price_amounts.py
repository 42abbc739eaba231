"""What a price comes to: exact arithmetic in minor units, as providers compute their invoice lines."""

from decimal import Decimal

from chalicelib.domain.prices import Price, PriceModel, Tier, TiersMode

_COUNTED = frozenset({PriceModel.PER_UNIT, PriceModel.USAGE_BASED})


def price_amount(price: Price, quantity: int) -> Decimal:
    """Minor units for so many units in one billing period, before any rounding to whole ones.

    Flat fees and one-off prices are multiplied by the quantity, too: that is how add-ons are charged.
    A block that is begun is paid whole. The first tier's flat amount is due even for nothing used, the others'
    when they are reached.
    """
    if quantity < 0:
        raise ValueError("a quantity is at least 0")
    if price.tiers:
        return _tiered(price, quantity)
    counted = quantity
    if price.block_size is not None and price.model in _COUNTED:
        counted = -(-quantity // price.block_size)
    return _amount(price.amount, price.amount_decimal) * counted


def _tiered(price: Price, quantity: int) -> Decimal:
    if price.tiers_mode is TiersMode.VOLUME:
        reached = next(tier for tier in price.tiers if _reaches(tier, quantity))
        return _tier_amount(reached, quantity)
    total = Decimal(0)
    below = 0
    for index, tier in enumerate(price.tiers):
        if index and quantity <= below:
            break
        end = quantity if tier.up_to is None else min(quantity, tier.up_to)
        total += _tier_amount(tier, end - below)
        below = tier.up_to or end
    return total


def _reaches(tier: Tier, quantity: int) -> bool:
    return tier.up_to is None or quantity <= tier.up_to


def _tier_amount(tier: Tier, units: int) -> Decimal:
    flat = Decimal(tier.flat_amount or 0)
    return _amount(tier.unit_amount, tier.unit_amount_decimal) * units + flat


def _amount(whole: int | None, fraction: Decimal | None) -> Decimal:
    if whole is not None:
        return Decimal(whole)
    return fraction if fraction is not None else Decimal(0)
