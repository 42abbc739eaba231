"""Checks over HTTP: one, all of a customer, a batch; with resources and with reasons."""

from typing import Any

import pytest

from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.domain.ids import CustomerId
from chalicelib.ports import HotRead
from tests.fakes.store import InMemorySnapshotReader
from tests.unit.api.world import World

MONTHLY = {"model": "flat_fee", "billing_period": "month", "currency": "usd"}


def ok(world: World, method: str, path: str, body: Any = None) -> Any:
    answer = world.send(method, f"/v1/{path}", body)
    assert answer.status in (200, 201), answer.body
    return answer.json


def plan(world: World, plan_id: str, **fields: Any) -> None:
    ok(world, "POST", "plans", {"id": plan_id, "product_id": "app", "name": plan_id, **fields})
    ok(world, "POST", f"plans/{plan_id}/publish", {})


@pytest.fixture
def shop(world: World) -> World:
    ok(world, "POST", "products", {"id": "app", "name": "App"})
    for feature_id, kind in (("sso", "boolean"), ("calls", "metered"), ("size", "numeric")):
        ok(world, "POST", "features", {"id": feature_id, "name": feature_id, "type": kind})
    regions = {"id": "region", "name": "R", "type": "enum", "values": ["eu", "us"]}
    ok(world, "POST", "features", regions)
    plan(world, "free", entitlements=[{"feature_id": "calls", "usage_limit": 10}])
    for plan_id, amount, limit in (("big", 900, 1000), ("team", 500, 100), ("solo", 300, 20)):
        plan(
            world,
            plan_id,
            pricing_type="paid",
            entitlements=[
                {"feature_id": "calls", "usage_limit": limit},
                {"feature_id": "sso", "value": plan_id != "solo"},
            ],
            prices=[{**MONTHLY, "amount": amount}],
        )
    plan(
        world,
        "talk-to-us",
        pricing_type="custom",
        entitlements=[{"feature_id": "calls", "is_unlimited": True}],
    )
    ok(world, "POST", "customers", {"id": "acme"})
    ok(world, "POST", "subscriptions", {"customer_id": "acme", "plan_id": "free"})
    return world


def grant(world: World, **fields: Any) -> Any:
    return ok(
        world, "POST", "customers/acme/grants", {"feature_id": "sso", "value": True, **fields}
    )


def check(world: World, feature_id: str, query: str = "") -> Any:
    return ok(world, "GET", f"customers/acme/entitlements/{feature_id}{query}")


# --- resources --------------------------------------------------------------------------------------------


def test_check_of_a_resource_counts_what_is_its_own_and_the_customers(shop: World) -> None:
    grant(shop, feature_id="calls", value=None, usage_limit=50, resource_id="ws-1")
    grant(shop, resource_id="ws-2")
    assert check(shop, "calls")["usage_limit"] == 10
    assert check(shop, "calls", "?resource_id=ws-1")["usage_limit"] == 50
    assert check(shop, "calls", "?resource_id=ws-2")["usage_limit"] == 10
    assert check(shop, "sso")["has_access"] is False
    assert check(shop, "sso", "?resource_id=ws-1")["has_access"] is False
    found = check(shop, "sso", "?resource_id=ws-2")
    assert found["has_access"] is True
    assert found["sources"][0]["resource_id"] == "ws-2"


def test_check_of_an_unknown_resource_says_so(shop: World) -> None:
    found = check(shop, "calls", "?resource_id=ws-9")
    assert (found["has_access"], found["denied_reason"]) == (False, "customer_resource_not_found")
    assert found["feature_type"] == "metered"


def test_check_of_a_resource_whose_grant_was_revoked_knows_it(shop: World) -> None:
    made = grant(shop, resource_id="ws-1")
    ok(shop, "DELETE", f"customers/acme/grants/{made['id']}")
    assert check(shop, "sso", "?resource_id=ws-1")["denied_reason"] == "revoked"
    assert check(shop, "sso")["denied_reason"] == "no_feature_entitlement_in_subscription"


def test_list_of_a_resource_counts_what_is_its_own(shop: World) -> None:
    grant(shop, feature_id="calls", value=None, usage_limit=50, resource_id="ws-1")
    [found] = ok(shop, "GET", "customers/acme/entitlements?resource_id=ws-1")["data"]
    assert found["usage_limit"] == 50


# --- reasons ----------------------------------------------------------------------------------------------


def test_check_without_explain_has_no_explanation(shop: World) -> None:
    assert check(shop, "calls")["explanation"] is None


def test_explanation_has_each_source_and_what_it_came_to(shop: World) -> None:
    grant(shop, feature_id="calls", value=None, usage_limit=3)
    grant(shop, feature_id="calls", value=None, usage_limit=5, behavior="increment")
    grant(shop, feature_id="calls", value=None, usage_limit=7, resource_id="ws-1")
    grant(shop, feature_id="size", value=7)
    found = check(shop, "calls", "?explain=true")
    outcomes = [(one["type"], one["outcome"]) for one in found["explanation"]["sources"]]
    assert sorted(outcomes) == [
        ("grant", "adds"),
        ("grant", "less_generous"),
        ("grant", "other_resource"),
        ("grant", "without_the_feature"),
        ("plan", "wins"),
    ]
    assert found["explanation"]["cheapest_plan"] is None
    assert found["usage_limit"] == 15


@pytest.mark.parametrize(
    ("feature_id", "query", "plan_id", "amount"),
    [
        ("sso", "", "team", "500"),
        ("calls", "&requested_usage=20", "solo", "300"),
        ("calls", "&requested_usage=21", "team", "500"),
        ("calls", "&requested_usage=1000", "big", "900"),
        ("calls", "&requested_usage=1001", "talk-to-us", None),
    ],
)
def test_explanation_of_a_no_names_the_cheapest_plan_that_grants_it(
    shop: World, feature_id: str, query: str, plan_id: str, amount: str | None
) -> None:
    found = check(shop, feature_id, f"?explain=true{query}")
    assert found["has_access"] is False
    offer = found["explanation"]["cheapest_plan"]
    assert (offer["plan_id"], offer["amount_decimal"]) == (plan_id, amount)
    if amount is not None:
        assert (offer["currency"], offer["billing_period"]) == ("usd", "month")


def test_explanation_prefers_what_is_sold_in_the_customers_currency(shop: World) -> None:
    eur = {**MONTHLY, "currency": "eur", "amount": 99_000}
    wanted = [{"feature_id": "sso", "value": True}]
    plan(shop, "euro", pricing_type="paid", entitlements=wanted, prices=[eur])
    ok(shop, "PATCH", "customers/acme", {"currency": "eur"})
    offer = check(shop, "sso", "?explain=true")["explanation"]["cheapest_plan"]
    assert (offer["plan_id"], offer["currency"]) == ("euro", "eur")


def test_explanation_of_units_counts_as_many_as_are_needed(shop: World) -> None:
    seats = {**MONTHLY, "model": "per_unit", "feature_id": "seats", "amount": 10}
    ok(shop, "POST", "features", {"id": "seats", "name": "Seats", "type": "metered"})
    plan(shop, "seated", pricing_type="paid", prices=[{**seats, "max_quantity": 40}])
    offer = check(shop, "seats", "?explain=true&requested_usage=4")["explanation"]["cheapest_plan"]
    assert (offer["plan_id"], offer["quantities"], offer["amount_decimal"]) == (
        "seated",
        {"seats": 4},
        "40",
    )
    found = check(shop, "seats", "?explain=true&requested_usage=41")
    assert found["explanation"]["cheapest_plan"] is None


@pytest.mark.parametrize("feature_id", ["region", "ghost"])
def test_explanation_of_what_no_plan_gives_names_none(shop: World, feature_id: str) -> None:
    found = check(shop, feature_id, "?explain=true")
    assert found["explanation"]["cheapest_plan"] is None


def test_explanation_leaves_out_archived_plans_and_drafts(shop: World) -> None:
    ok(shop, "POST", "plans/team/archive")
    offer = check(shop, "sso", "?explain=true")["explanation"]["cheapest_plan"]
    assert offer["plan_id"] == "big"


def test_explanation_is_told_of_a_whole_list(shop: World) -> None:
    grant(shop)
    found = ok(shop, "GET", "customers/acme/entitlements?explain=true")["data"]
    assert [one["feature_id"] for one in found] == ["calls", "sso"]
    assert all(one["explanation"]["sources"] for one in found)
    assert shop.send("GET", "/v1/customers/ghost/entitlements?explain=true").status == 404


# --- a batch ----------------------------------------------------------------------------------------------


def test_batch_answers_each_pair_in_its_place_as_a_check_does(shop: World) -> None:
    grant(shop, resource_id="ws-1")
    checks = [
        {"customer_id": "acme", "feature_id": "calls"},
        {"customer_id": "acme", "feature_id": "calls", "requested_usage": 11},
        {"customer_id": "acme", "feature_id": "sso", "resource_id": "ws-1"},
        {"customer_id": "acme", "feature_id": "region", "requested_values": ["eu"]},
        {"customer_id": "ghost", "feature_id": "calls"},
        {"customer_id": "acme", "feature_id": "ghost"},
    ]
    data = ok(shop, "POST", "entitlements/check", {"checks": checks})["data"]
    assert [(one["object"], one["denied_reason"]) for one in data] == [
        ("entitlement_check", None),
        ("entitlement_check", "requested_usage_exceeding_limit"),
        ("entitlement_check", None),
        ("entitlement_check", "no_feature_entitlement_in_subscription"),
        ("entitlement_check", "customer_not_found"),
        ("entitlement_check", "feature_not_found"),
    ]
    assert data[0] == check(shop, "calls")


def test_batch_explains_when_asked_to(shop: World) -> None:
    body = {"checks": [{"customer_id": "acme", "feature_id": "sso"}], "explain": True}
    [found] = ok(shop, "POST", "entitlements/check", body)["data"]
    assert found["explanation"]["cheapest_plan"]["plan_id"] == "team"


def test_batch_of_a_hundred_reads_each_customer_once(shop: World) -> None:
    ok(shop, "POST", "customers", {"id": "other"})
    reader = shop.ports.snapshots
    assert isinstance(reader, InMemorySnapshotReader)
    reader.reads = 0
    checks = [
        {"customer_id": ("acme", "other")[number % 2], "feature_id": "calls"}
        for number in range(100)
    ]
    data = ok(shop, "POST", "entitlements/check", {"checks": checks})["data"]
    assert (len(data), reader.reads) == (100, 2)
    assert [one["customer_id"] for one in data[:3]] == ["acme", "other", "acme"]


def test_batch_with_a_customer_that_can_not_be_read_answers_the_others(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = shop.ports.snapshots
    assert isinstance(reader, InMemorySnapshotReader)
    read = InMemorySnapshotReader.read

    def failing(
        self: InMemorySnapshotReader, customer_id: CustomerId, *, consistent: bool
    ) -> HotRead | None:
        if customer_id == "away":
            raise StoreUnavailableError("The database did not answer.")
        return read(self, customer_id, consistent=consistent)

    monkeypatch.setattr(InMemorySnapshotReader, "read", failing)
    checks = [{"customer_id": one, "feature_id": "calls"} for one in ("away", "acme", "away")]
    data = ok(shop, "POST", "entitlements/check", {"checks": checks})["data"]
    assert data[0] == {
        "object": "entitlement_check_error",
        "customer_id": "away",
        "feature_id": "calls",
        "error": {
            "code": "store_unavailable",
            "detail": "The database did not answer.",
            "status": 503,
        },
    }
    assert data[1]["has_access"] is True
    assert data[2] == data[0]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"checks": []}, "checks"),
        ({"checks": [{"customer_id": "a", "feature_id": "f"}] * 101}, "checks"),
        ({"checks": [{"customer_id": "a"}]}, "checks[0].feature_id"),
        ({"checks": [{"customer_id": "a", "feature_id": "f", "x": 1}]}, "checks[0].x"),
        (
            {"checks": [{"customer_id": "a", "feature_id": "f", "requested_usage": -1}]},
            "checks[0].requested_usage",
        ),
        ({}, "checks"),
    ],
)
def test_batch_that_is_malformed_is_refused_as_a_whole(
    shop: World, body: dict[str, Any], param: str
) -> None:
    answer = shop.send("POST", "/v1/entitlements/check", body)
    assert (answer.status, answer.json["param"]) == (422, param)


# --- time zones -------------------------------------------------------------------------------------------


def test_usage_periods_follow_the_customers_time_zone(shop: World) -> None:
    daily = {"value": None, "usage_limit": 5, "reset_period": "day", "reset_anchor": "calendar"}
    ok(
        shop,
        "POST",
        "customers/acme/grants",
        {"feature_id": "calls", **daily, "behavior": "override"},
    )
    ok(shop, "POST", "features", {"id": "mail", "name": "Mail", "type": "metered"})
    ok(shop, "POST", "customers/acme/grants", {"feature_id": "mail", **daily})
    # 2026-01-15 12:00 UTC
    assert check(shop, "mail")["usage_period_start"] == "2026-01-15T00:00:00Z"
    changed = ok(shop, "PATCH", "customers/acme", {"timezone": "Pacific/Auckland"})
    assert changed["timezone"] == "Pacific/Auckland"
    found = check(shop, "mail")
    assert found["usage_period_start"] == "2026-01-15T11:00:00Z"
    assert found["usage_period_end"] == found["valid_until"] == "2026-01-16T11:00:00Z"
    ok(shop, "PATCH", "customers/acme", {"timezone": None})
    assert check(shop, "mail")["usage_period_start"] == "2026-01-15T00:00:00Z"


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "x" * 65, "Europe"])
def test_time_zone_that_does_not_exist_is_refused(shop: World, name: str) -> None:
    answer = shop.send("PATCH", "/v1/customers/acme", {"timezone": name})
    assert (answer.status, answer.json["param"]) == (422, "timezone")
