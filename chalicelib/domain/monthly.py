"""What is charged a month, exactly: the yardstick by which prices of different periods are added up."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from chalicelib.domain.ids import FeatureId
from chalicelib.domain.plans import PackageVersion
from chalicelib.domain.price_amounts import price_amount
from chalicelib.domain.prices import BillingPeriod, Price, PriceModel, Terms

# A year has 365 days, and 365/7 weeks.
_A_YEAR: Final[Mapping[BillingPeriod, Fraction]] = {
    BillingPeriod.DAY: Fraction(365),
    BillingPeriod.WEEK: Fraction(365, 7),
    BillingPeriod.MONTH: Fraction(12),
    BillingPeriod.YEAR: Fraction(1),
}
_MONTHS: Final = 12


def monthly_amount(price: Price, quantity: int) -> Fraction:
    """Minor units a month for so many units; nothing for what is charged once, or by usage that nobody knows yet."""
    if price.billing_period is None or price.model is PriceModel.USAGE_BASED:
        return Fraction(0)
    periods = _A_YEAR[price.billing_period] / price.interval_count
    return Fraction(price_amount(price, quantity)) * periods / _MONTHS


def monthly_charge(
    version: PackageVersion,
    terms: Terms,
    country: str | None,
    quantity: int,
    units: Mapping[FeatureId, int],
) -> Fraction | None:
    """What the version charges a month on these terms; None if it is not sold on them.

    `quantity` is how often the package is held, `units` what is bought by the unit; what was not bought before is
    bought at its least.
    """
    charged = version.prices_for(
        terms.billing_period, terms.interval_count, terms.currency, country
    )
    if not any(price.billing_period is not None for price in charged):
        return None
    total = Fraction(0)
    for price in charged:
        count = quantity
        if price.model is PriceModel.PER_UNIT and price.feature_id is not None:
            count = units.get(price.feature_id, price.min_quantity or 1)
        total += monthly_amount(price, count)
    return total
