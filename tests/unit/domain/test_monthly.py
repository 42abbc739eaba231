"""Monthly amounts: exact, whatever the period."""

from fractions import Fraction

import pytest

from chalicelib.domain.ids import FeatureId
from chalicelib.domain.monthly import monthly_amount, monthly_charge
from chalicelib.domain.prices import BillingPeriod, PriceModel, Terms
from tests.factories import a_price, a_seat_price, a_version

MONTHLY = Terms(billing_period=BillingPeriod.MONTH, interval_count=1, currency="usd")
YEARLY = Terms(billing_period=BillingPeriod.YEAR, interval_count=1, currency="usd")


@pytest.mark.parametrize(
    ("period", "count", "expected"),
    [
        (BillingPeriod.MONTH, 1, Fraction(1000)),
        (BillingPeriod.MONTH, 3, Fraction(1000, 3)),
        (BillingPeriod.YEAR, 1, Fraction(1000, 12)),
        (BillingPeriod.WEEK, 1, Fraction(1000 * 365, 7 * 12)),
        (BillingPeriod.DAY, 2, Fraction(1000 * 365, 2 * 12)),
    ],
)
def test_amount_is_brought_to_a_month(
    period: BillingPeriod, count: int, expected: Fraction
) -> None:
    price = a_price("p", 1000, billing_period=period, interval_count=count)
    assert monthly_amount(price, 1) == expected
    assert monthly_amount(price, 3) == 3 * expected


def test_usage_and_one_off_prices_are_no_monthly_amount() -> None:
    usage = a_price("u", 5, model=PriceModel.USAGE_BASED, feature_id="calls")
    once = a_price("o", 5, model=PriceModel.ONE_OFF, billing_period=None)
    assert monthly_amount(usage, 7) == monthly_amount(once, 7) == 0


def test_charge_counts_units_that_are_bought_and_the_least_of_new_ones() -> None:
    version = a_version(
        prices=[
            a_price("base", 1000),
            a_seat_price("seats", 300),
            a_seat_price("boxes", 10, feature_id="boxes", min_quantity=2),
        ]
    )
    units = {FeatureId("seats"): 4}
    assert monthly_charge(version, MONTHLY, None, 1, units) == 1000 + 1200 + 20


def test_charge_on_terms_that_are_not_sold_is_none() -> None:
    version = a_version(prices=[a_price("base", 1000)])
    assert monthly_charge(version, YEARLY, None, 1, {}) is None
