"""Plans and add-ons over HTTP: drafts, publication, what providers hold."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.audit_log import AuditEntry
from chalicelib.domain.billing import SyncStatus
from chalicelib.domain.errors import StoreConflictError
from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.domain.plans import Package, PackageKind, PackageVersion
from chalicelib.domain.prices import fingerprint
from chalicelib.domain.sync import CatalogLink, PriceLink, SyncTask, SyncTaskStatus
from chalicelib.ports import QueueName, Write
from tests.fakes.system import START
from tests.unit.api.world import World

MONTHLY = {"model": "flat_fee", "billing_period": "month", "currency": "usd", "amount": 1900}
PRO = {
    "id": "pro",
    "product_id": "app",
    "name": "Pro",
    "pricing_type": "paid",
    "entitlements": [{"feature_id": "seats", "usage_limit": 5}],
    "prices": [MONTHLY],
}
FREE = {
    "id": "free",
    "product_id": "app",
    "name": "Free",
    "entitlements": [{"feature_id": "sso", "value": True}],
}
KINDS = ["plans", "addons"]


@pytest.fixture
def world(world: World) -> World:
    for path, body in (
        ("products", {"id": "app", "name": "App"}),
        ("products", {"id": "other", "name": "Other"}),
        ("features", {"id": "seats", "name": "Seats", "type": "metered"}),
        ("features", {"id": "sso", "name": "SSO", "type": "boolean"}),
    ):
        assert world.send("POST", f"/v1/{path}", body).status == 201
    return world


def ok(world: World, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = world.send(method, f"/v1/{path}", body)
    assert answer.status == status, answer.body
    return answer.json


def refused(world: World, method: str, path: str, body: Any = None) -> tuple[int, str, str | None]:
    answer = world.send(method, f"/v1/{path}", body)
    faults = answer.json.get("errors") or [{}]
    return answer.status, answer.json["code"], faults[0].get("param") or answer.json.get("param")


def publish(world: World, body: dict[str, Any], kind: str = "plans") -> Any:
    ok(world, "POST", kind, body, 201)
    return ok(world, "POST", f"{kind}/{body['id']}/publish")


def test_created_plan_is_a_draft_shown_whole(world: World) -> None:
    made = ok(world, "POST", "plans", PRO, 201)
    assert made == {
        "object": "plan",
        "id": "pro",
        "product_id": "app",
        "name": "Pro",
        "description": None,
        "pricing_type": "paid",
        "parent_plan_id": None,
        "entitlements": [
            {
                "feature_id": "seats",
                "value": None,
                "values": [],
                "usage_limit": 5,
                "is_unlimited": False,
                "has_soft_limit": False,
                "reset_period": None,
                "reset_anchor": "subscription_start",
                "behavior": "override",
                "depends_on_feature_id": None,
            }
        ],
        "prices": [
            {
                "id": "flat_fee-month-usd",
                "model": "flat_fee",
                "billing_period": "month",
                "interval_count": 1,
                "currency": "usd",
                "amount": 1900,
                "amount_decimal": None,
                "tiers_mode": None,
                "tiers": [],
                "block_size": None,
                "feature_id": None,
                "min_quantity": None,
                "max_quantity": None,
                "country": None,
                "billing": [],
            }
        ],
        "compatible_addons": [],
        "trial": None,
        "grace_period_days": None,
        "metadata": {},
        "status": "draft",
        "version": None,
        "revision": 1,
        "has_draft": True,
        "sync_status": "not_required",
        "billing": [
            {
                "provider": "stripe",
                "billing_id": None,
                "url": None,
                "sync_status": "not_required",
                "error": None,
                "synced_at": None,
            }
        ],
        "published_at": None,
        "created_at": "2026-01-15T12:00:00Z",
        "migration": None,
        "scheduled_publication": None,
        "subscribers": None,
    }
    assert ok(world, "GET", "plans/pro") == made
    assert ok(world, "GET", "plans/pro?version=draft") == made


@pytest.mark.parametrize("kind", KINDS)
def test_publication_is_one_commit_and_one_message(world: World, kind: str) -> None:
    ok(world, "POST", kind, PRO, 201)
    commits: list[tuple[Write, ...]] = []
    world.store.before_commit = commits.append
    shown = ok(world, "POST", f"{kind}/pro/publish", {"migration": "new_customers"})
    assert (shown["status"], shown["version"], shown["has_draft"]) == ("published", 1, False)
    assert (shown["sync_status"], shown["prices"][0]["billing"][0]["sync_status"]) == (
        "pending",
        "pending",
    )
    assert shown["published_at"] == "2026-01-15T12:00:00Z"
    [writes] = commits
    assert [type(write.record) for write in writes] == [
        PackageVersion,
        Package,
        AuditEntry,
        SyncTask,
    ]
    [task] = world.store.all(SyncTask)
    [message] = world.queue.messages
    assert task.status is SyncTaskStatus.PENDING
    assert (message.queue, message.group) == (QueueName.SYNC, f"{kind[:-1]}:pro")
    assert message.body == {"task_id": task.id}


def test_free_plan_needs_no_provider(world: World) -> None:
    shown = publish(world, FREE)
    assert shown["sync_status"] == "not_required"
    assert shown["billing"][0]["sync_status"] == "not_required"
    assert world.store.all(SyncTask) == []
    assert world.queue.messages == []


def test_plan_that_becomes_free_is_taken_from_the_provider(world: World) -> None:
    publish(world, PRO)
    ok(world, "PATCH", "plans/pro", {"pricing_type": "free", "prices": []})
    ok(world, "POST", "plans/pro/publish")
    assert len(world.store.all(SyncTask)) == len(world.queue.messages) == 2


def test_lost_message_leaves_the_task_for_the_sweep(world: World) -> None:
    ok(world, "POST", "plans", PRO, 201)
    world.queue.down = True
    ok(world, "POST", "plans/pro/publish")
    assert len(world.store.all(SyncTask)) == 1
    assert world.monitor.named("sync_task_not_queued")


def test_published_version_never_changes(world: World) -> None:
    first = publish(world, PRO)
    draft = ok(
        world, "PATCH", "plans/pro", {"name": "Pro+", "prices": [{**MONTHLY, "amount": 2900}]}
    )
    assert (draft["status"], draft["version"], draft["name"]) == ("draft", 1, "Pro+")
    sold = ok(world, "GET", "plans/pro")
    assert (sold["name"], sold["has_draft"], sold["prices"][0]["amount"]) == ("Pro", True, 1900)
    second = ok(world, "POST", "plans/pro/publish")
    assert (second["version"], second["prices"][0]["amount"]) == (2, 2900)
    old = ok(world, "GET", "plans/pro?version=1")
    assert (old["name"], old["version"], old["status"]) == ("Pro", 1, "published")
    assert old["prices"][0]["amount"] == first["prices"][0]["amount"]
    versions = ok(world, "GET", "plans/pro/versions?limit=1")
    assert [one["version"] for one in versions["data"]] == [2]
    rest = ok(world, "GET", f"plans/pro/versions?cursor={versions['next_cursor']}")
    assert [one["version"] for one in rest["data"]] == [1]
    for missing in ("3", "draft"):
        assert refused(world, "GET", f"plans/pro?version={missing}")[0] == 404
    assert refused(world, "GET", "plans/pro?version=0")[0] == 422


def test_edit_replaces_lists_clears_null_and_keeps_the_absent(world: World) -> None:
    body = {
        **PRO,
        "description": "d",
        "trial": {"duration": 14, "unit": "day"},
        "grace_period_days": 0,
        "compatible_addons": ["x"],
        "metadata": {"a": "1"},
        "parent_plan_id": "free",
    }
    made = ok(world, "POST", "plans", body, 201)
    assert made["grace_period_days"] == 0
    kept = ok(world, "PATCH", "plans/pro", {})
    assert kept == made
    edited = ok(
        world,
        "PATCH",
        "plans/pro",
        {
            "description": None,
            "trial": None,
            "grace_period_days": None,
            "compatible_addons": None,
            "parent_plan_id": None,
            "metadata": {"b": "2"},
            "entitlements": [{"feature_id": "sso", "value": True}],
            "prices": None,
        },
    )
    assert (edited["description"], edited["trial"], edited["parent_plan_id"]) == (None, None, None)
    assert edited["grace_period_days"] is None
    assert (edited["compatible_addons"], edited["prices"]) == ([], [])
    assert edited["metadata"] == {"a": "1", "b": "2"}
    assert [one["feature_id"] for one in edited["entitlements"]] == ["sso"]
    assert edited["name"] == "Pro"
    assert edited["revision"] == 2


@pytest.mark.parametrize("kind", KINDS)
def test_stale_revision_conflicts(world: World, kind: str) -> None:
    ok(world, "POST", kind, PRO, 201)
    ok(world, "PATCH", f"{kind}/pro", {"name": "A", "revision": 1})
    assert refused(world, "PATCH", f"{kind}/pro", {"name": "B", "revision": 1}) == (
        409,
        "version_conflict",
        "revision",
    )
    assert ok(world, "PATCH", f"{kind}/pro", {"name": "A", "revision": 1})["revision"] == 2


@pytest.mark.parametrize("kind", KINDS)
def test_same_content_again_returns_it_and_other_content_conflicts(world: World, kind: str) -> None:
    made = ok(world, "POST", kind, PRO, 201)
    assert ok(world, "POST", kind, PRO) == made
    for change in ({"name": "Other"}, {"product_id": "other"}):
        assert refused(world, "POST", kind, {**PRO, **change})[:2] == (409, "already_exists")
    ok(world, "POST", f"{kind}/pro/publish")
    assert ok(world, "POST", kind, PRO)["status"] == "published"


def test_plan_and_addon_of_one_id_are_two(world: World) -> None:
    ok(world, "POST", "plans", PRO, 201)
    assert ok(world, "POST", "addons", {**PRO, "max_quantity": 3}, 201)["max_quantity"] == 3
    assert ok(world, "PATCH", "addons/pro", {"max_quantity": None})["max_quantity"] is None
    assert [one["object"] for one in ok(world, "GET", "plans")["data"]] == ["plan"]
    assert [one["object"] for one in ok(world, "GET", "addons")["data"]] == ["addon"]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"product_id": "nope"}, "product_id"),
        ({"prices": [{**MONTHLY, "amount": 19.0}]}, "prices[0].amount"),
        ({"prices": [{**MONTHLY, "amount": -1}]}, "prices[0].amount"),
        ({"prices": [{**MONTHLY, "currency": "USD"}]}, "prices[0].currency"),
        (
            {"prices": [{**MONTHLY, "amount": None, "amount_decimal": 0.5}]},
            "prices[0].amount_decimal",
        ),
        (
            {"prices": [{**MONTHLY, "amount": None, "amount_decimal": "1e3"}]},
            "prices[0].amount_decimal",
        ),
        (
            {"prices": [{**MONTHLY, "amount": None, "amount_decimal": "٣"}]},
            "prices[0].amount_decimal",
        ),
        ({"entitlements": [{"feature_id": "sso", "value": "yes"}]}, "entitlements[0].value"),
        ({"entitlements": [{"feature_id": "sso", "value": -1}]}, "entitlements[0].value"),
        ({"max_quantity": 1}, "max_quantity"),
        ({"status": "published"}, "status"),
        ({"trial": {"duration": 0, "unit": "day"}}, "trial.duration"),
        ({"grace_period_days": -1}, "grace_period_days"),
        ({"grace_period_days": 366}, "grace_period_days"),
    ],
)
def test_shape_is_checked_at_once(world: World, change: dict[str, Any], param: str) -> None:
    assert refused(world, "POST", "plans", {**PRO, **change}) == (422, "invalid", param)
    assert world.store.all(Package) == []


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"prices": []}, "prices"),
        ({"pricing_type": "free"}, "prices"),
        ({"prices": [{**MONTHLY, "currency": "xxx"}]}, "prices[0].currency"),
        ({"prices": [MONTHLY, MONTHLY]}, "prices[1].id"),
        ({"prices": [{**MONTHLY, "model": "one_off"}]}, "prices[0].billing_period"),
        ({"prices": [{**MONTHLY, "country": "DE"}]}, "prices[0].country"),
        (
            {
                "prices": [
                    {
                        **MONTHLY,
                        "amount": None,
                        "tiers_mode": "volume",
                        "tiers": [{"unit_amount": 1}],
                    }
                ]
            },
            "prices[0].tiers",
        ),
        ({"trial": {"duration": 24, "unit": "month"}}, "trial.duration"),
        ({"entitlements": [{"feature_id": "nope"}]}, "entitlements[0].feature_id"),
        ({"compatible_addons": ["nope"]}, "compatible_addons[0]"),
        ({"parent_plan_id": "nope"}, "parent_plan_id"),
        ({"parent_plan_id": "pro"}, "parent_plan_id"),
        ({"parent_plan_id": "draft"}, "parent_plan_id"),
        ({"parent_plan_id": "elsewhere"}, "parent_plan_id"),
    ],
)
def test_contradictions_are_found_at_publication(
    world: World, change: dict[str, Any], param: str
) -> None:
    ok(world, "POST", "plans", {**FREE, "id": "draft"}, 201)
    publish(world, {**FREE, "id": "elsewhere", "product_id": "other"})
    ok(world, "POST", "plans", {**PRO, **change}, 201)
    assert refused(world, "POST", "plans/pro/publish") == (422, "invalid", param)
    assert ok(world, "GET", "plans/pro")["status"] == "draft"


def test_child_inherits_and_its_own_entitlements_win(world: World) -> None:
    publish(
        world,
        {
            **FREE,
            "entitlements": [*FREE["entitlements"], {"feature_id": "seats", "usage_limit": 1}],
        },
    )
    publish(world, {**PRO, "parent_plan_id": "free"})
    version = world.store.get(PackageVersion, PackageKind.PLAN, "pro", "0000000001")
    assert version is not None
    assert [(one.feature_id, one.usage_limit) for one in version.entitlements] == [
        ("seats", 5),
        ("sso", None),
    ]
    assert [one.feature_id for one in version.content.entitlements] == ["seats"]


def test_inheritance_in_a_circle_is_refused(world: World) -> None:
    publish(world, FREE)
    publish(world, {**PRO, "parent_plan_id": "free"})
    publish(world, {**PRO, "id": "max", "parent_plan_id": "pro"})
    ok(world, "PATCH", "plans/free", {"parent_plan_id": "max"})
    assert refused(world, "POST", "plans/free/publish") == (422, "invalid", "parent_plan_id")


def test_publishing_nothing_or_nobody_is_refused(world: World) -> None:
    publish(world, PRO)
    assert refused(world, "POST", "plans/pro/publish")[:2] == (409, "nothing_to_publish")
    assert refused(world, "POST", "plans/nobody/publish")[:2] == (404, "not_found")


def test_publication_whose_answer_was_lost_is_found_again(world: World) -> None:
    ok(world, "POST", "plans", PRO, 201)
    first = world.send("POST", "/v1/plans/pro/publish", Idempotency_Key="k")
    [record] = world.store.all(IdempotencyRecord)
    crashed = replace(record, status=None, body=None)
    world.store.records[IdempotencyRecord, record.identity] = crashed
    world.clock.advance(seconds=61)
    again = world.send("POST", "/v1/plans/pro/publish", Idempotency_Key="k")
    assert (again.status, again.json) == (200, first.json)
    assert len(world.store.all(PackageVersion)) == 1


def test_edit_during_publication_is_not_lost(world: World) -> None:
    ok(world, "POST", "plans", PRO, 201)
    edited = False

    def edit_first(writes: tuple[Write, ...]) -> None:
        nonlocal edited
        if not edited:
            edited = True
            ok(world, "PATCH", "plans/pro", {"name": "Edited"})

    world.store.before_commit = edit_first
    assert ok(world, "POST", "plans/pro/publish")["name"] == "Edited"


def test_publication_against_endless_others_is_a_conflict(world: World) -> None:
    ok(world, "POST", "plans", PRO, 201)

    def lose(writes: tuple[Write, ...]) -> None:
        raise StoreConflictError("busy")

    world.store.before_commit = lose
    assert refused(world, "POST", "plans/pro/publish")[:2] == (409, "version_conflict")


@pytest.mark.parametrize("kind", KINDS)
def test_discarded_draft_leaves_what_is_sold_or_nothing(world: World, kind: str) -> None:
    ok(world, "POST", kind, PRO, 201)
    gone = ok(world, "DELETE", f"{kind}/pro/draft")
    assert gone == {"object": f"{kind[:-1]}_draft", "id": "pro", "deleted": True}
    assert refused(world, "GET", f"{kind}/pro")[0] == 404
    publish(world, PRO, kind)
    assert refused(world, "DELETE", f"{kind}/pro/draft")[0] == 404
    ok(world, "PATCH", f"{kind}/pro", {"name": "New"})
    ok(world, "DELETE", f"{kind}/pro/draft")
    assert ok(world, "GET", f"{kind}/pro")["name"] == "Pro"
    assert ok(world, "PATCH", f"{kind}/pro", {"name": "Newer"})["status"] == "draft"


@pytest.mark.parametrize("kind", KINDS)
def test_archived_package_is_off_the_shelf_and_comes_back(world: World, kind: str) -> None:
    publish(world, PRO, kind)
    archived = ok(world, "POST", f"{kind}/pro/archive")
    assert (archived["status"], archived["version"]) == ("archived", 1)
    assert ok(world, "POST", f"{kind}/pro/archive") == archived
    assert refused(world, "PATCH", f"{kind}/pro", {"name": "New"})[:2] == (409, "archived")
    assert ok(world, "POST", f"{kind}/pro/unarchive")["status"] == "published"
    assert [task.reason for task in world.store.all(SyncTask)] == [
        "published",
        "archived",
        "unarchived",
    ]
    assert len(world.queue.messages) == 3


def test_archived_free_plan_tells_no_provider(world: World) -> None:
    publish(world, FREE)
    ok(world, "POST", "plans/free/archive")
    assert world.queue.messages == []


def test_archived_draft_can_not_be_published(world: World) -> None:
    ok(world, "POST", "plans", PRO, 201)
    ok(world, "POST", "plans/pro/archive")
    assert refused(world, "POST", "plans/pro/publish")[:2] == (409, "archived")


def test_feature_on_sale_can_not_be_archived(world: World) -> None:
    publish(world, PRO)
    assert refused(world, "POST", "features/seats/archive")[:2] == (409, "in_use")
    ok(world, "POST", "plans/pro/archive")
    ok(world, "POST", "features/seats/archive")
    ok(world, "POST", "plans/pro/unarchive")
    ok(world, "PATCH", "plans/pro", {"name": "New"})
    assert refused(world, "POST", "plans/pro/publish") == (
        422,
        "invalid",
        "entitlements[0].feature_id",
    )


def test_feature_that_a_price_counts_can_not_be_archived(world: World) -> None:
    per_seat = {**MONTHLY, "model": "per_unit", "feature_id": "seats"}
    publish(world, {**PRO, "entitlements": [], "prices": [per_seat]})
    assert refused(world, "POST", "features/seats/archive")[:2] == (409, "in_use")


def test_product_with_active_plans_can_not_be_archived(world: World) -> None:
    publish(world, PRO)
    assert refused(world, "POST", "products/app/archive")[:2] == (409, "in_use")
    ok(world, "POST", "plans/pro/archive")
    ok(world, "POST", "products/app/archive")
    assert refused(world, "POST", "plans/pro/unarchive")[:2] == (409, "archived")
    assert refused(world, "POST", "plans", FREE) == (422, "invalid", "product_id")


def link(world: World, **changes: Any) -> None:
    version = world.store.all(PackageVersion)[-1]
    [price] = version.content.prices
    held = CatalogLink(
        provider="stripe",
        kind=PackageKind.PLAN,
        package_id=version.id,
        sync_status=SyncStatus.SYNCED,
        billing_id="prod_1",
        url="https://dashboard.example/prod_1",
        prices=(
            PriceLink(
                price_id=price.id,
                fingerprint=fingerprint(price),
                billing_id="price_1",
                url=None,
                active=True,
            ),
        ),
        synced_version=version.number,
        synced_at=START,
    )
    held = replace(held, **changes)
    world.store.records[CatalogLink, held.identity] = held


def test_synced_plan_shows_where_its_product_and_prices_are(world: World) -> None:
    publish(world, PRO)
    link(world)
    shown = ok(world, "GET", "plans/pro")
    assert shown["sync_status"] == "synced"
    assert shown["billing"] == [
        {
            "provider": "stripe",
            "billing_id": "prod_1",
            "url": "https://dashboard.example/prod_1",
            "sync_status": "synced",
            "error": None,
            "synced_at": "2026-01-15T12:00:00Z",
        }
    ]
    assert shown["prices"][0]["billing"][0]["billing_id"] == "price_1"


def test_later_version_is_pending_until_it_is_synced_itself(world: World) -> None:
    publish(world, PRO)
    link(world)
    ok(world, "PATCH", "plans/pro", {"prices": [MONTHLY, {**MONTHLY, "billing_period": "year"}]})
    shown = ok(world, "POST", "plans/pro/publish")
    assert (shown["sync_status"], shown["billing"][0]["billing_id"]) == ("pending", "prod_1")
    by_price = {one["id"]: one["billing"][0] for one in shown["prices"]}
    assert by_price["flat_fee-month-usd"]["billing_id"] == "price_1"
    assert by_price["flat_fee-year-usd"]["billing_id"] is None


def test_failed_sync_shows_its_error(world: World) -> None:
    publish(world, PRO)
    link(world, sync_status=SyncStatus.ERROR, error="Stripe refused it.", prices=())
    shown = ok(world, "GET", "plans/pro")
    assert (shown["sync_status"], shown["billing"][0]["error"]) == ("error", "Stripe refused it.")
    assert shown["prices"][0]["billing"][0]["error"] == "Stripe refused it."


def test_archiving_is_pending_until_the_provider_knows(world: World) -> None:
    publish(world, PRO)
    link(world)
    assert ok(world, "POST", "plans/pro/archive")["sync_status"] == "pending"
    link(world, sync_status=SyncStatus.NOT_REQUIRED)
    assert ok(world, "GET", "plans/pro")["sync_status"] == "not_required"
    assert ok(world, "POST", "plans/pro/unarchive")["sync_status"] == "pending"


def test_without_a_provider_nothing_is_pending(world: World) -> None:
    world.providers.configured = []
    shown = publish(world, PRO)
    assert (shown["sync_status"], shown["billing"]) == ("not_required", [])


def test_decimal_price_has_one_spelling(world: World) -> None:
    price = {**MONTHLY, "amount": None, "amount_decimal": "0.50"}
    shown = publish(world, {**PRO, "prices": [price]})
    assert shown["prices"][0]["amount_decimal"] == "0.5"


def test_polled_plan_has_an_etag(world: World) -> None:
    publish(world, PRO)
    etag = world.send("GET", "/v1/plans/pro").headers["ETag"]
    assert world.send("GET", "/v1/plans/pro", If_None_Match=etag).status == 304
    link(world)
    assert world.send("GET", "/v1/plans/pro", If_None_Match=etag).status == 200
