"""Prices to Stripe's words and back: the same money has the same fingerprint on both sides."""

import itertools
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chalicelib.adapters.billing.stripe.prices import create_params, observed_price
from chalicelib.domain.billing import MirrorPrice, ObservedPrice
from chalicelib.domain.ids import FeatureId
from chalicelib.domain.meters import event_name
from chalicelib.domain.money import MAX_AMOUNT_MINOR
from chalicelib.domain.prices import (
    BillingPeriod,
    Price,
    PriceModel,
    Tier,
    TiersMode,
    fingerprint,
)
from tests.factories import a_feature
from tests.unit.adapters.stripe.scripted import price as stripe_price


def mirror(price: Price) -> MirrorPrice:
    return MirrorPrice(
        lookup_key="slot", fingerprint=fingerprint(price), price=price, metadata={"a": "b"}
    )


def as_held(params: Any) -> dict[str, Any]:
    """What Stripe would hold after a creation with these parameters."""
    held = {key: value for key, value in params.items() if key != "transfer_lookup_key"}
    held.setdefault("billing_scheme", "per_unit")
    if "recurring" in held:
        held["recurring"] = {"usage_type": "licensed", **held["recurring"]}
    held |= {"id": "price_1", "active": True, **_amounts(held)}
    if "tiers" in held:
        held["tiers"] = [
            {**tier, **_amounts(tier), "up_to": None if tier["up_to"] == "inf" else tier["up_to"]}
            for tier in held["tiers"]
        ]
    return held


def _amounts(given: dict[str, Any]) -> dict[str, Any]:
    whole, text = given.get("unit_amount"), given.get("unit_amount_decimal")
    if text is not None:
        number = Decimal(str(text))
        whole = int(number) if number % 1 == 0 else None
    return {
        "unit_amount": whole,
        "unit_amount_decimal": str(text if text is not None else whole)
        if (whole, text) != (None, None)
        else None,
    }


def test_flat_price_is_created_with_its_lookup_key_taken_over() -> None:
    price = Price(
        id="p",
        model=PriceModel.FLAT_FEE,
        currency="usd",
        billing_period=BillingPeriod.MONTH,
        amount=1500,
    )
    assert create_params("pg_pro", mirror(price)) == {
        "product": "pg_pro",
        "currency": "usd",
        "lookup_key": "slot",
        "transfer_lookup_key": True,
        "metadata": {"a": "b"},
        "recurring": {"interval": "month", "interval_count": 1},
        "unit_amount": 1500,
    }


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0.5", "0.5"), ("0.000000000001", "0.000000000001"), ("1E+2", "100"), ("0.10", "0.1")],
)
def test_fractional_amount_is_sent_without_exponent(amount: str, text: str) -> None:
    price = Price(
        id="p",
        model=PriceModel.ONE_OFF,
        currency="usd",
        amount_decimal=Decimal(amount),
    )
    params = create_params("pg_pro", mirror(price))
    assert str(params["unit_amount_decimal"]) == text
    assert "recurring" not in params


def test_usage_price_with_tiers_is_created_metered_and_tiered() -> None:
    price = Price(
        id="p",
        model=PriceModel.USAGE_BASED,
        currency="usd",
        billing_period=BillingPeriod.YEAR,
        feature_id=FeatureId("calls"),
        tiers_mode=TiersMode.VOLUME,
        tiers=(
            Tier(up_to=10, unit_amount=5, flat_amount=100),
            Tier(up_to=None, unit_amount_decimal=Decimal("0.5")),
        ),
    )
    params = create_params("pg_pro", mirror(price))
    assert params["recurring"]["usage_type"] == "metered"
    assert params["billing_scheme"] == "tiered"
    assert params["tiers_mode"] == "volume"
    assert params["tiers"] == [
        {"up_to": 10, "unit_amount": 5, "flat_amount": 100},
        {"up_to": "inf", "unit_amount_decimal": Decimal("0.5")},
    ]
    assert "unit_amount" not in params


def test_block_price_is_created_with_its_block_rounded_up() -> None:
    price = Price(
        id="p",
        model=PriceModel.PER_UNIT,
        currency="usd",
        billing_period=BillingPeriod.MONTH,
        amount=10,
        block_size=1000,
    )
    assert create_params("pg_pro", mirror(price))["transform_quantity"] == {
        "divide_by": 1000,
        "round": "up",
    }


AMOUNTS = st.integers(0, MAX_AMOUNT_MINOR).map(lambda n: (n, None)) | st.decimals(
    0, 1000, places=12
).map(lambda d: (None, d))


@st.composite
def tiers(draw: st.DrawFn) -> tuple[Tier, ...]:
    bounds = draw(st.lists(st.integers(1, 10**6), max_size=3, unique=True))
    found = []
    for up_to in [*sorted(bounds), None]:
        amount, amount_decimal = draw(AMOUNTS)
        flat = draw(st.none() | st.integers(0, 1000))
        found.append(
            Tier(
                up_to=up_to,
                unit_amount=amount,
                unit_amount_decimal=amount_decimal,
                flat_amount=flat,
            )
        )
    return tuple(found)


@st.composite
def prices(draw: st.DrawFn) -> Price:
    model = draw(st.sampled_from(PriceModel))
    amount, amount_decimal = draw(AMOUNTS)
    with_tiers = model is not PriceModel.ONE_OFF and draw(st.booleans())
    return Price(
        id="p",
        model=model,
        currency=draw(st.sampled_from(["usd", "eur", "jpy"])),
        billing_period=None
        if model is PriceModel.ONE_OFF
        else draw(st.sampled_from(BillingPeriod)),
        interval_count=1 if model is PriceModel.ONE_OFF else draw(st.integers(1, 3)),
        amount=None if with_tiers else amount,
        amount_decimal=None if with_tiers else amount_decimal,
        tiers_mode=draw(st.sampled_from(TiersMode)) if with_tiers else None,
        tiers=draw(tiers()) if with_tiers else (),
        block_size=None if with_tiers else draw(st.none() | st.integers(1, 100)),
        feature_id=FeatureId("f"),
    )


METER = event_name("test", a_feature("f"))


def seen(price: Price) -> ObservedPrice:
    """The price after a creation at Stripe."""
    meter_id = "mtr_1" if price.model is PriceModel.USAGE_BASED else None
    params = create_params("pg_pro", mirror(price), meter_id)
    return observed_price(as_held(params), {"mtr_1": METER})


@given(price=prices())
def test_price_created_and_observed_keeps_its_fingerprint(price: Price) -> None:
    assert seen(price).fingerprint == fingerprint(price)


def test_metered_price_of_another_meter_is_not_ours() -> None:
    price = Price(
        id="p",
        model=PriceModel.USAGE_BASED,
        currency="usd",
        billing_period=BillingPeriod.MONTH,
        amount=1,
        feature_id=FeatureId("f"),
    )
    held = as_held(create_params("pg_pro", mirror(price), "mtr_1"))
    other = event_name("test", a_feature("g"))
    for names in ({}, {"mtr_1": "theirs"}, {"mtr_1": other}):
        assert observed_price(held, names).fingerprint != fingerprint(price)


@given(one=prices(), other=prices())
def test_prices_of_different_money_are_observed_apart(one: Price, other: Price) -> None:
    assume(fingerprint(one) != fingerprint(other))
    assert seen(one).fingerprint != seen(other).fingerprint


FOREIGN = [
    stripe_price(unit_amount=None, unit_amount_decimal=None, custom_unit_amount={"minimum": 1}),
    stripe_price(unit_amount=None, unit_amount_decimal=None),
    stripe_price(transform_quantity={"divide_by": 10, "round": "down"}),
    stripe_price(billing_scheme="tiered", tiers_mode="graduated", unit_amount=None),
    stripe_price(billing_scheme="tiered", tiers_mode="sideways", tiers=[{"up_to": None}]),
    stripe_price(recurring={"interval": "fortnight", "interval_count": 1}),
    stripe_price(
        billing_scheme="tiered",
        tiers_mode="volume",
        tiers=[{"up_to": None, "flat_amount": None, "flat_amount_decimal": "0.5"}],
    ),
]


@pytest.mark.parametrize("held", FOREIGN)
def test_price_that_could_not_be_ours_matches_none_of_ours(held: dict[str, Any]) -> None:
    assert observed_price(held).fingerprint == "foreign:price_1"


def test_dashboard_prices_of_every_shape_are_told_apart() -> None:
    monthly = {"interval": "month", "interval_count": 1, "usage_type": "licensed"}
    shapes = [
        stripe_price(),
        stripe_price(unit_amount=1001),
        stripe_price(unit_amount=None, unit_amount_decimal="1000.5"),
        stripe_price(currency="eur"),
        stripe_price(recurring=None, type="one_time"),
        stripe_price(recurring={**monthly, "interval": "year"}),
        stripe_price(recurring={**monthly, "interval_count": 2}),
        stripe_price(recurring={**monthly, "usage_type": "metered"}),
        stripe_price(transform_quantity={"divide_by": 10, "round": "up"}),
    ]
    found = [observed_price(shape).fingerprint for shape in shapes]
    assert all(one != other for one, other in itertools.combinations(found, 2))


def test_price_observed_keeps_what_may_change() -> None:
    found = observed_price(stripe_price(active=False, lookup_key=None, metadata={"k": "v"}))
    assert (found.active, found.lookup_key, found.metadata) == (False, None, {"k": "v"})
