import itertools
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.features import Aggregation, FeatureType, Lifecycle, Meter
from chalicelib.domain.price_rules import price_violations
from chalicelib.domain.prices import (
    BillingPeriod,
    Price,
    PriceModel,
    Tier,
    TiersMode,
    default_price_id,
    fingerprint,
)
from tests.factories import a_feature, a_price, a_seat_price, features_by_id

FEATURES = features_by_id(
    a_feature("seats", FeatureType.METERED),
    a_feature("projects", FeatureType.NUMERIC),
    a_feature("sso", FeatureType.BOOLEAN),
    a_feature("regions", FeatureType.ENUM),
    a_feature("people", meter=Meter(aggregation=Aggregation.UNIQUE, property="id")),
    a_feature("gone", status=Lifecycle.ARCHIVED),
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


USAGE: dict[str, Any] = {"model": PriceModel.USAGE_BASED, "feature_id": "seats"}
SETUP = a_price("setup", model=PriceModel.ONE_OFF, billing_period=None)
TIERS = (
    Tier(up_to=10, unit_amount=500, flat_amount=1000),
    Tier(up_to=100, unit_amount_decimal=Decimal("0.000000000001")),
    Tier(up_to=None, flat_amount=0),
)


def a_tiered_price(*tiers: Tier, **fields: Any) -> Price:
    fields.setdefault("tiers_mode", TiersMode.GRADUATED)
    fields = {"model": PriceModel.PER_UNIT, "feature_id": "seats", **fields}
    return a_price(amount=None, tiers=tiers or TIERS, **fields)


@pytest.mark.parametrize(
    "prices",
    [
        [a_price("m"), a_price("y", billing_period=BillingPeriod.YEAR, interval_count=3)],
        [a_price("m"), a_price("e", currency="eur")],
        [a_price("d", billing_period=BillingPeriod.WEEK, interval_count=156)],
        [a_seat_price(min_quantity=0, max_quantity=1)],
        [a_seat_price(feature_id="projects", min_quantity=2, max_quantity=2)],
        [a_price(amount=None, amount_decimal=Decimal("0.000000000001"))],
        [a_price(currency="jpy", amount=0)],
        [a_price("m"), SETUP],
        [a_price(**USAGE)],
        [a_tiered_price()],
        [a_tiered_price(tiers_mode=TiersMode.VOLUME, **USAGE)],
        [a_tiered_price(Tier(up_to=None, unit_amount=1))],
        [a_seat_price(block_size=100)],
        [a_price(block_size=1000, **USAGE)],
        [a_price("m"), a_price("de", amount=900, country="DE")],
    ],
)
def test_prices_that_can_be_sold_have_no_violation(prices: list[Price]) -> None:
    assert not faults(*prices)


@pytest.mark.parametrize(
    ("price", "field", "code"),
    [
        (replace(SETUP, billing_period=BillingPeriod.MONTH), "billing_period", "not_allowed"),
        (replace(SETUP, interval_count=2), "billing_period", "not_allowed"),
        (a_price(**{**USAGE, "feature_id": "projects"}), "feature_id", "feature_type_mismatch"),
        (a_price(**{**USAGE, "feature_id": "sso"}), "feature_id", "feature_type_mismatch"),
        (a_price(**{**USAGE, "feature_id": "people"}), "feature_id", "unsupported_aggregation"),
        (a_price(**{**USAGE, "feature_id": None}), "feature_id", "required"),
        (a_seat_price(feature_id="gone"), "feature_id", "archived"),
        (a_tiered_price(model=PriceModel.FLAT_FEE, feature_id=None), "tiers", "not_allowed"),
        (a_tiered_price(tiers_mode=None), "tiers_mode", "required"),
        (replace(a_tiered_price(), tiers=()), "tiers", "required"),
        (replace(a_tiered_price(), amount=5), "amount", "not_allowed"),
        (a_tiered_price(block_size=5), "block_size", "not_allowed"),
        (a_price(block_size=5), "block_size", "not_allowed"),
        (a_seat_price(block_size=0), "block_size", "out_of_range"),
        (a_tiered_price(Tier(up_to=5, unit_amount=1)), "tiers[0].up_to", "not_open"),
        (a_tiered_price(TIERS[2], TIERS[2]), "tiers[0].up_to", "required"),
        (a_tiered_price(TIERS[0], TIERS[0], TIERS[2]), "tiers[1].up_to", "not_rising"),
        (
            a_tiered_price(Tier(up_to=0, unit_amount=1), TIERS[2]),
            "tiers[0].up_to",
            "not_rising",
        ),
        (a_tiered_price(Tier(up_to=None)), "tiers[0].unit_amount", "required"),
        (
            a_tiered_price(Tier(up_to=None, unit_amount=1, unit_amount_decimal=Decimal(1))),
            "tiers[0].unit_amount",
            "not_allowed",
        ),
        (a_tiered_price(Tier(up_to=None, flat_amount=-1)), "tiers[0].flat_amount", "out_of_range"),
        (
            a_tiered_price(Tier(up_to=None, unit_amount_decimal=Decimal("1e-13"))),
            "tiers[0].unit_amount_decimal",
            "out_of_range",
        ),
        (
            a_price(amount=None, amount_decimal=Decimal("0.0000000000001")),
            "amount_decimal",
            "out_of_range",
        ),
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


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ([a_price(country="XX")], {("prices[0].country", "unknown_country")}),
        ([a_price("m"), a_price("de", currency="eur", country="DE")], set()),
        (
            [a_price("m"), a_price("e", currency="eur"), a_seat_price("s")],
            {("prices[2].currency", "missing_currency")},
        ),
        (
            [a_price("m"), a_price("e", currency="eur"), SETUP],
            {("prices[2].currency", "missing_currency")},
        ),
        (
            [
                a_price("m"),
                a_price("e", currency="eur"),
                a_price("y", billing_period=BillingPeriod.YEAR),
            ],
            {("prices[2].currency", "missing_currency")},
        ),
    ],
)
def test_prices_that_leave_a_gap_are_refused_where_it_is(
    prices: list[Price], expected: set[tuple[str, str]]
) -> None:
    missing = {("prices[0].country", "missing_general_price")} if len(prices) == 1 else set()
    if len(prices) == 2:
        missing = {("prices[1].country", "missing_general_price")}
    assert set(faults(*prices)) == expected | missing


def test_prices_with_one_id_are_refused_at_the_second() -> None:
    assert faults(a_price("x"), a_price("x", currency="eur")) == [("prices[1].id", "duplicate")]


def test_prices_charging_the_same_thing_are_refused_at_the_second() -> None:
    assert faults(a_price("x"), a_price("y", amount=1)) == [("prices[1]", "duplicate")]
