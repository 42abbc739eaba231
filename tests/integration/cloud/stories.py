"""What happens in the life of an environment, told to its functions: between them they do all that they ever do."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from chalicelib import wiring
from chalicelib.domain.billing_events import BillingEvent, BillingEventStatus
from chalicelib.domain.ids import CustomerId, FeatureId, PackageId
from chalicelib.domain.reconciliations import Reconciliation, ReconciliationStatus
from chalicelib.domain.sync import SyncTask, SyncTaskStatus
from chalicelib.domain.usage_charges import UsageCharge
from chalicelib.ports import Anyhow, Put, QueueName
from tests.integration.cloud.functions import STRIPE_KEY, Functions

MONTHLY: Final = {"model": "flat_fee", "billing_period": "month", "currency": "usd", "amount": 4900}
PLAN: Final[dict[str, Any]] = {
    "id": "team",
    "product_id": "app",
    "name": "Team",
    "pricing_type": "paid",
    "entitlements": [
        {"feature_id": "sso", "value": True},
        {"feature_id": "calls", "usage_limit": 5000, "reset_period": "month"},
    ],
    "prices": [MONTHLY],
    "compatible_addons": ["storage"],
}
ADDON: Final = {
    "id": "storage",
    "product_id": "app",
    "name": "Storage",
    "pricing_type": "paid",
    "entitlements": [{"feature_id": "calls", "usage_limit": 100, "behavior": "increment"}],
    "prices": [{**MONTHLY, "amount": 500}],
}
FREE: Final = {
    **PLAN,
    "id": "free",
    "name": "Free",
    "pricing_type": "free",
    "prices": [],
    "compatible_addons": [],
}


def all_of_them(functions: Functions) -> None:
    """Every story, in an order in which each finds what it needs."""
    listen(functions)
    sell(functions)
    buy(functions)
    use(functions)
    change_what_is_sold(functions)
    answer_late(functions)
    lose_and_reconcile(functions)
    look_after(functions)
    fail_at_everything(functions)


def listen(functions: Functions) -> None:
    """Somebody wants to hear of everything, at an address where nobody is."""
    endpoint = {"url": "http://127.0.0.1:9/paygrade", "event_types": ["*"]}
    functions.told("POST", "webhook_endpoints", endpoint)


def sell(functions: Functions) -> None:
    """Plans are drafted, published, and stand at the providers."""
    told = functions.told
    told("POST", "products", {"id": "app", "name": "App"})
    told("POST", "features", {"id": "sso", "name": "SSO", "type": "boolean"})
    told("POST", "features", {"id": "calls", "name": "Calls", "type": "metered"})
    told("POST", "addons", ADDON)
    told("POST", "plans", PLAN, Idempotency_Key="team-1")
    told("POST", "plans", PLAN, Idempotency_Key="team-1")
    told("POST", "plans", FREE)
    told("POST", "addons/storage/publish", {"migration": "new_customers"})
    told("POST", "plans/team/publish", {"migration": "new_customers"})
    told("POST", "plans/free/publish", {"migration": "new_customers"})
    coupon = {"id": "ten", "name": "Ten", "percent_off": 10, "duration": "once"}
    told("POST", "coupons", coupon)
    functions.work_off()


def buy(functions: Functions) -> None:
    """One pays at Stripe, one is invoiced by hand, one has it for nothing."""
    told = functions.told
    for customer in ("acme", "manual", "hobby"):
        told("POST", "customers", {"id": customer, "email": f"{customer}@example.test"})
    asked = told(
        "POST", "subscriptions", {"customer_id": "acme", "plan_id": "team", "coupon": "ten"}
    )
    session = told("GET", f"checkout_sessions/{asked['checkout_session_id']}")["billing_id"]
    paid = f"/_stand_in/checkout_sessions/{session}/pay"
    functions.at_stripe("POST", paid, outcome="paid")
    assert functions.deliver()
    order = {"customer_id": "manual", "plan_id": "team", "billing_provider": "manual"}
    told("POST", "subscriptions", order)
    told("POST", "subscriptions", {"customer_id": "hobby", "plan_id": "free"})
    assert told("GET", "customers/acme/entitlements/sso")["has_access"]
    told("GET", "customers/acme/entitlements")
    told("GET", "subscriptions?customer_id=acme")
    version = told("GET", "customers/acme")["version"]
    told("PATCH", "customers/acme", {"name": "Acme", "version": version})
    grant = {"feature_id": "sso", "value": True}
    over = until_soon(functions, "customers/hobby/grants", grant, "expires_at")
    functions.work_off()
    wait_until(over)
    functions.tick("sweep_outbox")
    functions.work_off()


def use(functions: Functions) -> None:
    """Usage is consumed, reserved and reported; what a provider charges is told to it by the sweep."""
    told = functions.told
    allowance = "customers/hobby/entitlements/calls"
    assert told("POST", f"{allowance}/consume", {"idempotency_key": "a"})["has_access"]
    held = told("POST", f"{allowance}/reserve", {"idempotency_key": "b"})["reservation"]
    told("POST", f"reservations/{held['id']}/commit")
    usage = {"customer_id": "hobby", "feature_id": "calls", "value": 2, "idempotency_key": "c"}
    told("POST", "usage", usage)
    told("GET", "customers/hobby/usage/calls")
    now = _ago()
    charge = UsageCharge(
        id="chg_1",
        provider="stripe",
        customer_id=CustomerId("acme"),
        feature_id=FeatureId("calls"),
        event_name="pg_calls",
        value=1,
        at=now,
        created_at=now,
        updated_at=now,
    )
    wiring.ports().store.commit(Put(charge, Anyhow()))
    functions.tick("sweep_outbox")
    assert told("GET", "usage_charges")["data"][0]["error"]


def answer_late(functions: Functions) -> None:
    """Events that the webhook left to the queue: each customer converges there, whatever happened to it."""
    (subscription,) = functions.at_stripe("GET", "/v1/subscriptions")["data"]
    functions.at_stripe(
        "POST", f"/v1/subscriptions/{subscription['id']}", cancel_at_period_end="true"
    )
    functions.put_stripe_key("sk_live_by_mistake")
    functions.deliver()
    functions.put_stripe_key(STRIPE_KEY)
    functions.work_off()
    events = functions.told("GET", "billing_events?status=processed")["data"]
    for shown in events:
        forget_that_it_was_done(shown["id"])
    functions.tick("sweep_outbox")
    functions.at_stripe("DELETE", f"/v1/subscriptions/{subscription['id']}")
    assert functions.work_off()
    functions.told("POST", f"billing_events/{events[0]['id']}/replay")
    functions.work_off()


def change_what_is_sold(functions: Functions) -> None:
    """A version for everybody, one on a date, a count of what it would mean, and back."""
    told = functions.told
    told("PATCH", "plans/team", {"name": "Team 2", "prices": [{**MONTHLY, "amount": 5900}]})
    told("GET", "plans/team/diff")
    functions.request("POST", "/v1/plans/team/impact")
    functions.work_off()
    told("POST", "plans/team/publish", {"migration": "all_customers"})
    functions.hurried["migrate"] = 0.01
    functions.work_off()
    told("POST", "plans/team/rollback", {"version": 1, "migration": "all_customers"})
    functions.work_off()
    told("PATCH", "plans/free", {"name": "Free 2"})
    soon = until_soon(functions, "plans/free/publish", {"migration": "all_customers"}, "publish_at")
    wait_until(soon)
    functions.tick("sweep_outbox")
    functions.work_off()
    assert told("GET", "plans/free")["version"] == 2
    told("PATCH", "addons/storage", {"name": "Storage 2"})
    told("DELETE", "addons/storage/draft")
    told("POST", "coupons/ten/archive")
    told("POST", "plans/free/archive")
    functions.work_off()
    sold = told("GET", "catalog")
    described = ("object", "hash", "environment", "drafts")
    document = {name: value for name, value in sold.items() if name not in described}
    told("POST", "catalog/diff", document)
    told("POST", "catalog/apply", {**document, "expected_hash": sold["hash"]})


def lose_and_reconcile(functions: Functions) -> None:
    """Messages are lost and Stripe is edited by hand; what has to be is found again."""
    store = wiring.ports().store
    told = functions.told
    task = store.get(SyncTask, told("GET", "sync_tasks?status=succeeded")["data"][0]["id"])
    assert task is not None
    lost = replace(task, status=SyncTaskStatus.PENDING, updated_at=_ago(minutes=5))
    store.commit(Put(lost, Anyhow()))
    ghost = replace(lost, id="sync_ghost", package_id=PackageId("ghost"), outcomes=())
    store.commit(Put(ghost, Anyhow()))
    functions.tick("sweep_outbox")
    functions.work_off()

    price = functions.at_stripe("GET", "/v1/prices", limit=1)["data"][0]
    functions.at_stripe("POST", f"/v1/prices/{price['id']}", nickname="edited by hand")
    product = functions.at_stripe("GET", "/v1/products", limit=1)["data"][0]
    functions.at_stripe("POST", f"/v1/products/{product['id']}", name="Edited by hand")
    asked = told("POST", "subscriptions", {"customer_id": "acme", "plan_id": "team"})
    session = told("GET", f"checkout_sessions/{asked['checkout_session_id']}")["billing_id"]
    functions.at_stripe("POST", f"/_stand_in/checkout_sessions/{session}/pay", outcome="paid")
    store.commit(Put(lost, Anyhow()))
    forget_that_it_was_done(told("GET", "billing_events?status=processed")["data"][0]["id"])
    functions.hurried["reconcile"] = 10
    functions.tick("start_reconcile")
    functions.work_off()
    (run,) = told("GET", "reconciliations")["data"]
    assert run["status"] == "succeeded", json.dumps(run)
    assert told("GET", "customers/acme/entitlements/sso")["has_access"]
    told("POST", "reconciliations")
    functions.work_off()
    silent = store.get(Reconciliation, run["id"])
    assert silent is not None
    again = replace(
        silent, id="rec_zzz", status=ReconciliationStatus.RUNNING, updated_at=_ago(hours=2)
    )
    store.commit(Put(again, Anyhow()))
    functions.tick("start_reconcile")
    functions.work_off()


def look_after(functions: Functions) -> None:
    """Everything else that the API offers: lists, keys, the audit log."""
    told = functions.told
    made = told("POST", "api_keys", {"name": "other", "kind": "secret", "scopes": ["catalog:read"]})
    told("DELETE", f"api_keys/{made['id']}")
    for path in (
        "api_keys",
        "audit_log?entity=plan:team",
        "billing_events",
        "customers",
        "environment",
        "features",
        "health?depth=full",
        "migrations",
        "plans",
        "products",
        "sync_tasks?status=pending",
    ):
        told("GET", path)


def fail_at_everything(functions: Functions) -> None:
    """Each queue has something in it that nobody can do; it comes again, and is taken away here."""
    for queue in QueueName:
        functions.send_rubbish(queue)


def forget_that_it_was_done(event_id: str) -> None:
    """The event is as if its message had been lost minutes ago."""
    store = wiring.ports().store
    event = store.get(BillingEvent, event_id)
    assert event is not None
    waiting = replace(
        event,
        status=BillingEventStatus.PENDING,
        received_at=_ago(minutes=5),
        processed_at=None,
        attempts=0,
    )
    store.commit(Put(waiting, Anyhow()))


def until_soon(functions: Functions, path: str, body: dict[str, Any], name: str) -> datetime:
    """The API has taken a time that was ahead when it looked; how far ahead depends on how quick this machine is."""
    for seconds in (1.5, 6, 24, 96):
        soon = datetime.now(UTC) + timedelta(seconds=seconds)
        answer = functions.request("POST", f"/v1/{path}", {**body, name: soon.isoformat()})
        if answer.status < 400:
            return soon
        assert b"out_of_range" in answer.body, (path, answer.status, answer.body)
    raise AssertionError(f"{path} took minutes")


def wait_until(moment: datetime) -> None:
    time.sleep(max(0, (moment - datetime.now(UTC)).total_seconds()) + 0.1)


def _ago(**delta: float) -> datetime:
    return datetime.now(UTC) - timedelta(**delta)
