"""The pricing table: for anybody, and for one customer."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.api_keys import KeyKind, Scope
from chalicelib.domain.sync import SyncTask
from chalicelib.services.run_sync_task import run_sync_task
from tests.fakes.billing import FakeBillingProvider, FakeProviders
from tests.unit.api.world import Answer, World


def price(amount: int, currency: str = "usd", **fields: Any) -> dict[str, Any]:
    base = {"model": "flat_fee", "billing_period": "month", "currency": currency}
    return {**base, "amount": amount, **fields}


PLANS: list[dict[str, Any]] = [
    {"id": "free", "pricing_type": "free", "entitlements": [{"feature_id": "sso", "value": True}]},
    {"id": "enterprise", "pricing_type": "custom"},
    {
        "id": "team",
        "pricing_type": "paid",
        "description": "For teams",
        "entitlements": [
            {"feature_id": "sso", "value": True},
            {"feature_id": "calls", "usage_limit": 500, "reset_period": "month"},
        ],
        "prices": [
            price(4900),
            price(4500, "eur"),
            price(3900, country="IN"),
            price(49000, billing_period="year"),
            price(45000, "eur", billing_period="year"),
        ],
        "compatible_addons": ["support"],
        "trial": {"duration": 14, "unit": "day"},
        "metadata": {"margin": "internal"},
    },
    {"id": "basic", "pricing_type": "paid", "prices": [price(900), price(800, "eur")]},
    {"id": "scale", "pricing_type": "paid", "prices": [price(99000, billing_period="year")]},
    {"id": "yen", "pricing_type": "paid", "prices": [price(9000, "jpy")]},
]


@pytest.fixture
def shop(world: World) -> World:
    world.ports = replace(world.ports, providers=FakeProviders([FakeBillingProvider(world.clock)]))
    post(world, "products", {"id": "app", "name": "App", "metadata": {"team": "core"}})
    post(world, "products", {"id": "other", "name": "Other"})
    post(world, "features", {"id": "sso", "name": "Single sign-on", "type": "boolean"})
    calls = {"id": "calls", "name": "API calls", "type": "metered", "unit": "call"}
    post(world, "features", calls)
    for addon in ("support", "unfit"):
        content = {"id": addon, "product_id": "app", "name": addon, "pricing_type": "paid"}
        prices = [price(1000), price(900, "eur")]
        prices += [price(10_000, billing_period="year"), price(9_000, "eur", billing_period="year")]
        post(world, "addons", {**content, "prices": prices})
        post(world, f"addons/{addon}/publish", {})
    for plan in PLANS:
        post(world, "plans", {"product_id": "app", "name": plan["id"].title(), **plan})
        post(world, f"plans/{plan['id']}/publish", {})
    post(world, "plans", {"id": "lone", "product_id": "other", "name": "L", "pricing_type": "free"})
    post(world, "plans/lone/publish", {})
    draft = {"id": "secret", "product_id": "app", "name": "Draft", "pricing_type": "free"}
    post(world, "plans", draft)
    post(world, "plans", {**draft, "id": "retired"})
    post(world, "plans/retired/publish", {})
    post(world, "plans/retired/archive", {})
    for task in world.store.all(SyncTask):
        run_sync_task(world.ports, task.id)
    post(world, "customers", {"id": "acme", "currency": "eur"})
    return world


def post(world: World, path: str, body: dict[str, Any]) -> Any:
    answer = world.send("POST", f"/v1/{path}", body)
    assert answer.status < 300, answer.body
    return answer.json


def paywall(world: World, query: str = "product_id=app", token: str = "") -> Any:
    answer = world.send("GET", f"/v1/paywall?{query}", token=token)
    assert answer.status == 200, answer.body
    return answer.json


def ask(world: World, query: str, token: str) -> Answer:
    return world.send("GET", f"/v1/paywall?{query}", token=token)


def publishable(world: World) -> str:
    return world.new_token(Scope.PAYWALL_READ, kind=KeyKind.PUBLISHABLE)


def relations(world: World, **fields: Any) -> dict[str, str]:
    if fields:
        post(world, "subscriptions", {"customer_id": "acme", **fields})
    found = paywall(world, "product_id=app&customer_id=acme")
    return {one["id"]: one["relation"] for one in found["plans"]}


def test_table_shows_what_is_on_sale_from_the_cheapest_on(shop: World) -> None:
    found = paywall(shop)
    assert [one["id"] for one in found["plans"]] == [
        "free",
        "basic",
        "team",
        "scale",
        "yen",
        "enterprise",
    ]
    assert [one["id"] for one in found["addons"]] == ["support"]
    assert found["products"] == [{"id": "app", "name": "App", "description": None}]
    assert (found["customer_id"], found["subscriptions"]) == (None, [])
    [team] = [one for one in found["plans"] if one["id"] == "team"]
    assert team["compatible_addons"] == ["support"]
    assert team["trial"] == {
        "duration": 14,
        "unit": "day",
        "payment_method_required": False,
        "available": True,
    }
    assert team["relation"] is None
    named = {one["feature_id"]: one for one in team["entitlements"]}
    assert (named["sso"]["feature_name"], named["sso"]["value"]) == ("Single sign-on", True)
    calls = named["calls"]
    assert (calls["feature_name"], calls["unit"], calls["usage_limit"]) == (
        "API calls",
        "call",
        500,
    )
    assert calls["feature_type"] == "metered"


def test_table_of_all_products_has_them_all(shop: World) -> None:
    found = paywall(shop, "")
    assert (found["id"], [one["id"] for one in found["products"]]) == ("all", ["app", "other"])
    assert "lone" in [one["id"] for one in found["plans"]]


@pytest.mark.parametrize(
    ("query", "amounts"),
    [
        ("", [4900, 4500, 49000, 45000]),
        ("&currency=eur", [4500, 45000]),
        ("&currency=usd&country=IN", [3900, 49000]),
        ("&currency=jpy", []),
        # A customer's own currency where the plan is sold in it, and what was asked for before that.
        ("&customer_id=acme", [4500, 45000]),
        ("&customer_id=acme&currency=usd", [4900, 49000]),
    ],
)
def test_prices_are_those_of_the_currency_and_country(
    shop: World, query: str, amounts: list[int]
) -> None:
    found = paywall(shop, f"product_id=app{query}")
    [team] = [one for one in found["plans"] if one["id"] == "team"]
    assert [one["amount"] for one in team["prices"]] == amounts
    assert all("billing" not in one for one in team["prices"])


def test_plan_not_sold_in_the_customers_currency_shows_its_others(shop: World) -> None:
    found = paywall(shop, "product_id=app&customer_id=acme")
    [yen] = [one for one in found["plans"] if one["id"] == "yen"]
    assert [one["currency"] for one in yen["prices"]] == ["jpy"]


def test_prices_are_those_of_the_customers_country_whatever_the_page_says(shop: World) -> None:
    post(shop, "customers", {"id": "delhi", "country": "IN", "currency": "usd"})
    found = paywall(shop, "product_id=app&customer_id=delhi&country=US")
    [team] = [one for one in found["plans"] if one["id"] == "team"]
    assert (found["country"], team["prices"][0]["amount"]) == ("IN", 3900)
    checkout = {"customer_id": "delhi", "plan_id": "team", "trial": False}
    post(shop, "checkout_sessions", checkout)


def test_relation_to_the_plan_that_is_held(shop: World) -> None:
    assert set(relations(shop).values()) == {None}
    assert relations(shop, plan_id="free") == {
        "free": "current",
        "basic": "upgrade",
        "team": "upgrade",
        "scale": "upgrade",
        "yen": "upgrade",
        "enterprise": "change",
    }


def test_relation_of_paid_plans_is_what_they_charge_a_month(shop: World) -> None:
    found = relations(shop, plan_id="team", billing_period="year", currency="usd")
    assert found == {
        "free": "downgrade",
        "basic": "downgrade",
        "team": "current",
        "scale": "upgrade",
        # No money in common.
        "yen": "change",
        "enterprise": "change",
    }


def test_trial_is_available_once_for_each_product(shop: World) -> None:
    def available() -> bool:
        [team] = [one for one in paywall(shop, "customer_id=acme")["plans"] if one["id"] == "team"]
        told: bool = team["trial"]["available"]
        return told

    assert available()
    post(shop, "subscriptions", {"customer_id": "acme", "plan_id": "team"})
    assert not available()
    shop.clock.advance(days=40)
    found = paywall(shop, "customer_id=acme")
    assert not available()
    assert found["subscriptions"] == []


def test_publishable_key_sees_the_public_table_and_no_customer(shop: World) -> None:
    key = publishable(shop)
    assert paywall(shop, token=key) == paywall(shop)
    for customer_id in ("acme", "nobody"):
        answer = ask(shop, f"product_id=app&customer_id={customer_id}", key)
        assert (answer.status, answer.json["code"]) == (403, "forbidden")
    told = ask(shop, "product_id=app", key).body.decode()
    for internal in ("internal", "margin", "billing_id", "core", "retired", "secret", "unfit"):
        assert internal not in told


def test_customer_token_sees_its_own_table_said_or_not(shop: World) -> None:
    post(shop, "subscriptions", {"customer_id": "acme", "plan_id": "free"})
    token = shop.customer_token("acme")
    own = paywall(shop, token=token)
    assert own == paywall(shop, "product_id=app&customer_id=acme", token)
    assert (own["customer_id"], own["subscriptions"][0]["plan_id"]) == ("acme", "free")
    post(shop, "customers", {"id": "other"})
    assert ask(shop, "customer_id=other", token).status == 403


def test_table_is_cached_by_what_may_see_it(shop: World) -> None:
    key, token = publishable(shop), shop.customer_token("acme")
    public, own = ask(shop, "product_id=app", key), ask(shop, "product_id=app", token)
    assert public.headers["Cache-Control"] == "public, max-age=60"
    assert own.headers["Cache-Control"] == "private, no-cache"
    for answer, by in ((public, key), (own, token)):
        assert "Authorization" in answer.headers["Vary"]
        etag = {"If-None-Match": answer.headers["ETag"]}
        again = shop.send("GET", "/v1/paywall?product_id=app", token=by, headers=etag)
        assert (again.status, again.body) == (304, b"")
        assert again.headers["Cache-Control"] == answer.headers["Cache-Control"]
        assert again.headers["ETag"] == answer.headers["ETag"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("product_id=none", 404),
        ("customer_id=nobody", 404),
        ("currency=xxx", 422),
        ("country=Germany", 422),
        ("unknown=1", 422),
    ],
)
def test_table_that_can_not_be_is_refused(shop: World, query: str, status: int) -> None:
    assert ask(shop, query, shop.token).status == status
