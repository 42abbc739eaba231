"""Orders: what the catalog chooses, what it charges and what it refuses."""

from collections.abc import Mapping
from typing import Any

import pytest

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.ids import PackageId
from chalicelib.domain.orders import AddonOrder, Order, PricedOrder, price_order
from chalicelib.domain.plans import PackageKind, PackageVersion, PricingType
from chalicelib.domain.prices import BillingPeriod, PriceModel
from chalicelib.domain.subscriptions import SubscribedAddon
from tests.factories import ACME, a_price, a_seat_price, a_version

MONTH, YEAR, WEEK = BillingPeriod.MONTH, BillingPeriod.YEAR, BillingPeriod.WEEK
PRO = a_version(
    number=4,
    prices=[
        a_price("y-eur", 9000, currency="eur", billing_period=YEAR),
        a_price("m-eur", 900, currency="eur"),
        a_price("m-usd", 1000),
        a_price("y-usd", 10000, billing_period=YEAR),
        a_seat_price("seats-usd", 500, min_quantity=2, max_quantity=50),
        a_price("q-usd", 2800, interval_count=3),
    ],
    compatible_addons=(PackageId("storage"), PackageId("extra"), PackageId("gift")),
)
FREE = a_version(
    "free", pricing_type=PricingType.FREE, compatible_addons=PRO.content.compatible_addons
)
CUSTOM = a_version(
    "custom", pricing_type=PricingType.CUSTOM, compatible_addons=PRO.content.compatible_addons
)
ADDONS: Mapping[PackageId, PackageVersion] = {
    version.id: version
    for version in (
        a_version(
            "storage",
            2,
            kind=PackageKind.ADDON,
            prices=[a_price("s-usd", 200), a_price("s-eur", 190, currency="eur")],
            max_quantity=5,
        ),
        a_version("extra", 7, kind=PackageKind.ADDON, prices=[a_price("e-usd", 300)]),
        a_version("gift", 1, kind=PackageKind.ADDON),
        a_version("alien", 1, kind=PackageKind.ADDON, prices=[a_price("a-usd", 1)]),
    )
}


def an_order(plan_id: str = "pro", *addons: tuple[str, int], **fields: Any) -> Order:
    return Order(
        customer_id=ACME,
        plan_id=PackageId(plan_id),
        addons=tuple(AddonOrder(id=PackageId(one), quantity=count) for one, count in addons),
        **fields,
    )


def priced(order: Order, plan: PackageVersion = PRO, currency: str | None = None) -> PricedOrder:
    return price_order(order, plan, ADDONS, currency)


def refusals(
    order: Order, plan: PackageVersion = PRO, currency: str | None = None
) -> list[tuple[str, str]]:
    with pytest.raises(InvalidError) as caught:
        priced(order, plan, currency)
    return [(found.param, found.code) for found in caught.value.violations]


def charged(result: PricedOrder) -> dict[str, int | None]:
    return {line.price.id: line.quantity for line in result.lines}


# --- what the catalog chooses ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "customers", "period", "currency"),
    [
        ({}, None, MONTH, "eur"),
        ({}, "usd", MONTH, "usd"),
        ({}, "gbp", MONTH, "eur"),
        ({"currency": "usd"}, "eur", MONTH, "usd"),
        ({"billing_period": YEAR}, None, YEAR, "eur"),
        ({"billing_period": YEAR}, "usd", YEAR, "usd"),
        ({"billing_period": YEAR, "currency": "usd"}, None, YEAR, "usd"),
    ],
)
def test_order_without_wish_gets_months_and_the_customers_currency_where_sold(
    fields: dict[str, Any], customers: str | None, period: BillingPeriod, currency: str
) -> None:
    result = priced(an_order(**fields), currency=customers)
    assert (result.billing_period, result.currency) == (period, currency)


def test_order_of_plan_without_months_gets_its_first_period() -> None:
    plan = a_version(prices=[a_price("w", billing_period=WEEK), a_price("y", billing_period=YEAR)])
    assert priced(an_order(), plan).billing_period is WEEK


def test_order_charges_every_price_of_the_period_and_currency() -> None:
    result = priced(an_order(currency="usd", quantities={"seats": 7}))
    assert charged(result) == {"m-usd": 1, "seats-usd": 7}
    assert result.quantities == {"seats": 7}


def test_order_without_quantity_buys_the_least() -> None:
    assert priced(an_order(currency="usd")).quantities == {"seats": 2}
    plan = a_version(prices=[a_seat_price("s", 1)])
    assert priced(an_order(), plan).quantities == {"seats": 1}


def test_order_listing_addons_in_another_order_is_the_same_order() -> None:
    one = an_order("pro", ("storage", 3), ("extra", 1), currency="usd")
    other = an_order("pro", ("extra", 1), ("storage", 3), currency="usd")
    assert priced(one) == priced(other)
    assert terms(one) == terms(other)


def test_order_with_addons_charges_them_times_quantity_and_sorts_them() -> None:
    result = priced(an_order("pro", ("storage", 3), ("extra", 1), currency="usd"))
    assert charged(result) == {"m-usd": 1, "seats-usd": 2, "e-usd": 1, "s-usd": 3}
    assert result.addons == (
        SubscribedAddon(id=PackageId("extra"), version=7, quantity=1),
        SubscribedAddon(id=PackageId("storage"), version=2, quantity=3),
    )


@pytest.mark.parametrize("plan", [FREE, CUSTOM])
def test_order_of_unpaid_plan_has_nothing_to_pay(plan: PackageVersion) -> None:
    result = priced(an_order(plan.id, ("gift", 2)), plan)
    assert (result.lines, result.quantities) == ((), {})
    assert (result.billing_period, result.currency) == (None, None)
    assert result.addons[0].quantity == 2


# --- what it refuses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (an_order(billing_period=WEEK), ("billing_period", "no_such_price")),
        (an_order(currency="gbp"), ("currency", "no_such_price")),
        (an_order(quantities={"seats": 3}), ("quantities.seats", "not_sold_by_unit")),
        (an_order(quantities={"ghost": 1}), ("quantities.ghost", "not_sold_by_unit")),
        (
            an_order(currency="usd", quantities={"seats": 1}),
            ("quantities.seats", "out_of_range"),
        ),
        (
            an_order(currency="usd", quantities={"seats": 51}),
            ("quantities.seats", "out_of_range"),
        ),
        (
            an_order(currency="usd", quantities={"seats": 0}),
            ("quantities.seats", "out_of_range"),
        ),
        (an_order("pro", ("ghost", 1)), ("addons[0].id", "unknown_addon")),
        (an_order("pro", ("alien", 1)), ("addons[0].id", "incompatible_addon")),
        (an_order("pro", ("storage", 1), ("storage", 1)), ("addons[1].id", "duplicate")),
        (an_order("pro", ("storage", 0)), ("addons[0].quantity", "out_of_range")),
        (an_order("pro", ("storage", 6)), ("addons[0].quantity", "out_of_range")),
        (an_order("pro", ("storage", 1), ("extra", 1)), ("addons[1]", "no_such_price")),
    ],
)
def test_order_that_does_not_fit_is_refused_by_field(
    order: Order, expected: tuple[str, str]
) -> None:
    assert refusals(order) == [expected]


def test_order_with_several_bad_addons_names_them_all() -> None:
    order = an_order("pro", ("ghost", 1), ("storage", 9))
    assert refusals(order) == [
        ("addons[0].id", "unknown_addon"),
        ("addons[1].quantity", "out_of_range"),
    ]


def test_order_of_plan_with_one_off_prices_only_is_refused() -> None:
    plan = a_version(prices=[a_price("once", billing_period=None)])
    assert refusals(an_order(), plan) == [("plan_id", "no_such_price")]


def test_order_of_plan_sold_by_the_quarter_only_is_for_a_quarter() -> None:
    plan = a_version(prices=[a_price("q", interval_count=3)])
    result = priced(an_order(), plan)
    assert (result.billing_period, result.interval_count) == (MONTH, 3)


def test_order_for_several_periods_at_once_charges_the_price_for_them() -> None:
    result = priced(an_order(interval_count=3))
    assert (charged(result), result.interval_count, result.currency) == ({"q-usd": 1}, 3, "usd")
    assert refusals(an_order(interval_count=2)) == [("billing_period", "no_such_price")]


def test_order_charges_a_country_its_own_price_where_it_has_one() -> None:
    plan = a_version(
        prices=[
            a_price("m", 1000),
            a_price("m-de", 900, country="DE"),
            a_price("m-ch", 1100, country="CH"),
            a_seat_price("s", 50),
        ]
    )
    charges = {
        country: [line.price.id for line in price_order(an_order(), plan, {}, None, country).lines]
        for country in (None, "FR", "DE", "CH")
    }
    assert charges == {
        None: ["m", "s"],
        "FR": ["m", "s"],
        "DE": ["m-de", "s"],
        "CH": ["m-ch", "s"],
    }


def test_order_has_a_line_for_what_is_charged_once_and_for_usage_without_quantity() -> None:
    plan = a_version(
        prices=[
            a_price("m", 1000),
            a_price("setup", 5000, model=PriceModel.ONE_OFF, billing_period=None),
            a_price("usage", 1, model=PriceModel.USAGE_BASED, feature_id="calls"),
        ]
    )
    result = priced(an_order(), plan)
    assert charged(result) == {"m": 1, "setup": 1, "usage": None}
    assert result.quantities == {}


def test_order_of_addon_sold_by_the_unit_takes_its_quantity_from_the_units() -> None:
    plan = a_version(prices=[a_price("m")], compatible_addons=(PackageId("desks"),))
    desks = a_version(
        "desks", kind=PackageKind.ADDON, prices=[a_seat_price("d", 5, feature_id="desks")]
    )
    addons = {desks.id: desks}
    order = an_order("pro", ("desks", 1), quantities={"desks": 4})
    result = price_order(order, plan, addons, None)
    assert charged(result) == {"m": 1, "d": 4}
    assert result.quantities == {"desks": 4}
    with pytest.raises(InvalidError):
        price_order(an_order("pro", ("desks", 2)), plan, addons, None)


def test_order_in_which_two_parts_sell_a_feature_by_the_unit_is_refused() -> None:
    plan = a_version(prices=[a_seat_price("s")], compatible_addons=(PackageId("more"),))
    more = a_version("more", kind=PackageKind.ADDON, prices=[a_seat_price("d")])
    with pytest.raises(InvalidError) as caught:
        price_order(an_order("pro", ("more", 1)), plan, {more.id: more}, None)
    assert caught.value.violations[0].code == "sold_twice"


@pytest.mark.parametrize("plan", [FREE, CUSTOM])
def test_order_of_unpaid_plan_with_quantities_is_refused(plan: PackageVersion) -> None:
    order = an_order(plan.id, quantities={"seats": 1})
    assert refusals(order, plan) == [("quantities.seats", "not_sold_by_unit")]


def test_order_of_free_plan_with_priced_addon_is_refused_rather_than_given_away() -> None:
    order = an_order("free", ("gift", 1), ("extra", 1))
    assert refusals(order, FREE) == [("addons[1]", "no_such_price")]


def test_order_of_custom_plan_may_have_priced_addons_as_it_is_charged_elsewhere() -> None:
    assert priced(an_order("custom", ("extra", 1)), CUSTOM).lines == ()


def test_order_of_paid_plan_with_unpriced_addon_holds_it_without_a_line() -> None:
    result = priced(an_order("pro", ("gift", 2), currency="usd"))
    assert charged(result) == {"m-usd": 1, "seats-usd": 2}
    assert [(addon.id, addon.quantity) for addon in result.addons] == [("gift", 2)]


# --- terms --------------------------------------------------------------------------------------------------


BASE = an_order("pro", ("storage", 1), currency="usd")


def terms(order: Order, plan: PackageVersion = PRO) -> str:
    return priced(order, plan).terms(order)


def test_terms_of_the_same_wish_are_equal_however_it_is_spelled() -> None:
    spelled = an_order(
        "pro", ("storage", 1), currency="usd", billing_period=MONTH, quantities={"seats": 2}
    )
    assert terms(spelled) == terms(BASE)


@pytest.mark.parametrize(
    "other",
    [
        an_order("pro", currency="usd"),
        an_order("pro", ("storage", 2), currency="usd"),
        an_order("pro", ("storage", 1), ("extra", 1), currency="usd"),
        an_order("pro", ("storage", 1), currency="eur"),
        an_order("pro", ("storage", 1), currency="usd", quantities={"seats": 3}),
        an_order("pro", ("storage", 1), currency="usd", success_url="https://shop.example/a"),
        an_order("pro", ("storage", 1), currency="usd", cancel_url="https://shop.example/a"),
        an_order("pro", ("storage", 1), currency="usd", metadata={"order": "1"}),
    ],
)
def test_terms_of_another_wish_differ(other: Order) -> None:
    assert terms(other) != terms(BASE)


def test_terms_of_another_version_or_customer_differ() -> None:
    newer = a_version(number=5, content=PRO.content)
    assert terms(BASE, newer) != terms(BASE)
    assert priced(BASE).terms(BASE) != priced(BASE).terms(
        Order(customer_id=type(ACME)("other"), plan_id=BASE.plan_id, addons=BASE.addons)
    )
