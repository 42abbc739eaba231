"""Checkouts on the provider's page and inside the application's, over HTTP."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.audit_log import AuditEntry
from chalicelib.domain.billing import CheckoutRequest
from chalicelib.domain.sync import SyncTask
from chalicelib.services.run_sync_task import run_sync_task
from tests.fakes.billing import FakeBillingProvider, FakeProviders
from tests.unit.api.world import Answer, World

MONTHLY = {"model": "flat_fee", "billing_period": "month", "currency": "usd", "amount": 4900}
ORDER = {"customer_id": "acme", "plan_id": "team"}
SHOP = "https://shop.example.test"


@pytest.fixture
def billing(world: World) -> FakeBillingProvider:
    made = FakeBillingProvider(world.clock)
    world.ports = replace(world.ports, providers=FakeProviders([made]))
    post(world, "products", {"id": "app", "name": "App"})
    plan = {"id": "team", "product_id": "app", "name": "Team", "pricing_type": "paid"}
    post(world, "plans", {**plan, "prices": [MONTHLY]})
    post(world, "plans/team/publish", {})
    for task in world.store.all(SyncTask):
        run_sync_task(world.ports, task.id)
    post(world, "customers", {"id": "acme"})
    return made


def post(world: World, path: str, body: dict[str, Any]) -> Any:
    answer = world.send("POST", f"/v1/{path}", body)
    assert answer.status < 300, answer.body
    return answer.json


def checkout(world: World, **fields: Any) -> Answer:
    return world.send("POST", "/v1/checkout_sessions", {**ORDER, **fields})


def asked_for(billing: FakeBillingProvider) -> CheckoutRequest:
    request: CheckoutRequest = billing.calls[-1].arguments[0]
    return request


def test_checkout_without_a_mode_is_hosted(world: World, billing: FakeBillingProvider) -> None:
    made = checkout(world).json
    assert (made["ui_mode"], made["client_secret"]) == ("hosted", None)
    assert made["url"].startswith("https://billing.example/")
    assert asked_for(billing).return_url is None


@pytest.mark.parametrize("mode", ["embedded", "elements"])
def test_checkout_in_the_applications_page_has_a_secret(
    world: World, billing: FakeBillingProvider, mode: str
) -> None:
    answer = checkout(world, ui_mode=mode, return_url=f"{SHOP}/done")
    made = answer.json
    assert answer.status == 201
    assert (made["ui_mode"], made["url"]) == (mode, None)
    assert made["client_secret"]
    assert made["expires_at"]
    request = asked_for(billing)
    assert (request.success_url, request.cancel_url) == (None, None)
    assert request.return_url == f"{SHOP}/done"
    assert world.send("GET", f"/v1/checkout_sessions/{made['id']}").json == made
    assert made["client_secret"] not in repr(world.store.all(AuditEntry))


def test_checkout_in_the_applications_page_returns_to_our_page_by_default(
    world: World, billing: FakeBillingProvider
) -> None:
    checkout(world, ui_mode="embedded")
    own = "https://api.example.test/checkout/success?session_id={CHECKOUT_SESSION_ID}"
    assert asked_for(billing).return_url == own


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"ui_mode": "hosted", "return_url": SHOP}, "return_url", "not_allowed"),
        ({"ui_mode": "embedded", "success_url": SHOP}, "success_url", "not_allowed"),
        ({"ui_mode": "elements", "cancel_url": SHOP}, "cancel_url", "not_allowed"),
        (
            {"ui_mode": "embedded", "return_url": "https://evil.example"},
            "return_url",
            "origin_not_allowed",
        ),
        (
            {"ui_mode": "embedded", "return_url": f"{SHOP}.evil.example/x"},
            "return_url",
            "origin_not_allowed",
        ),
        ({"ui_mode": "custom"}, "ui_mode", "unknown_value"),
        ({"ui_mode": "hosted_page"}, "ui_mode", "unknown_value"),
    ],
)
def test_checkout_with_an_address_that_does_not_fit_is_invalid(
    world: World, billing: FakeBillingProvider, fields: dict[str, str], param: str, code: str
) -> None:
    answer = checkout(world, **fields)
    assert answer.status == 422
    assert [(one["param"], one["code"]) for one in answer.json["errors"]] == [(param, code)]
    assert billing.checkouts == {}


def test_checkout_of_another_mode_replaces_the_open_one(
    world: World, billing: FakeBillingProvider
) -> None:
    hosted, embedded = checkout(world).json, checkout(world, ui_mode="embedded").json
    assert checkout(world, ui_mode="embedded").json == embedded
    assert hosted["id"] != embedded["id"]
    states = {one.billing_id: one.status.value for one in billing.checkouts.values()}
    assert states == {hosted["billing_id"]: "expired", embedded["billing_id"]: "open"}
    assert world.send("GET", f"/v1/checkout_sessions/{hosted['id']}").status == 404


def test_mode_that_the_provider_lacks_is_unsupported(
    world: World, billing: FakeBillingProvider
) -> None:
    class HostedOnly(FakeBillingProvider):
        open_embedded_checkout = None  # type: ignore[assignment]

    world.ports = replace(world.ports, providers=FakeProviders([HostedOnly(world.clock)]))
    for fields in ({}, {"billing_provider": "stripe"}):
        answer = checkout(world, ui_mode="embedded", **fields)
        assert answer.status == 422
        assert [one["code"] for one in answer.json["errors"]] == ["unsupported"]
        assert answer.json["param"] == "ui_mode"


def test_session_expired_can_not_be_paid_and_a_new_one_is_another(
    world: World, billing: FakeBillingProvider
) -> None:
    made = checkout(world).json
    for _ in range(2):
        answer = world.send("POST", f"/v1/checkout_sessions/{made['id']}/expire")
        assert answer.status == 200
        assert (answer.json["status"], answer.json["url"]) == ("expired", None)
    assert billing.checkouts[made["billing_id"]].status.value == "expired"
    entries = [one for one in world.store.all(AuditEntry) if one.action == "checkout.expired"]
    assert len(entries) == 1
    assert checkout(world).json["id"] != made["id"]


def test_session_expired_after_it_was_paid_is_complete_and_subscribed(
    world: World, billing: FakeBillingProvider
) -> None:
    made = checkout(world).json
    billing.pay(made["billing_id"])
    answer = world.send("POST", f"/v1/checkout_sessions/{made['id']}/expire")
    assert answer.json["status"] == "complete"
    held = world.send("GET", "/v1/subscriptions?customer_id=acme").json["data"]
    assert [one["id"] for one in held] == [made["subscription_id"]]


def test_session_that_was_never_opened_can_not_be_expired(world: World) -> None:
    assert world.send("POST", "/v1/checkout_sessions/chk_none/expire").status == 404


@pytest.mark.parametrize("path", ["checkout_sessions", "subscriptions"])
def test_sixth_checkout_of_a_minute_is_too_many(
    world: World, billing: FakeBillingProvider, path: str
) -> None:
    for _ in range(5):
        assert world.send("POST", f"/v1/{path}", ORDER).status < 300
    answer = world.send("POST", f"/v1/{path}", ORDER)
    assert (answer.status, answer.json["code"]) == (429, "too_many_checkouts")
    assert answer.headers["Retry-After"] == "60"
    world.clock.advance(seconds=60)
    assert world.send("POST", f"/v1/{path}", ORDER).status < 300


def test_checkout_repeated_under_its_idempotency_key_is_no_second_attempt(
    world: World, billing: FakeBillingProvider
) -> None:
    for _ in range(10):
        answer = world.send("POST", "/v1/checkout_sessions", ORDER, Idempotency_Key="one")
        assert answer.status == 201
