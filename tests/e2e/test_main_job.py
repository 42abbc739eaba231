"""The main job over HTTP, as the README tells it: a published plan becomes a price, a payment becomes access."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Stack
from tests.e2e.waiting import eventually

pytestmark = pytest.mark.e2e

TEAM = {
    "id": "team",
    "product_id": "app",
    "name": "Team",
    "pricing_type": "paid",
    "entitlements": [
        {"feature_id": "sso", "value": True},
        {"feature_id": "api-calls", "usage_limit": 5000, "reset_period": "month"},
    ],
    "prices": [
        {"model": "flat_fee", "billing_period": "month", "currency": "usd", "amount": 4900},
        {"model": "flat_fee", "billing_period": "year", "currency": "usd", "amount": 49000},
    ],
}


def check(api: httpx.Client, customer: str, feature: str) -> dict[str, Any]:
    answer = api.get(f"/customers/{customer}/entitlements/{feature}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def create_customer(api: httpx.Client, customer: str) -> None:
    made = api.post("/customers", json={"id": customer, "email": f"{customer}@example.test"})
    assert made.status_code == 201, made.text


def publish_team(api: httpx.Client) -> dict[str, Any]:
    assert api.post("/plans", json=TEAM).status_code == 201
    published = api.post("/plans/team/publish", json={"migration": "new_customers"})
    assert published.status_code == 200, published.text

    def synced() -> dict[str, Any] | None:
        plan: dict[str, Any] = api.get("/plans/team").json()
        return plan if plan["sync_status"] == "synced" else None

    return eventually(synced)


def ask_for_payment(api: httpx.Client, customer: str, plan: str = "team") -> str:
    """The provider's id of the checkout session that the customer has to pay."""
    asked = api.post("/subscriptions", json={"customer_id": customer, "plan_id": plan})
    assert asked.status_code == 200, asked.text
    body = asked.json()
    assert body["status"] == "payment_required"
    session: str = api.get(f"/checkout_sessions/{body['checkout_session_id']}").json()["billing_id"]
    assert session in body["checkout_url"]
    return session


def pay(stripe: httpx.Client, session: str, outcome: str) -> None:
    paid = stripe.post(f"/_stand_in/checkout_sessions/{session}/pay", json={"outcome": outcome})
    assert paid.status_code < 500, paid.text


def subscribe(
    api: httpx.Client, stripe: httpx.Client, customer: str, plan: str = "team"
) -> dict[str, Any]:
    create_customer(api, customer)
    pay(stripe, ask_for_payment(api, customer, plan), "paid")
    eventually(lambda: check(api, customer, "sso")["has_access"])
    (held,) = api.get("/subscriptions", params={"customer_id": customer}).json()["data"]
    found: dict[str, Any] = held
    return found


def assert_stands_in_stripe(stripe: httpx.Client, plan: dict[str, Any]) -> None:
    for shown in plan["prices"]:
        (link,) = shown["billing"]
        price = stripe.get(f"/v1/prices/{link['billing_id']}").json()
        assert price["unit_amount"] == shown["amount"]
        assert price["recurring"]["interval"] == shown["billing_period"]
        assert price["metadata"]["paygrade_entity_id"] == shown["id"]
    (link,) = plan["billing"]
    product = stripe.get(f"/v1/products/{link['billing_id']}").json()
    assert product["name"] == plan["name"]
    assert product["metadata"]["paygrade_entity_id"] == plan["id"]
    assert product["metadata"]["paygrade_environment"] == "local"


def cancel_in_stripe(stripe: httpx.Client, subscription: dict[str, Any]) -> None:
    (link,) = subscription["billing"]
    stripe.delete(f"/v1/subscriptions/{link['billing_id']}").raise_for_status()


def test_main_job_from_plan_to_access_and_back(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack()
    with stack.api() as api, stack.stripe() as stripe:
        create_customer(api, "acme")
        denied = check(api, "acme", "sso")
        assert (denied["has_access"], denied["denied_reason"]) == (False, "no_active_subscription")

        assert_stands_in_stripe(stripe, publish_team(api))

        session = ask_for_payment(api, "acme")
        pay(stripe, session, "declined")
        assert check(api, "acme", "sso")["denied_reason"] == "no_active_subscription"
        pay(stripe, session, "paid")
        eventually(lambda: check(api, "acme", "sso")["has_access"])
        calls = check(api, "acme", "api-calls")
        assert (calls["usage_limit"], calls["remaining"]) == (5000, 5000)
        (source,) = calls["sources"]
        assert (source["type"], source["id"], source["version"]) == ("plan", "team", 1)

        again = api.post("/subscriptions", json={"customer_id": "acme", "plan_id": "team"})
        assert (again.status_code, again.json()["code"]) == (409, "subscription_exists")
        create_customer(api, "hobby")
        free = api.post("/subscriptions", json={"customer_id": "hobby", "plan_id": "free"}).json()
        assert free["status"] == "provisioned"
        assert check(api, "hobby", "api-calls")["has_access"]

        (held,) = api.get("/subscriptions", params={"customer_id": "acme"}).json()["data"]
        cancel_in_stripe(stripe, held)
        eventually(lambda: not check(api, "acme", "sso")["has_access"])


def status_drifts(run: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in run["drifts"] if one["kind"] == "subscription_status"]


def test_lost_webhook_is_repaired_on_schedule_and_all_survives_a_restart(
    make_stack: Callable[..., Stack],
) -> None:
    # No run may be under way when the customer cancels: one past its subscriptions would still find the
    # event, too young to be called missed, and leave nothing to tell of.
    stack = make_stack("--schedule-every=3600")
    with stack.api() as api, stack.stripe() as stripe:
        publish_team(api)
        kept = subscribe(api, stripe, "kept")
        lost = subscribe(api, stripe, "lost")
        # Any delivery still under way would be hint enough.
        eventually(lambda: stripe.get("/_stand_in/deliveries").json()["pending"] == 0)
        # So would be one that has come and waits for a worker.
        waiting = {"status": "pending"}
        eventually(lambda: api.get("/billing_events", params=waiting).json()["data"] == [])
        stripe.post("/_stand_in/deliveries", json={"mode": "drop"}).raise_for_status()
        cancel_in_stripe(stripe, lost)
        assert check(api, "lost", "sso")["has_access"]

    assert stack.stop() == 0, stack.log_tail()
    stack.options = ("--schedule-every=2",)
    stack.start()
    with stack.api() as api, stack.stripe() as stripe:

        def report() -> dict[str, Any] | None:
            runs = api.get("/reconciliations", params={"limit": 50}).json()["data"]
            return next((run for run in runs if status_drifts(run)), None)

        repaired = eventually(report)
        assert repaired["trigger"] == "schedule"
        (drift,) = status_drifts(repaired)
        assert (drift["action"], drift["entity"]) == ("repaired", f"subscription:{lost['id']}")
        # Beside it the run may tell of the event itself, which it found at Stripe.
        assert {one["kind"] for one in repaired["drifts"]} <= {
            "subscription_status",
            "event_missed",
        }
        assert check(api, "lost", "sso")["denied_reason"] == "no_active_subscription"

        assert check(api, "kept", "sso")["has_access"]
        assert api.get(f"/subscriptions/{kept['id']}").json() == kept
        billing_id = kept["billing"][0]["billing_id"]
        assert stripe.get(f"/v1/subscriptions/{billing_id}").json()["status"] == "active"
