"""The customer's own page, and the way to the provider's."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.adapters.billing.manual.provider import ManualProvider
from chalicelib.domain.billing import ChangePreview, InvoicePreview
from chalicelib.domain.errors import ProviderUnavailableError
from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.domain.sync import SyncTask
from chalicelib.services.run_sync_task import run_sync_task
from tests.fakes.billing import FakeBillingProvider, FakeProviders
from tests.unit.api.world import World

MONTHLY = {"model": "flat_fee", "billing_period": "month", "currency": "usd", "amount": 4900}
BACK = "https://shop.example.test/account"
SESSION = "/v1/customers/acme/portal_session"


@pytest.fixture
def billing(world: World) -> FakeBillingProvider:
    made = FakeBillingProvider(world.clock)
    by_hand = ManualProvider(store=world.store, clock=world.clock)
    world.ports = replace(world.ports, providers=FakeProviders([by_hand, made]))
    post(world, "products", {"id": "app", "name": "App"})
    post(world, "features", {"id": "calls", "name": "Calls", "type": "metered"})
    plan = {"id": "team", "product_id": "app", "name": "Team", "pricing_type": "paid"}
    limit = [{"feature_id": "calls", "usage_limit": 500}]
    post(world, "plans", {**plan, "prices": [MONTHLY], "entitlements": limit})
    post(world, "plans/team/publish", {})
    for task in world.store.all(SyncTask):
        run_sync_task(world.ports, task.id)
    post(world, "customers", {"id": "acme", "email": "ops@acme.example"})
    return made


def post(world: World, path: str, body: dict[str, Any]) -> Any:
    answer = world.send("POST", f"/v1/{path}", body)
    assert answer.status < 300, answer.body
    return answer.json


def portal(world: World, query: str = "") -> Any:
    answer = world.send("GET", f"/v1/customers/acme/portal{query}")
    assert answer.status == 200, answer.body
    return answer.json


def subscribe(world: World, billing: FakeBillingProvider) -> str:
    order = {"customer_id": "acme", "plan_id": "team"}
    session = post(world, "checkout_sessions", order)
    paid = billing.pay(session["billing_id"])
    world.send("GET", f"/checkout/success?session_id={session['billing_id']}", token=None)
    return paid.billing_id


def test_portal_shows_the_customer_and_all_it_has(
    world: World, billing: FakeBillingProvider
) -> None:
    subscribe(world, billing)
    found = portal(world)
    assert (found["id"], found["customer"]["email"]) == ("acme", "ops@acme.example")
    assert [one["plan_id"] for one in found["subscriptions"]] == ["team"]
    [check] = found["entitlements"]
    assert (check["feature_id"], check["current_usage"], check["remaining"]) == ("calls", 0, 500)
    assert found["customer"]["billing"][0]["provider"] == "stripe"
    assert found["portal_provider"] == "stripe"
    [paywall] = found["paywalls"]
    assert paywall["url"] == ("https://api.example.test/v1/paywall?product_id=app&customer_id=acme")
    path = paywall["url"].removeprefix("https://api.example.test")
    assert world.send("GET", path).status == 200
    assert found["upcoming_invoices"] == []


def test_portal_of_a_customer_who_holds_nothing_is_empty(
    world: World, billing: FakeBillingProvider
) -> None:
    found = portal(world)
    assert (found["subscriptions"], found["entitlements"], found["paywalls"]) == ([], [], [])


def test_portal_tells_what_comes_next_where_the_provider_does(
    world: World, billing: FakeBillingProvider
) -> None:
    class Telling(FakeBillingProvider):
        def preview_moves(self, billing_id: str, items: Any, **how: Any) -> ChangePreview:
            assert (billing_id, tuple(items), how["at_period_end"]) == (held, (), True)
            if is_away:
                raise ProviderUnavailableError("away")
            invoice = InvoicePreview(
                at=world.clock.now(),
                currency="usd",
                lines=(),
                subtotal=4900,
                discount=900,
                tax=0,
                total=4000,
                due=4000,
            )
            return ChangePreview(now=None, following=invoice)

    is_away = False
    held = subscribe(world, billing)
    world.ports = replace(world.ports, providers=FakeProviders([Telling(world.clock)]))
    [invoice] = portal(world, "?upcoming_invoices=true")["upcoming_invoices"]
    assert (invoice["amount_due"], invoice["discount"], invoice["currency"]) == (4000, 900, "usd")
    is_away = True
    assert portal(world, "?upcoming_invoices=true")["upcoming_invoices"] == []


def test_portal_session_leads_to_the_provider_and_back(
    world: World, billing: FakeBillingProvider
) -> None:
    headers = {"Idempotency-Key": "one"}
    for _ in range(2):
        answer = world.send("POST", SESSION, {"return_url": BACK}, headers=headers)
        assert answer.status == 201
        assert answer.json["billing_provider"] == "stripe"
        assert answer.json["url"].startswith("https://billing.example/portal/")
        assert BACK in answer.json["url"]
    assert "billing.example/portal" not in repr(world.store.all(IdempotencyRecord))


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example",
        "//evil.example",
        "javascript:alert(1)",
        f"{BACK.rpartition('/')[0]}.evil.example",
        f"{BACK.rpartition('/')[0]}@evil.example",
        "https://shop.example.test\\@evil.example",
        "",
    ],
)
def test_portal_session_back_to_elsewhere_is_refused(
    world: World, billing: FakeBillingProvider, url: str
) -> None:
    answer = world.send("POST", SESSION, {"return_url": url})
    assert (answer.status, answer.json["param"]) == (422, "return_url")
    assert "open_portal" not in [call.method for call in billing.calls]


@pytest.mark.parametrize("wish", [{}, {"billing_provider": "manual"}])
def test_portal_session_where_nobody_has_a_page_is_a_clear_no(
    world: World, billing: FakeBillingProvider, wish: dict[str, str]
) -> None:
    by_hand = ManualProvider(store=world.store, clock=world.clock)
    world.ports = replace(world.ports, providers=FakeProviders([by_hand]))
    answer = world.send("POST", SESSION, {"return_url": BACK, **wish})
    assert answer.status == 422
    assert [one["code"] for one in answer.json["errors"]] == ["no_portal"]
    assert portal(world)["portal_provider"] is None


def test_portal_session_of_nobody_or_of_an_archived_customer_is_refused(
    world: World, billing: FakeBillingProvider
) -> None:
    body = {"return_url": BACK}
    assert world.send("POST", "/v1/customers/nobody/portal_session", body).status == 404
    post(world, "customers/acme/archive", {})
    assert world.send("POST", SESSION, body).status == 409
