"""Every price model from a publication to a paid subscription, over the real adapter and the stand-in."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.domain.features import FeatureType
from chalicelib.domain.ids import FeatureId, PackageId
from chalicelib.domain.orders import AddonOrder
from chalicelib.domain.plans import PackageKind
from chalicelib.domain.price_amounts import price_amount
from chalicelib.domain.prices import BillingPeriod, Price, PriceModel, Tier, TiersMode
from chalicelib.domain.sync import CatalogLink
from infra.local.stripe_stand_in.money import cost, rounded
from tests.factories import a_limit, a_price, a_seat_price
from tests.fakes.stripe_shop import StripeShop

USAGE: dict[str, Any] = {"model": PriceModel.USAGE_BASED, "feature_id": "calls"}
TIERS = (
    Tier(up_to=10, unit_amount=500, flat_amount=1000),
    Tier(up_to=100, unit_amount_decimal=Decimal("0.000000000001")),
    Tier(up_to=None, flat_amount=7),
)
BASE = a_price("base", 1000)
SETUP = a_price("setup", 9900, model=PriceModel.ONE_OFF, billing_period=None)


def tiered(mode: TiersMode, **fields: Any) -> Price:
    fields = {"model": PriceModel.PER_UNIT, "feature_id": "seats", **fields}
    return a_price("tiered", None, tiers_mode=mode, tiers=TIERS, **fields)


@pytest.fixture
def shop() -> StripeShop:
    made = StripeShop()
    made.customer(email="a@acme.example", country="DE")
    return made


@pytest.mark.parametrize(
    "prices",
    [
        [BASE],
        [BASE, a_seat_price()],
        [BASE, SETUP],
        [tiered(TiersMode.VOLUME)],
        [tiered(TiersMode.GRADUATED)],
        [tiered(TiersMode.GRADUATED, **USAGE)],
        [BASE, a_price("usage", None, amount_decimal=Decimal("0.0125"), **USAGE)],
        [a_price("blocks", 900, block_size=1000, **USAGE)],
        [a_seat_price("blocks", 900, block_size=5)],
        [a_price("q", 2500, interval_count=3), SETUP],
        [a_price("d", 25, billing_period=BillingPeriod.DAY, interval_count=10)],
        [BASE, a_price("de", 900, country="DE"), a_price("fr", 950, country="FR")],
        [
            BASE,
            a_price("eur", 900, currency="eur"),
            a_price("y", 1, billing_period=BillingPeriod.YEAR),
            a_price("ye", 1, currency="eur", billing_period=BillingPeriod.YEAR),
        ],
    ],
)
def test_prices_published_reach_stripe_exactly_and_can_be_paid(
    shop: StripeShop, prices: list[Price]
) -> None:
    shop.sell("pro", *prices, entitlements=[a_limit("seats")])
    assert shop.steps_left() == 0
    held = shop.store.get(CatalogLink, PackageKind.PLAN, "pro", "stripe")
    assert held is not None
    assert {link.price_id for link in held.prices} == {price.id for price in prices}
    assert sum(price["active"] for price in shop.objects("price")) == len(prices)
    subscription = shop.pay()
    (ours,) = shop.subscriptions()
    assert (ours.status, ours.plan_id, ours.billing_id) == ("active", "pro", subscription["id"])
    assert shop.check("seats").decision.has_access


def test_usage_price_has_a_product_and_its_feature_a_meter_of_its_own(shop: StripeShop) -> None:
    shop.sell("pro", BASE, a_price("usage", 2, **USAGE))
    shop.sell("max", BASE, a_price("usage", 3, **USAGE))
    (meter,) = shop.objects("billing.meter")
    assert meter["default_aggregation"] == {"formula": "sum"}
    assert len(shop.objects("product")) == 4
    metered = [one for one in shop.objects("price") if one["recurring"]["usage_type"] == "metered"]
    assert [one["recurring"]["meter"] for one in metered] == [meter["id"], meter["id"]]
    own = {one["product"] for one in shop.objects("price") if one not in metered}
    assert own == {"pg_test_plan_pro", "pg_test_plan_max"}


def test_usage_price_given_up_leaves_neither_product_nor_price_on_sale(shop: StripeShop) -> None:
    shop.sell("pro", BASE, a_price("usage", 2, **USAGE))
    shop.sell("pro", BASE)
    assert shop.steps_left() == 0
    active = {one["id"] for one in shop.objects("product") if one["active"]}
    assert active == {"pg_test_plan_pro"}
    assert [one["unit_amount"] for one in shop.objects("price") if one["active"]] == [1000]
    shop.sell("pro", BASE, a_price("usage", 2, **USAGE))
    assert len(shop.objects("price")) == 2
    assert all(one["active"] for one in (*shop.objects("product"), *shop.objects("price")))


def test_meter_stopped_by_somebody_takes_events_again(shop: StripeShop) -> None:
    shop.sell("pro", BASE, a_price("usage", 2, **USAGE))
    (meter,) = shop.objects("billing.meter")
    shop.send("POST", f"/v1/billing/meters/{meter['id']}/deactivate")
    assert shop.steps_left() == 1
    assert shop.objects("billing.meter")[0]["status"] == "active"


def test_customer_of_a_country_pays_its_price_and_keeps_it(shop: StripeShop) -> None:
    shop.sell("pro", BASE, a_price("de", 900, country="DE"))
    subscription = shop.pay()
    held = shop.stripe.get_subscription(subscription["id"])
    assert held is not None
    amounts = {one["id"]: one["unit_amount"] for one in shop.objects("price")}
    assert [amounts[item.price_billing_id] for item in held.items] == [900]


def test_addons_of_every_model_are_held_after_payment(shop: StripeShop) -> None:
    shop.features(desks=FeatureType.METERED, calls=FeatureType.METERED)
    addon = {"kind": PackageKind.ADDON}
    shop.sell("storage", a_price("flat", 100), **addon)
    shop.sell("desks", a_seat_price("desks", 50, feature_id="desks"), **addon)
    shop.sell("calls", a_price("calls", 1, **USAGE), **addon)
    shop.sell("training", SETUP, **addon)
    shop.sell("gift", **addon)
    wanted = [("calls", 1), ("desks", 1), ("gift", 2), ("storage", 3), ("training", 2)]
    shop.sell("pro", BASE, compatible_addons=tuple(PackageId(one) for one, _ in wanted))
    orders = tuple(AddonOrder(id=PackageId(one), quantity=count) for one, count in wanted)
    shop.pay(addons=orders, quantities={"desks": 4})
    (ours,) = shop.subscriptions()
    assert [(addon.id, addon.quantity) for addon in ours.addons] == wanted
    assert ours.quantities == {"desks": 4}
    assert shop.check("desks").decision.usage_limit == 4


# --- arithmetic -------------------------------------------------------------------------------------------------


@st.composite
def counted_prices(draw: st.DrawFn) -> Price:
    amounts = st.integers(0, 10_000).map(lambda whole: (whole, None)) | st.decimals(
        0, 100, places=12
    ).map(lambda part: (None, part))
    if draw(st.booleans()):
        amount, fraction = draw(amounts)
        block_size = draw(st.none() | st.integers(1, 7))
        return Price(
            id="p",
            model=PriceModel.PER_UNIT,
            currency="usd",
            billing_period=BillingPeriod.MONTH,
            amount=amount,
            amount_decimal=fraction,
            block_size=block_size,
        )
    ends = sorted(draw(st.sets(st.integers(1, 30), max_size=4)))
    tiers = []
    for end in (*ends, None):
        amount, fraction = draw(amounts)
        flat = draw(st.none() | st.integers(0, 500))
        tiers.append(
            Tier(up_to=end, unit_amount=amount, unit_amount_decimal=fraction, flat_amount=flat)
        )
    return Price(
        id="p",
        model=PriceModel.PER_UNIT,
        currency="usd",
        billing_period=BillingPeriod.MONTH,
        tiers_mode=draw(st.sampled_from(TiersMode)),
        tiers=tuple(tiers),
    )


def by_the_unit(price: Price, quantity: int) -> Decimal:
    """The oracle: every unit is looked at by itself."""

    def unit(tier: Tier) -> Decimal:
        whole, fraction = tier.unit_amount, tier.unit_amount_decimal
        return Decimal(whole) if whole is not None else fraction or Decimal(0)

    def reached(number: int) -> Tier:
        return next(tier for tier in price.tiers if tier.up_to is None or number <= tier.up_to)

    if not price.tiers:
        amount = Decimal(price.amount) if price.amount is not None else price.amount_decimal
        started = sum(1 for number in range(quantity) if number % (price.block_size or 1) == 0)
        return (amount or Decimal(0)) * started
    if price.tiers_mode is TiersMode.VOLUME:
        last = reached(quantity)
        return sum((unit(last) for _ in range(quantity)), Decimal(last.flat_amount or 0))
    entered = [price.tiers[0]]
    total = Decimal(price.tiers[0].flat_amount or 0)
    for number in range(1, quantity + 1):
        tier = reached(number)
        if tier not in entered:
            entered.append(tier)
            total += tier.flat_amount or 0
        total += unit(tier)
    return total


@given(price=counted_prices(), quantity=st.integers(0, 60))
def test_amount_is_that_of_every_unit_by_itself(price: Price, quantity: int) -> None:
    assert price_amount(price, quantity) == by_the_unit(price, quantity)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(price=counted_prices(), quantity=st.integers(0, 60))
def test_amount_is_what_stripe_charges_for_the_price_made_of_ours(
    price: Price, quantity: int
) -> None:
    shop = StripeShop()
    shop.sell("pro", a_price("base"), _named(price))
    assert shop.steps_left() == 0
    held = next(one for one in shop.objects("price") if one["unit_amount"] != 1000)
    assert cost(held, quantity) == rounded(price_amount(price, quantity))


def _named(price: Price) -> Price:
    # Told apart from the base price, which costs 1000.
    amount = 1001 if price.amount == 1000 else price.amount
    return replace(price, feature_id=FeatureId("seats"), amount=amount)
