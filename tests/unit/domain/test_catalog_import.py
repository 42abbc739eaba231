"""The translation of foreign products, price by price, and that whatever is read becomes a catalog."""

from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import app
from chalicelib.domain.catalog_documents import CatalogState, Document, wanted_document
from chalicelib.domain.catalog_import import import_catalog
from chalicelib.domain.coupons import AmountOff
from chalicelib.domain.foreign_catalog import (
    ForeignCatalog,
    ForeignCode,
    ForeignCoupon,
    ForeignMeter,
    ForeignMoney,
    ForeignPrice,
    ForeignProduct,
)
from chalicelib.domain.ids import ProductId
from chalicelib.domain.prices import Tier
from chalicelib.ports import Providers
from tests.fakes.billing import FakeBillingProvider, FakeProviders
from tests.fakes.system import START
from tests.unit.api.world import World, served

TIERS = (Tier(up_to=10, unit_amount=5), Tier(up_to=None, flat_amount=100))
CALLS = ForeignMeter(
    billing_id="mtr_1", event_name="api_calls", display_name="API calls", formula="sum"
)


def a_price(billing_id: str = "price_1", *, amount: int = 900, **fields: Any) -> ForeignPrice:
    fields.setdefault("money", {"usd": ForeignMoney(amount=amount)})
    fields.setdefault("interval", "month")
    return ForeignPrice(billing_id=billing_id, **fields)


def a_product(*prices: ForeignPrice, **fields: Any) -> ForeignProduct:
    fields.setdefault("billing_id", "prod_1")
    fields.setdefault("name", "Pro")
    return ForeignProduct(prices=prices, **fields)


def imported(
    *products: ForeignProduct, coupons: tuple[ForeignCoupon, ...] = ()
) -> tuple[Document, list[tuple[str, str, str]]]:
    foreign = ForeignCatalog(products=products, meters=(CALLS,), coupons=coupons)
    made = import_catalog(foreign, CatalogState(), ProductId("imported"), START)
    found = [(str(one.severity), one.billing_id, one.reason) for one in made.findings]
    return wanted_document(made.catalog), found


@pytest.mark.parametrize(
    ("fields", "unit_label", "wanted"),
    [
        ({}, None, {"model": "flat_fee", "amount": 900}),
        ({}, "seat", {"model": "per_unit", "feature_id": "seat", "amount": 900}),
        ({"interval_count": 3}, None, {"model": "flat_fee", "interval_count": 3, "amount": 900}),
        ({"block_size": 1}, None, {"model": "flat_fee", "amount": 900}),
        (
            {"block_size": 10},
            None,
            {"model": "per_unit", "feature_id": "pro-units", "block_size": 10, "amount": 900},
        ),
        (
            {"money": {"usd": ForeignMoney(amount_decimal=Decimal("0.05"))}},
            None,
            {"model": "flat_fee", "amount_decimal": "0.05"},
        ),
        (
            {"money": {"usd": ForeignMoney(tiers=TIERS)}, "tiers_mode": "volume"},
            None,
            {
                "model": "per_unit",
                "feature_id": "pro-units",
                "tiers_mode": "volume",
                "tiers": [{"up_to": 10, "unit_amount": 5}, {"flat_amount": 100}],
            },
        ),
        (
            {
                "money": {"usd": ForeignMoney(tiers=TIERS)},
                "tiers_mode": "graduated",
                "is_metered": True,
                "meter_id": "mtr_1",
            },
            "seat",
            {
                "model": "usage_based",
                "feature_id": "api-calls",
                "tiers_mode": "graduated",
                "tiers": [{"up_to": 10, "unit_amount": 5}, {"flat_amount": 100}],
            },
        ),
    ],
)
def test_recurring_price_of_each_model_becomes_a_plans_price(
    fields: dict[str, Any], unit_label: str | None, wanted: Document
) -> None:
    document, _ = imported(a_product(a_price(**fields), unit_label=unit_label))
    ((plan,), found) = document["plans"], document["plans"][0]["prices"]
    assert (plan["id"], plan["pricing_type"], plan["product_id"]) == ("pro", "paid", "imported")
    tiers = [
        {name: value for name, value in tier.items() if value is not None}
        for tier in found[0].get("tiers", ())
    ]
    expected = {"currency": "usd", "billing_period": "month", **wanted}
    assert found[0] | ({"tiers": tiers} if tiers else {}) == expected
    ids = {one["id"] for one in document["features"]}
    assert ids == ({wanted["feature_id"]} if "feature_id" in wanted else set())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"money": {"usd": ForeignMoney(oddity="custom_unit_amount")}}, "custom_unit_amount"),
        ({"money": {"usd": ForeignMoney(oddity="tiers_not_shown")}}, "tiers_not_shown"),
        ({"money": {"zzz": ForeignMoney(amount=1)}}, "unknown_currency"),
        ({"money": {"usd": ForeignMoney(amount=10**9)}}, "out_of_range"),
        ({"active": False}, "archived"),
        ({"is_managed": True}, "managed"),
        ({"is_metered": True}, "legacy_usage"),
        ({"is_metered": True, "meter_id": "mtr_gone"}, "unknown_meter"),
        ({"block_size": 10, "rounds_up": False}, "rounds_down"),
        ({"interval": "fortnight"}, "unknown_interval"),
        ({"interval_count": 99}, "out_of_range"),
        (
            {
                "money": {"usd": ForeignMoney(tiers=TIERS)},
                "tiers_mode": "volume",
                "block_size": 10,
            },
            "tiers_in_blocks",
        ),
        (
            {"money": {"usd": ForeignMoney(tiers=TIERS * 60)}, "tiers_mode": "volume"},
            "too_many_tiers",
        ),
    ],
)
def test_price_without_counterpart_is_skipped_with_its_reason(
    fields: dict[str, Any], reason: str
) -> None:
    document, found = imported(a_product(a_price(**fields), a_price("price_2")))
    assert found == [("skipped", "price_1", reason)]
    assert [len(plan["prices"]) for plan in document["plans"]] == [1]
    document, found = imported(a_product(a_price(**fields)))
    assert found[-1] == ("skipped", "prod_1", "no_prices")
    assert not any(document.values())


@pytest.mark.parametrize(
    ("fields", "finding"),
    [
        ({"trial_days": 14}, ("changed", "price_1", "trial")),
        ({"has_tax_behavior": True}, ("changed", "price_1", "tax_behavior")),
        ({"is_metered": True, "meter_id": "mtr_1"}, ("note", "mtr_1", "new_meter")),
    ],
)
def test_price_with_loss_is_imported_and_told(
    fields: dict[str, Any], finding: tuple[str, str, str]
) -> None:
    document, found = imported(a_product(a_price(**fields)))
    assert found == [finding]
    assert len(document["plans"]) == 1


@pytest.mark.parametrize(
    ("fields", "reason"), [({"active": False}, "archived"), ({"is_managed": True}, "managed")]
)
def test_product_that_is_not_for_import_is_skipped(fields: dict[str, Any], reason: str) -> None:
    document, found = imported(a_product(a_price(), **fields))
    assert found == [("skipped", "prod_1", reason)]
    assert not any(document.values())


def test_prices_that_charge_the_same_twice_become_two_plans() -> None:
    document, found = imported(a_product(a_price(), a_price("price_2", amount=1900)))
    shown = [(one["id"], one["name"], one["prices"][0]["amount"]) for one in document["plans"]]
    assert shown == [("pro", "Pro", 900), ("pro-2", "Pro (2)", 1900)]
    assert ("changed", "prod_1", "split") in found


def test_prices_in_other_currencies_of_one_charge_stand_in_one_plan() -> None:
    euro = {"eur": ForeignMoney(amount=800)}
    document, found = imported(a_product(a_price(), a_price("price_2", money=euro)))
    assert [len(one["prices"]) for one in document["plans"]] == [2]
    assert found == []


def test_price_that_is_charged_once_becomes_an_addon() -> None:
    document, found = imported(a_product(a_price(interval=None), a_price("price_2")))
    assert [one["id"] for one in document["plans"]] == ["pro"]
    assert [one["prices"][0]["model"] for one in document["addons"]] == ["one_off"]
    assert ("note", "prod_1", "addon") in found


def test_products_of_one_name_get_ids_of_their_own() -> None:
    document, found = imported(a_product(a_price()), a_product(a_price(), billing_id="prod_2"))
    assert [one["id"] for one in document["plans"]] == ["pro", "pro-2"]
    assert found == [("note", "prod_2", "name_taken")]


@pytest.mark.parametrize(
    ("fields", "finding"),
    [
        ({"is_valid": False}, ("skipped", "cpn", "expired")),
        ({"is_managed": True}, ("skipped", "cpn", "managed")),
        ({"is_for_some_products": True}, ("skipped", "cpn", "applies_to")),
        ({"percent_off": Decimal("1.005")}, ("skipped", "cpn", "out_of_range")),
        ({"duration": "repeating", "duration_months": 121}, ("skipped", "cpn", "out_of_range")),
        ({"is_limited": True}, ("changed", "cpn", "redemption_limit")),
        (
            {"codes": (ForeignCode(billing_id="promo", code="A", is_restricted=True),)},
            ("skipped", "promo", "restricted_code"),
        ),
    ],
)
def test_coupon_with_conditions_is_told(
    fields: dict[str, Any], finding: tuple[str, str, str]
) -> None:
    coupon = ForeignCoupon(billing_id="cpn", name="Ten", **{"percent_off": Decimal(10)} | fields)
    document, found = imported(coupons=(coupon,))
    assert found == [finding]
    left = finding[:2] == ("skipped", "cpn")
    assert [one["id"] for one in document["coupons"]] == ([] if left else ["ten"])


# --- whatever is read -----------------------------------------------------------------------------

amounts = st.one_of(st.none(), st.integers(-1, 10**8), st.just(10**9))
decimals = st.one_of(
    st.none(), st.decimals(-1, 10**8, places=3), st.decimals(0, 1, places=13, allow_nan=False)
)
names = st.one_of(st.sampled_from(["Pro", "pro", "Seats", "日本", "", " ", "n" * 400]), st.text())
tiers = st.builds(
    Tier,
    up_to=st.one_of(st.none(), st.integers(0, 50)),
    unit_amount=amounts,
    unit_amount_decimal=decimals,
    flat_amount=amounts,
)
monies = st.builds(
    ForeignMoney,
    amount=amounts,
    amount_decimal=decimals,
    tiers=st.one_of(st.just(()), st.just(TIERS), st.lists(tiers, max_size=3).map(tuple)),
    oddity=st.one_of(st.none(), st.none(), st.sampled_from(["custom_unit_amount"])),
)
plain_money = st.builds(ForeignMoney, amount=st.integers(0, 10**6))
prices = st.builds(
    ForeignPrice,
    billing_id=st.sampled_from([f"price_{number}" for number in range(30)]),
    active=st.sampled_from([True, True, False]),
    money=st.dictionaries(
        st.sampled_from(["usd", "eur", "jpy", "zzz"]),
        st.one_of(plain_money, monies),
        min_size=1,
    ),
    interval=st.sampled_from(["month", "month", "year", "day", "fortnight", None]),
    interval_count=st.sampled_from([1, 1, 3, 99]),
    is_metered=st.booleans(),
    meter_id=st.sampled_from([None, "mtr_1", "mtr_1", "mtr_2", "mtr_gone"]),
    tiers_mode=st.sampled_from([None, None, "volume", "graduated", "other"]),
    block_size=st.sampled_from([None, None, 1, 100]),
    rounds_up=st.sampled_from([True, True, False]),
    trial_days=st.sampled_from([None, 14]),
)
products = st.builds(
    ForeignProduct,
    billing_id=st.uuids().map(lambda one: f"prod_{one.hex}"),
    name=names,
    description=st.one_of(st.none(), st.just("d" * 2000), st.text()),
    active=st.sampled_from([True, True, True, False]),
    unit_label=st.one_of(st.none(), st.sampled_from(["seat", "Seat", " "]), st.text(max_size=12)),
    prices=st.lists(prices, max_size=6).map(tuple),
)
coupons = st.builds(
    ForeignCoupon,
    billing_id=st.uuids().map(lambda one: one.hex[:8]),
    name=st.one_of(st.none(), names),
    percent_off=st.one_of(st.none(), st.decimals(-1, 101, places=3)),
    amounts_off=st.lists(
        st.builds(AmountOff, amount=st.integers(0, 10**9), currency=st.sampled_from(["usd", "eur"]))
    ).map(tuple),
    duration=st.sampled_from(["once", "repeating", "forever", "other"]),
    duration_months=st.sampled_from([None, 0, 3, 121]),
    codes=st.lists(
        st.builds(
            ForeignCode, billing_id=st.just("promo"), code=st.sampled_from(["A", "a", "B C", "D"])
        )
    ).map(tuple),
)
meters = (CALLS, replace(CALLS, billing_id="mtr_2", formula="count"))
catalogs = st.builds(
    ForeignCatalog,
    products=st.lists(products, max_size=4).map(tuple),
    meters=st.just(meters),
    coupons=st.lists(coupons, max_size=3).map(tuple),
)
HELD: Document = {
    "features": [{"id": "seat", "name": "Seat", "type": "boolean"}],
    "products": [{"id": "app", "name": "App"}],
    "plans": [{"id": "pro", "product_id": "app", "name": "Pro"}],
    "coupons": [{"id": "ten", "name": "Ten", "percent_off": 10.0, "promotion_code": "D"}],
}


@settings(max_examples=40, deadline=None)
@given(foreign=catalogs, product_id=st.sampled_from(["imported", "app"]))
def test_whatever_is_read_becomes_a_document_that_diff_accepts(
    foreign: ForeignCatalog, product_id: str
) -> None:
    world = World(app.app)
    billing = FakeBillingProvider(world.clock, foreign=foreign)
    providers = cast("Providers", FakeProviders([billing]))
    world.ports = replace(world.ports, providers=providers)
    with served(world):
        held = world.send("POST", "/v1/catalog/diff", {"catalog": HELD}).json["hash"]
        body = {"catalog": HELD, "expected_hash": held}
        assert world.send("POST", "/v1/catalog/apply", body).status == 200
        before = dict(world.store.records)
        answer = world.send("POST", "/v1/catalog/import", {"product_id": product_id})
        assert answer.status == 200, answer.body
        assert dict(world.store.records) == before
        found = answer.json
        diff = world.send("POST", "/v1/catalog/diff", {"catalog": found["catalog"]})
    assert diff.status == 200, diff.body
    assert {change["action"] for change in diff.json["changes"]} <= {"create"}
    told = {one["billing_id"] for one in found["report"]}
    packages = [*found["catalog"]["plans"], *found["catalog"]["addons"]]
    told |= {one["metadata"]["imported_from"] for one in packages}
    assert {one.billing_id for one in foreign.products} <= told
    # Nothing fell to the rules that the translation should have known.
    assert not [one for one in found["report"] if one["detail"].startswith("Refused as")], found[
        "report"
    ]
