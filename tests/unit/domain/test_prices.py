import itertools
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.features import FeatureType
from chalicelib.domain.prices import (
    BillingPeriod,
    Price,
    PriceModel,
    Tier,
    TiersMode,
    default_price_id,
    fingerprint,
    price_violations,
)
from tests.factories import a_feature, a_price, a_seat_price, features_by_id

FEATURES = features_by_id(
    a_feature("seats", FeatureType.METERED),
    a_feature("projects", FeatureType.NUMERIC),
    a_feature("sso", FeatureType.BOOLEAN),
    a_feature("regions", FeatureType.ENUM),
)


def faults(*prices: Price) -> list[tuple[str, str]]:
    return [(found.param, found.code) for found in price_violations(prices, FEATURES)]


# --- fingerprints -----------------------------------------------------------------------------------

DIFFERENT_MONEY = [
    a_price(amount=1000),
    a_price(amount=1001),
    a_price(amount=0),
    a_price(amount=None, amount_decimal=Decimal("0.5")),
    a_price(amount=None, amount_decimal=Decimal("0.05")),
    a_price(amount=None),
    a_price(currency="eur"),
    a_price(billing_period=BillingPeriod.YEAR),
    a_price(interval_count=3),
    a_price(model=PriceModel.ONE_OFF, billing_period=None),
    a_price(model=PriceModel.USAGE_BASED, feature_id="seats"),
    a_price(block_size=10),
    a_price(amount=None, tiers_mode=TiersMode.VOLUME, tiers=(Tier(up_to=None, unit_amount=1),)),
    a_price(amount=None, tiers_mode=TiersMode.GRADUATED, tiers=(Tier(up_to=None, unit_amount=1),)),
    a_price(
        amount=None,
        tiers_mode=TiersMode.VOLUME,
        tiers=(Tier(up_to=5, unit_amount=1), Tier(up_to=None, unit_amount=1)),
    ),
    a_price(amount=None, tiers_mode=TiersMode.VOLUME, tiers=(Tier(up_to=None, flat_amount=1),)),
]


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(DIFFERENT_MONEY, 2)))
def test_fingerprint_of_different_money_differs(one: Price, other: Price) -> None:
    assert fingerprint(one) != fingerprint(other)


@pytest.mark.parametrize(
    "same",
    [
        a_price("another-id"),
        a_price(model=PriceModel.PER_UNIT, feature_id="seats"),
        a_price(min_quantity=1, max_quantity=9),
        a_price(country="DE"),
        a_price(amount=None, amount_decimal=Decimal("1000.00")),
        a_price(block_size=1),
    ],
)
def test_fingerprint_of_what_can_be_changed_in_place_is_equal(same: Price) -> None:
    assert fingerprint(same) == fingerprint(a_price())


# --- ids --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"model": "flat_fee", "billing_period": "month", "currency": "usd"}, "flat_fee-month-usd"),
        (
            {
                "model": "per_unit",
                "feature_id": "seats",
                "billing_period": "year",
                "interval_count": 2,
                "currency": "eur",
                "country": "DE",
            },
            "per_unit-seats-year-2-eur-DE",
        ),
        ({"model": "one_off", "billing_period": None, "currency": "usd"}, "one_off-usd"),
    ],
)
def test_default_price_id_says_what_is_charged_for(fields: dict[str, Any], expected: str) -> None:
    assert default_price_id(fields) == expected


def test_default_price_id_of_longest_feature_id_may_still_be_chosen() -> None:
    def made(feature_id: str) -> str:
        return default_price_id(
            {
                "model": "per_unit",
                "feature_id": feature_id,
                "billing_period": "month",
                "currency": "usd",
            }
        )

    one, other = made("f" * 128), made("f" * 127 + "g")
    assert len(one) <= 128
    assert one != other
    assert one == made("f" * 128)


# --- violations ---------------------------------------------------------------------------------------


def test_prices_that_can_be_sold_have_no_violation() -> None:
    assert not faults(
        a_price("m"),
        a_price("y", billing_period=BillingPeriod.YEAR),
        a_price("e", currency="eur"),
        a_price("d", billing_period=BillingPeriod.WEEK, interval_count=156),
        a_seat_price("s", min_quantity=0, max_quantity=1),
        a_seat_price("p", feature_id="projects", min_quantity=2, max_quantity=2),
        a_price("f", currency="gbp", amount=None, amount_decimal=Decimal("0.000000000001")),
        a_price("zero", currency="jpy", amount=0),
    )


@pytest.mark.parametrize(
    ("price", "field", "code"),
    [
        (a_price(model=PriceModel.ONE_OFF, billing_period=None), "model", "unsupported"),
        (a_price(model=PriceModel.USAGE_BASED, feature_id="seats"), "model", "unsupported"),
        (
            a_price(amount=None, tiers_mode=TiersMode.VOLUME, tiers=(Tier(up_to=None),)),
            "tiers",
            "unsupported",
        ),
        (a_price(block_size=5), "tiers", "unsupported"),
        (a_price(tiers_mode=TiersMode.VOLUME), "tiers", "unsupported"),
        (a_price(country="DE"), "country", "unsupported"),
        (a_price(currency="xyz"), "currency", "unknown_currency"),
        (a_price(currency="USD"), "currency", "unknown_currency"),
        (a_price(billing_period=None), "billing_period", "required"),
        (a_price(interval_count=0), "interval_count", "out_of_range"),
        (a_price(interval_count=37), "interval_count", "out_of_range"),
        (
            a_price(billing_period=BillingPeriod.DAY, interval_count=1096),
            "interval_count",
            "out_of_range",
        ),
        (
            a_price(billing_period=BillingPeriod.WEEK, interval_count=157),
            "interval_count",
            "out_of_range",
        ),
        (
            a_price(billing_period=BillingPeriod.YEAR, interval_count=4),
            "interval_count",
            "out_of_range",
        ),
        (a_price(amount=None), "amount", "required"),
        (a_price(amount=1, amount_decimal=Decimal(1)), "amount", "required"),
        (a_price(amount=-1), "amount", "out_of_range"),
        (a_price(amount=100_000_000), "amount", "out_of_range"),
        (a_price(amount=None, amount_decimal=Decimal("-0.1")), "amount", "out_of_range"),
        (a_price(feature_id="seats"), "feature_id", "not_allowed"),
        (replace(a_seat_price(), feature_id=None), "feature_id", "required"),
        (a_seat_price(feature_id="ghost"), "feature_id", "unknown_feature"),
        (a_seat_price(feature_id="sso"), "feature_id", "feature_type_mismatch"),
        (a_seat_price(feature_id="regions"), "feature_id", "feature_type_mismatch"),
        (a_price(min_quantity=1), "min_quantity", "not_allowed"),
        (a_price(max_quantity=1), "min_quantity", "not_allowed"),
        (a_seat_price(min_quantity=-1), "max_quantity", "out_of_range"),
        (a_seat_price(max_quantity=0), "max_quantity", "out_of_range"),
        (a_seat_price(min_quantity=3, max_quantity=2), "max_quantity", "out_of_range"),
    ],
)
def test_price_that_cannot_be_sold_is_refused_by_field(price: Price, field: str, code: str) -> None:
    assert faults(price) == [(f"prices[0].{field}", code)]


def test_prices_with_one_id_are_refused_at_the_second() -> None:
    assert faults(a_price("x"), a_price("x", currency="eur")) == [("prices[1].id", "duplicate")]


def test_prices_charging_the_same_thing_are_refused_at_the_second() -> None:
    assert faults(a_price("x"), a_price("y", amount=1)) == [("prices[1]", "duplicate")]
