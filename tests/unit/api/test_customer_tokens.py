"""Issuing customer tokens, and what may be ordered with one."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.adapters.billing.manual.provider import ManualProvider
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.audit_log import AuditEntry
from chalicelib.domain.customer_tokens import TokenSecret
from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.domain.subscriptions import Subscription
from chalicelib.domain.sync import SyncTask
from chalicelib.services.run_sync_task import run_sync_task
from tests.fakes.billing import FakeBillingProvider, FakeProviders
from tests.unit.api.world import Answer, World

MONTHLY = {"model": "flat_fee", "billing_period": "month", "currency": "usd", "amount": 4900}
PATH = "/v1/customer_tokens"


@pytest.fixture
def shop(world: World) -> World:
    paying = FakeBillingProvider(world.clock)
    by_hand = ManualProvider(store=world.store, clock=world.clock)
    world.ports = replace(world.ports, providers=FakeProviders([by_hand, paying]))
    post(world, "products", {"id": "app", "name": "App"})
    for plan, kind, prices in (
        ("team", "paid", [MONTHLY]),
        ("free", "free", []),
        ("enterprise", "custom", []),
    ):
        content = {"id": plan, "product_id": "app", "name": plan, "pricing_type": kind}
        post(world, "plans", {**content, "prices": prices})
        post(world, f"plans/{plan}/publish", {})
    post(world, "coupons", {"id": "staff", "name": "Staff", "percent_off": 100, "duration": "once"})
    for task in world.store.all(SyncTask):
        run_sync_task(world.ports, task.id)
    post(world, "customers", {"id": "acme"})
    return world


def post(world: World, path: str, body: dict[str, Any]) -> Any:
    answer = world.send("POST", f"/v1/{path}", body)
    assert answer.status < 300, answer.body
    return answer.json


def order(world: World, path: str = "subscriptions", **fields: Any) -> Answer:
    body = {"customer_id": "acme", "plan_id": "team", **fields}
    return world.send("POST", f"/v1/{path}", body, token=world.customer_token("acme"))


def test_token_opens_its_customer_until_it_expires(shop: World) -> None:
    made = post(shop, "customer_tokens", {"customer_id": "acme"})
    assert made["object"] == "customer_token"
    expires = datetime.fromisoformat(made["expires_at"])
    assert (expires - datetime(2026, 1, 15, 12, tzinfo=UTC)).total_seconds() == 900
    assert shop.send("GET", "/v1/customers/acme", token=made["token"]).status == 200
    shop.clock.advance(seconds=899)
    assert shop.send("GET", "/v1/customers/acme", token=made["token"]).status == 200
    shop.clock.advance(seconds=1)
    answer = shop.send("GET", "/v1/customers/acme", token=made["token"])
    assert (answer.status, answer.json["code"]) == (401, "unauthenticated")


def test_token_is_written_nowhere(shop: World) -> None:
    answer = shop.send("POST", PATH, {"customer_id": "acme"}, Idempotency_Key="one")
    token = answer.json["token"]
    for kind in (IdempotencyRecord, AuditEntry):
        assert token not in repr(shop.store.all(kind))
    assert token not in repr(shop.monitor.events)


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 422, "customer_id"),
        ({"customer_id": "acme", "ttl_seconds": 59}, 422, "ttl_seconds"),
        ({"customer_id": "acme", "ttl_seconds": 3601}, 422, "ttl_seconds"),
        ({"customer_id": "acme", "ttl_seconds": "900"}, 422, "ttl_seconds"),
        ({"customer_id": "acme", "ttl_seconds": True}, 422, "ttl_seconds"),
        ({"customer_id": "acme", "scopes": ["all"]}, 422, "scopes"),
        ({"customer_id": "nobody"}, 404, "id"),
    ],
)
def test_token_that_can_not_be_is_refused(
    shop: World, body: dict[str, Any], status: int, param: str
) -> None:
    answer = shop.send("POST", PATH, body)
    assert (answer.status, answer.json["param"]) == (status, param)


def test_token_of_an_archived_customer_is_refused(shop: World) -> None:
    post(shop, "customers/acme/archive", {})
    assert shop.send("POST", PATH, {"customer_id": "acme"}).status == 409


def test_token_without_a_secret_to_sign_with_is_a_clear_no(shop: World) -> None:
    shop.token_secrets = ()
    answer = shop.send("POST", PATH, {"customer_id": "acme"})
    assert (answer.status, answer.json["code"]) == (422, "signing_not_configured")


def test_token_survives_the_rolling_of_its_secret_and_not_its_end(shop: World) -> None:
    token = post(shop, "customer_tokens", {"customer_id": "acme"})["token"]
    old = shop.token_secrets
    new = TokenSecret(b"the newer secret, of 32 and more")
    shop.token_secrets = (new, *old)
    assert shop.send("GET", "/v1/customers/acme", token=token).status == 200
    newer = post(shop, "customer_tokens", {"customer_id": "acme"})["token"]
    shop.token_secrets = (new,)
    assert shop.send("GET", "/v1/customers/acme", token=token).status == 401
    assert shop.send("GET", "/v1/customers/acme", token=newer).status == 200


def test_only_keys_with_its_scope_issue_tokens(shop: World) -> None:
    others = [one for one in Scope if one is not Scope.TOKENS_WRITE]
    answer = shop.send("POST", PATH, {"customer_id": "acme"}, token=shop.new_token(*others))
    assert answer.status == 403
    answer = shop.send("POST", PATH, {"customer_id": "acme"}, token=shop.customer_token("acme"))
    assert answer.status == 403


def test_order_of_a_customer_is_audited_as_its_own(shop: World) -> None:
    assert order(shop, plan_id="free").status == 201
    entries = [one for one in shop.store.all(AuditEntry) if one.entity.startswith("subscription:")]
    assert [one.actor for one in entries] == ["customer:acme"]


def test_order_of_a_customer_for_a_paid_plan_is_always_paid_first(shop: World) -> None:
    # Without a token the provider that is configured first could invoice by hand.
    answer = order(shop)
    assert (answer.status, answer.json["status"]) == (200, "payment_required")
    assert order(shop, "checkout_sessions").status == 201
    assert shop.store.all(Subscription) == []


@pytest.mark.parametrize("path", ["subscriptions", "checkout_sessions"])
def test_order_of_a_customer_to_be_invoiced_by_hand_is_refused(shop: World, path: str) -> None:
    answer = order(shop, path, billing_provider="manual")
    assert (answer.status, answer.json["param"]) == (422, "billing_provider")
    assert shop.store.all(Subscription) == []


def test_order_of_a_customer_where_nobody_takes_payments_gives_nothing(shop: World) -> None:
    by_hand = ManualProvider(store=shop.store, clock=shop.clock)
    shop.ports = replace(shop.ports, providers=FakeProviders([by_hand]))
    answer = order(shop)
    assert (answer.status, answer.json["code"]) == (409, "billing_not_configured")
    assert shop.store.all(Subscription) == []


@pytest.mark.parametrize("path", ["subscriptions", "checkout_sessions"])
@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"billing_provider": "stripe"}, "billing_provider", "not_allowed"),
        ({"coupon": "staff"}, "coupon", "not_allowed"),
        ({"metadata": {"discount_approved": "yes"}}, "metadata", "not_allowed"),
        ({"plan_id": "enterprise"}, "plan_id", "not_for_sale"),
    ],
)
def test_order_of_a_customer_for_what_only_the_application_gives_is_refused(
    shop: World, path: str, fields: dict[str, Any], param: str, code: str
) -> None:
    answer = order(shop, path, **fields)
    assert answer.status == 422
    assert [(one["param"], one["code"]) for one in answer.json["errors"]] == [(param, code)]
    assert shop.store.all(Subscription) == []


def test_idempotency_keys_of_customers_and_of_the_application_are_apart(shop: World) -> None:
    body = {"customer_id": "acme", "plan_id": "free"}
    mine = shop.send(
        "POST",
        "/v1/subscriptions",
        body,
        token=shop.customer_token("acme"),
        headers={"Idempotency-Key": "one"},
    )
    again = shop.send("POST", "/v1/subscriptions", body, headers={"Idempotency-Key": "one"})
    assert (mine.status, again.status) == (201, 409)
    assert "Idempotent-Replayed" not in again.headers


def test_customer_previews_its_own_order_and_change_without_coupons_by_name(shop: World) -> None:
    path, token = "/v1/subscriptions/preview", shop.customer_token("acme")
    held = order(shop, plan_id="free").json["subscription"]["id"]
    change = {"subscription_id": held, "plan_id": "team"}
    answer = shop.send("POST", path, change, token=token)
    assert (answer.status, answer.json["requires_payment"]) == (200, True)
    for body in (
        {**change, "coupon": "staff"},
        {"customer_id": "acme", "plan_id": "team", "coupon": "staff"},
    ):
        refused = shop.send("POST", path, body, token=token)
        assert (refused.status, refused.json["errors"][0]["code"]) == (422, "not_allowed")
