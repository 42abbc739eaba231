"""Every operation that changes something leaves an entry of who did it, and no entry holds a secret."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest

from chalicelib.domain.audit_log import AuditEntry, broken_links
from chalicelib.domain.billing_events import BillingEvent, BillingEventStatus
from chalicelib.domain.migrations import MigrationRun
from chalicelib.domain.plain import plain
from chalicelib.domain.reconciliations import Reconciliation
from chalicelib.domain.sync import SyncTask
from tests.integration.api.contract import operations
from tests.integration.api.shop import FREE, PLAN, Shop
from tests.integration.world import Deployment

Call = Callable[[Deployment], tuple[str, Any]]

# What leaves none, and why.
EXEMPT: Final = {
    "POST /v1/subscriptions/{subscription_id}/pause": "the provider here can't; commits like resume",
    "DELETE /v1/subscriptions/{subscription_id}/scheduled_change": "likewise",
    "POST /v1/plans/{plan_id}/impact": "counts, and changes nothing",
    "POST /v1/addons/{addon_id}/impact": "counts, and changes nothing",
    "POST /v1/catalog/diff": "a question",
    "POST /v1/catalog/import": "a question to a provider",
    "POST /v1/entitlements/check": "a question",
    "POST /v1/subscriptions/preview": "a question",
    "POST /v1/usage": "usage has records of its own",
    "POST /v1/events": "usage has records of its own",
    "POST /v1/customers/{customer_id}/entitlements/{feature_id}/consume": "usage has its own",
    "POST /v1/customers/{customer_id}/entitlements/{feature_id}/reserve": "usage has its own",
    "POST /v1/reservations/{reservation_id}/commit": "usage has records of its own",
    "POST /v1/reservations/{reservation_id}/release": "usage has records of its own",
    "POST /v1/usage_charges/{charge_id}/retry": "usage has records of its own",
    "POST /v1/customers/import": "makes customers and converges them, each with its entry",
    "POST /v1/webhooks/stripe": "the event is the record; what it changes is audited as converged",
    "POST /v1/customers/{customer_id}/portal_session": "nothing of ours changes",
    "POST /v1/customer_tokens": "nothing is stored",
    "POST /v1/test_clock": "there is none in this environment; see test_move_clock.py",
}


def send(deployment: Deployment, method: str, path: str, body: Any = None) -> Any:
    answer = deployment.send(method, f"/v1/{path}", body)
    assert answer.status < 300, (method, path, answer.body)
    return answer.json


def plain_case(path: str, body: Any = None, *before: tuple[str, str, Any]) -> Call:
    def call(deployment: Deployment) -> tuple[str, Any]:
        for method, earlier, given in before:
            send(deployment, method, earlier, given)
        return path, body

    return call


def on_subscription(suffix: str = "", body: Any = None, *before: tuple[str, str, Any]) -> Call:
    def call(deployment: Deployment) -> tuple[str, Any]:
        [held] = send(deployment, "GET", "subscriptions?customer_id=acme")["data"]
        for method, path, given in before:
            send(deployment, method, path.format(id=held["id"]), given)
        return f"subscriptions/{held['id']}{suffix}", body

    return call


def on_endpoint(suffix: str = "", body: Any = None) -> Call:
    def call(deployment: Deployment) -> tuple[str, Any]:
        [held] = send(deployment, "GET", "webhook_endpoints")["data"]
        return f"webhook_endpoints/{held['id']}{suffix}", body

    return call


def on_grant(body: Any) -> Call:
    def call(deployment: Deployment) -> tuple[str, Any]:
        made = send(
            deployment, "POST", "customers/acme/grants", {"feature_id": "sso", "value": True}
        )
        return f"customers/acme/grants/{made['id']}", body

    return call


def on_open_checkout(deployment: Deployment) -> tuple[str, Any]:
    made = send(deployment, "POST", "checkout_sessions", {"customer_id": "new", "plan_id": "pro"})
    return f"checkout_sessions/{made['id']}/expire", None


def on_failed_task(deployment: Deployment) -> tuple[str, Any]:
    send(deployment, "PATCH", "plans/pro", {"name": "Pro 2"})
    send(deployment, "POST", "plans/pro/publish")
    task = next(one for one in deployment.store.all(SyncTask) if one.status == "pending")
    return f"sync_tasks/{task.id}/retry", None


def on_event(deployment: Deployment) -> tuple[str, Any]:
    now = deployment.clock.now()
    event = BillingEvent(
        provider="stripe",
        id="evt_kept",
        type="customer.updated",
        status=BillingEventStatus.FAILED,
        live=False,
        api_version=None,
        object_id=None,
        customer_billing_id=None,
        created_at=now,
        received_at=now,
    )
    deployment.store.records[BillingEvent, event.identity] = event
    return "billing_events/evt_kept/replay", None


def on_outbound_event(deployment: Deployment) -> tuple[str, Any]:
    call, _ = on_endpoint("/test")(deployment)
    event_id = send(deployment, "POST", call)["event_id"]
    return f"outbound_events/{event_id}/replay", None


def on_key(deployment: Deployment) -> tuple[str, Any]:
    made = send(deployment, "POST", "api_keys", {"name": "extra"})
    return f"api_keys/{made['id']}", None


def on_connected_account(deployment: Deployment) -> tuple[str, Any]:
    state = send(deployment, "GET", "integrations/stripe/connect")["state"]
    deployment.accounts.codes["ac_1"] = "acct_1"
    send(deployment, "GET", f"integrations/stripe/callback?state={state}&code=ac_1")
    return "integrations/stripe", None


def first_reconciliation(deployment: Deployment) -> tuple[str, Any]:
    for one in deployment.store.all(Reconciliation):  # of one that is under way no second is made
        del deployment.store.records[Reconciliation, one.identity]
    return "reconciliations", {"policy": "report"}


def on_migration(deployment: Deployment) -> tuple[str, Any]:
    send(deployment, "PATCH", "plans/free", {"name": "Free 2"})
    send(deployment, "POST", "plans/free/publish", {"migration": "all_customers"})
    [run] = deployment.store.all(MigrationRun)
    return f"migrations/{run.id}/cancel", None


def later(deployment: Deployment) -> str:
    return (deployment.clock.now() + timedelta(days=9)).isoformat()


def scheduled(noun: str, name: str) -> Call:
    def call(deployment: Deployment) -> tuple[str, Any]:
        send(deployment, "PATCH", f"{noun}/{name}", {"name": "Soon"})
        body = {"migration": "new_customers", "publish_at": later(deployment)}
        send(deployment, "POST", f"{noun}/{name}/publish", body)
        return f"{noun}/{name}/scheduled_publication", None

    return call


def applied(deployment: Deployment) -> tuple[str, Any]:
    catalog = send(deployment, "GET", "catalog")
    document = catalog["catalog"]
    document["features"][0]["name"] = "Renamed"
    return "catalog/apply", {"catalog": document, "expected_hash": catalog["hash"]}


def in_trial(deployment: Deployment) -> tuple[str, Any]:
    trial = {
        "duration": 14,
        "unit": "day",
        "end_behavior": "cancel_subscription",
        "payment_method_required": False,
    }
    send(deployment, "PATCH", "plans/pro", {"trial": trial})
    send(deployment, "POST", "plans/pro/publish")
    made = send(deployment, "POST", "subscriptions", {"customer_id": "new", "plan_id": "pro"})
    end = (deployment.clock.now() + timedelta(days=20)).isoformat()
    return f"subscriptions/{made['subscription']['id']}/extend_trial", {"trial_end": end}


COUPON: Final = {"id": "off", "name": "Off", "percent_off": 10, "duration": "once"}
MADE_COUPON: Final = ("POST", "coupons", COUPON)
DRAFT: Final = ("PATCH", "plans/pro", {"name": "Other"})
ADDON_DRAFT: Final = ("PATCH", "addons/storage", {"name": "Other"})
SECOND_VERSION: Final = (DRAFT, ("POST", "plans/pro/publish", None))
SECOND_ADDON: Final = (ADDON_DRAFT, ("POST", "addons/storage/publish", None))
CASES: Final[dict[str, Call]] = {
    "POST /v1/features": plain_case("features", {"id": "f", "name": "F", "type": "boolean"}),
    "PATCH /v1/features/{feature_id}": plain_case("features/sso", {"name": "Other"}),
    "POST /v1/features/{feature_id}/archive": plain_case(
        "features/f/archive",
        None,
        ("POST", "features", {"id": "f", "name": "F", "type": "boolean"}),
    ),
    "POST /v1/features/{feature_id}/unarchive": plain_case("features/old/unarchive"),
    "POST /v1/customers/{customer_id}/usage/{feature_id}/shards": plain_case(
        "customers/acme/usage/calls/shards", {"count": 2}
    ),
    "POST /v1/products": plain_case("products", {"id": "p", "name": "P"}),
    "PATCH /v1/products/{product_id}": plain_case("products/app", {"name": "Other"}),
    "POST /v1/products/{product_id}/archive": plain_case(
        "products/p/archive", None, ("POST", "products", {"id": "p", "name": "P"})
    ),
    "POST /v1/products/{product_id}/unarchive": plain_case("products/attic/unarchive"),
    "POST /v1/plans": plain_case("plans", {**PLAN, **FREE, "id": "fresh"}),
    "PATCH /v1/plans/{plan_id}": plain_case("plans/pro", {"name": "Other"}),
    "DELETE /v1/plans/{plan_id}/draft": plain_case("plans/pro/draft", None, DRAFT),
    "POST /v1/plans/{plan_id}/publish": plain_case("plans/pro/publish", None, DRAFT),
    "DELETE /v1/plans/{plan_id}/scheduled_publication": scheduled("plans", "pro"),
    "POST /v1/plans/{plan_id}/rollback": plain_case(
        "plans/pro/rollback", {"migration": "new_customers", "version": 1}, *SECOND_VERSION
    ),
    "POST /v1/plans/{plan_id}/archive": plain_case("plans/elsewhere/archive"),
    "POST /v1/plans/{plan_id}/unarchive": plain_case("plans/retired/unarchive"),
    "POST /v1/addons": plain_case(
        "addons", {"id": "a", "product_id": "app", "name": "A", "pricing_type": "free"}
    ),
    "PATCH /v1/addons/{addon_id}": plain_case("addons/storage", {"name": "Other"}),
    "DELETE /v1/addons/{addon_id}/draft": plain_case("addons/storage/draft", None, ADDON_DRAFT),
    "POST /v1/addons/{addon_id}/publish": plain_case("addons/storage/publish", None, ADDON_DRAFT),
    "DELETE /v1/addons/{addon_id}/scheduled_publication": scheduled("addons", "storage"),
    "POST /v1/addons/{addon_id}/rollback": plain_case(
        "addons/storage/rollback", {"migration": "new_customers", "version": 1}, *SECOND_ADDON
    ),
    "POST /v1/addons/{addon_id}/archive": plain_case("addons/foreign/archive"),
    "POST /v1/addons/{addon_id}/unarchive": plain_case(
        "addons/foreign/unarchive", None, ("POST", "addons/foreign/archive", None)
    ),
    "POST /v1/coupons": plain_case("coupons", COUPON),
    "PATCH /v1/coupons/{coupon_id}": plain_case("coupons/off", {"name": "Other"}, MADE_COUPON),
    "POST /v1/coupons/{coupon_id}/archive": plain_case("coupons/off/archive", None, MADE_COUPON),
    "POST /v1/coupons/{coupon_id}/unarchive": plain_case(
        "coupons/off/unarchive", None, MADE_COUPON, ("POST", "coupons/off/archive", None)
    ),
    "POST /v1/catalog/apply": applied,
    "POST /v1/customers": plain_case("customers", {"id": "fresh", "email": "a@b.example"}),
    "PATCH /v1/customers/{customer_id}": plain_case("customers/acme", {"country": "DE"}),
    "POST /v1/customers/{customer_id}/archive": plain_case("customers/new/archive"),
    "POST /v1/customers/{customer_id}/unarchive": plain_case("customers/gone/unarchive"),
    "POST /v1/customers/{customer_id}/grants": plain_case(
        "customers/acme/grants", {"feature_id": "sso", "value": True}
    ),
    "PATCH /v1/customers/{customer_id}/grants/{grant_id}": on_grant({"reason": "Because"}),
    "DELETE /v1/customers/{customer_id}/grants/{grant_id}": on_grant(None),
    "POST /v1/subscriptions": plain_case(
        "subscriptions", {"customer_id": "new", "plan_id": "free"}
    ),
    "PATCH /v1/subscriptions/{subscription_id}": on_subscription(
        "", {"metadata": {"a": "b"}, "effective": "immediate"}
    ),
    "POST /v1/subscriptions/{subscription_id}/cancel": on_subscription(
        "/cancel", {"effective": "immediate"}
    ),
    "POST /v1/subscriptions/{subscription_id}/resume": on_subscription(
        "/resume",
        None,
        ("POST", "subscriptions/{id}/cancel", {"effective": "date", "at": "2026-03-01T00:00:00Z"}),
    ),
    "POST /v1/subscriptions/{subscription_id}/migrate": on_subscription(
        "/migrate",
        {},
        ("PATCH", "plans/free", {"name": "Free 2"}),
        ("POST", "plans/free/publish", None),
    ),
    "POST /v1/subscriptions/{subscription_id}/transfer": on_subscription(
        "/transfer", {"customer_id": "new"}
    ),
    "POST /v1/subscriptions/{subscription_id}/extend_trial": in_trial,
    "POST /v1/checkout_sessions": plain_case(
        "checkout_sessions", {"customer_id": "new", "plan_id": "pro"}
    ),
    "POST /v1/checkout_sessions/{session_id}/expire": on_open_checkout,
    "POST /v1/billing_events/{event_id}/replay": on_event,
    "POST /v1/sync_tasks/{task_id}/retry": on_failed_task,
    "POST /v1/reconciliations": first_reconciliation,
    "POST /v1/migrations/{migration_id}/cancel": on_migration,
    "POST /v1/webhook_endpoints": plain_case(
        "webhook_endpoints", {"url": "https://other.example.com/"}
    ),
    "PATCH /v1/webhook_endpoints/{endpoint_id}": on_endpoint("", {"description": "x"}),
    "DELETE /v1/webhook_endpoints/{endpoint_id}": on_endpoint(),
    "POST /v1/webhook_endpoints/{endpoint_id}/rotate_secret": on_endpoint("/rotate_secret"),
    "POST /v1/webhook_endpoints/{endpoint_id}/test": on_endpoint("/test"),
    "POST /v1/outbound_events/{event_id}/replay": on_outbound_event,
    "DELETE /v1/integrations/stripe": on_connected_account,
    "POST /v1/api_keys": plain_case("api_keys", {"name": "k"}),
    "DELETE /v1/api_keys/{key_id}": on_key,
}


def entries_of(deployment: Deployment) -> dict[tuple[str, ...], AuditEntry]:
    return {one.identity: one for one in deployment.store.all(AuditEntry)}


@pytest.mark.parametrize("name", CASES)
def test_operation_leaves_an_entry_of_its_caller(shop: Shop, name: str) -> None:
    deployment = shop.deployment
    path, body = CASES[name](deployment)
    before = entries_of(deployment)
    send(deployment, name.partition(" ")[0], path, body)
    after = entries_of(deployment)
    fresh = [entry for key, entry in after.items() if key not in before]
    assert fresh, f"{name} left no audit entry"
    assert all(after[key] == entry for key, entry in before.items())
    assert all(entry.actor.startswith("api_key:") for entry in fresh)
    assert all(entry.cause for entry in fresh)
    assert any(entry.before is not None or entry.after is not None for entry in fresh)
    for entity in {entry.entity for entry in after.values()}:
        chain = [entry for entry in after.values() if entry.entity == entity]
        assert [*broken_links(entity, chain)] == []


def test_every_operation_that_writes_has_a_case_or_a_reason() -> None:
    writing = {one.name for one in operations() if one.method != "GET"}
    assert writing - CASES.keys() - EXEMPT.keys() == set()
    assert EXEMPT.keys() | CASES.keys() <= writing
    assert not EXEMPT.keys() & CASES.keys()


# --- Secrets --------------------------------------------------------------------------------------------------------

SECRETS: Final = {
    "paygrade key": r"pg_[sp]k_\w+",
    "paygrade token": r"pg_ct_\w+",
    "stripe key": r"[sr]k_(live|test)_\w+",
    "signing secret": r"whsec_[\w+/=]+",
    "bearer": r"(?i)bearer\s+\S+",
    "json web token": r"eyJ[\w-]+\.[\w-]+\.[\w-]*",
    "aws key": r"AKIA[0-9A-Z]{16}",
    "private key": r"-----BEGIN",
    "client secret": r"_secret_\w+",
    "card number": r"\b4242 ?4242 ?4242 ?4242\b",
    "email address": r"[\w.+-]+@[\w-]+\.\w+",
    "query token": r"[?&](token|key|secret|sig)=",
}


def test_no_entry_of_a_whole_life_holds_a_secret(shop: Shop) -> None:
    deployment = shop.deployment
    shown: list[str] = []
    for name, case in CASES.items():
        shop.restock()
        path, body = case(deployment)
        answer = send(deployment, name.partition(" ")[0], path, body)
        shown += [str(answer[field]) for field in ("secret",) if field in answer]
        for entry in deployment.store.all(AuditEntry):
            text = repr(plain(entry))
            found = {kind for kind, pattern in SECRETS.items() if re.search(pattern, text)}
            assert not found, (name, entry)
            assert deployment.token not in text
            assert not any(secret in text for secret in shown)
    assert len(shown) >= 3
    assert len(SECRETS) == 12
