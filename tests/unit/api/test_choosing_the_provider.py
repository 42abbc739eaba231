"""One catalog at a provider that takes payments and at one that is invoiced by hand, over HTTP."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.adapters.billing.manual.provider import ManualProvider
from chalicelib.domain.sync import SyncTask
from chalicelib.services.run_sync_task import run_sync_task
from tests.fakes.billing import FakeBillingProvider, FakeProviders
from tests.unit.api.world import World

MONTHLY = {"model": "flat_fee", "billing_period": "month", "currency": "usd", "amount": 4900}


@pytest.fixture
def shop(world: World) -> World:
    paying = FakeBillingProvider(world.clock)
    by_hand = ManualProvider(store=world.store, clock=world.clock)
    world.ports = replace(world.ports, providers=FakeProviders([paying, by_hand]))
    post(world, "products", {"id": "app", "name": "App"})
    post(world, "features", {"id": "sso", "name": "SSO", "type": "boolean"})
    plan = {"id": "team", "product_id": "app", "name": "Team", "pricing_type": "paid"}
    plan["entitlements"] = [{"feature_id": "sso", "value": True}]  # type: ignore[assignment]
    post(world, "plans", {**plan, "prices": [MONTHLY]})
    post(world, "plans/team/publish", {})
    for task in world.store.all(SyncTask):
        run_sync_task(world.ports, task.id)
    post(world, "customers", {"id": "acme"})
    return world


def post(world: World, path: str, body: dict[str, Any], status: int | None = None) -> Any:
    answer = world.send("POST", f"/v1/{path}", body)
    assert answer.status == status if status else answer.status < 300, answer.body
    return answer.json


def get(world: World, path: str) -> Any:
    return world.send("GET", f"/v1/{path}").json


def test_plan_shows_both_links_on_itself_and_on_its_prices(shop: World) -> None:
    plan = get(shop, "plans/team")
    assert plan["sync_status"] == "synced"
    for links in (plan["billing"], plan["prices"][0]["billing"]):
        assert [(link["provider"], link["sync_status"]) for link in links] == [
            ("stripe", "synced"),
            ("manual", "synced"),
        ]
    assert plan["billing"][1]["url"] == "https://api.example.test/v1/plans/team"


def test_order_without_a_wish_asks_for_payment(shop: World) -> None:
    answer = post(shop, "subscriptions", {"customer_id": "acme", "plan_id": "team"}, 200)
    assert answer["status"] == "payment_required"
    assert answer["checkout_url"]


def test_order_to_be_invoiced_by_hand_is_provisioned_at_once(shop: World) -> None:
    order = {"customer_id": "acme", "plan_id": "team", "billing_provider": "manual"}
    answer = post(shop, "subscriptions", order, 201)
    held = answer["subscription"]
    assert (answer["status"], held["status"], held["plan_version"]) == ("provisioned", "active", 1)
    assert (held["started_at"], held["current_period_end"]) == (
        "2026-01-15T12:00:00Z",
        "2026-02-15T12:00:00Z",
    )
    [link] = held["billing"]
    assert link["provider"] == "manual"
    assert link["url"] == f"https://api.example.test/v1/subscriptions/{held['id']}"
    assert get(shop, f"subscriptions/{held['id']}") == held
    check = get(shop, "customers/acme/entitlements/sso")
    assert check["has_access"] is True
    assert check["sources"][0]["subscription_id"] == held["id"]
    assert [one["provider"] for one in get(shop, "customers/acme")["billing"]] == ["manual"]


@pytest.mark.parametrize(
    ("path", "provider", "code"),
    [
        ("subscriptions", "acmepay", "unknown_provider"),
        ("subscriptions", "Not A Name", "bad_format"),
        ("checkout_sessions", "manual", "no_checkout"),
    ],
)
def test_order_at_a_provider_that_can_not_is_invalid(
    shop: World, path: str, provider: str, code: str
) -> None:
    order = {"customer_id": "acme", "plan_id": "team", "billing_provider": provider}
    problem = post(shop, path, order, 422)
    assert problem["errors"][0]["param"] == "billing_provider"
    assert problem["errors"][0]["code"] == code
