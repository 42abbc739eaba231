"""Versions over HTTP: publication for everybody, at a set time, and back again."""

from typing import Any

import pytest

from chalicelib.services.migrate_subscribers import continue_migration
from chalicelib.services.schedule_publication import publish_due
from tests.fakes.migrating import Countdown
from tests.fakes.world import a_cause
from tests.unit.api.world import World

FREE = {
    "id": "free",
    "product_id": "app",
    "name": "Free",
    "entitlements": [{"feature_id": "sso", "value": True}],
}
EVERYBODY = {"migration": "all_customers"}


@pytest.fixture(autouse=True)
def sold(world: World) -> None:
    world.providers.configured = []
    ok(world, "POST", "products", {"id": "app", "name": "App"}, 201)
    ok(world, "POST", "features", {"id": "sso", "name": "SSO", "type": "boolean"}, 201)
    ok(world, "POST", "plans", FREE, 201)
    ok(world, "POST", "plans/free/publish")
    for name in ("ann", "bob"):
        ok(world, "POST", "customers", {"id": name}, 201)
        ok(world, "POST", "subscriptions", {"customer_id": name, "plan_id": "free"}, 201)


def ok(world: World, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = world.send(method, f"/v1/{path}", body)
    assert answer.status == status, answer.body
    return answer.json


def refused(world: World, method: str, path: str, body: Any = None) -> tuple[int, str, str | None]:
    answer = world.send(method, f"/v1/{path}", body)
    faults = answer.json.get("errors") or [{}]
    return answer.status, answer.json["code"], faults[0].get("param") or answer.json.get("param")


def migrate(world: World) -> Any:
    """The draft is published for everybody, who are moved; the migration."""
    ok(world, "PATCH", "plans/free", {"entitlements": []})
    published = ok(world, "POST", "plans/free/publish", EVERYBODY)
    assert published["migration"]["status"] == "running"
    migration_id = published["migration"]["id"]
    continue_migration(world.ports, a_cause(), migration_id, Countdown(60))
    return ok(world, "GET", f"migrations/{migration_id}")


def test_publication_for_everybody_shows_its_migration_to_the_end(world: World) -> None:
    run = migrate(world)
    assert run["status"] == "succeeded"
    assert run["counts"] == {"moved": 2, "scheduled": 0, "skipped": 0, "failed": 0}
    assert (run["from_version"], run["to_version"]) == (1, 2)
    assert run["effective"] == "end_of_period"
    assert ok(world, "GET", "plans/free")["migration"]["status"] == "succeeded"
    assert [one["id"] for one in ok(world, "GET", "migrations")["data"]] == [run["id"]]
    check = ok(world, "GET", "customers/ann/entitlements/sso")
    assert not check["has_access"]


def test_migration_can_be_canceled_before_anybody_was_moved(world: World) -> None:
    ok(world, "PATCH", "plans/free", {"entitlements": []})
    published = ok(world, "POST", "plans/free/publish", EVERYBODY)
    path = f"migrations/{published['migration']['id']}/cancel"
    assert ok(world, "POST", path)["status"] == "canceled"
    assert ok(world, "POST", path)["status"] == "canceled"


def test_unknown_migration_is_not_found(world: World) -> None:
    assert refused(world, "GET", "migrations/mig_nope")[:2] == (404, "not_found")
    assert refused(world, "POST", "migrations/mig_nope/cancel")[:2] == (404, "not_found")


def test_rollback_publishes_the_first_version_again(world: World) -> None:
    migrate(world)
    back = ok(world, "POST", "plans/free/rollback", {"version": 1})
    assert (back["version"], back["entitlements"][0]["feature_id"]) == (3, "sso")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (422, "invalid", "version")),
        ({"version": 0}, (422, "invalid", "version")),
        ({"version": "1"}, (422, "invalid", "version")),
        ({"version": True}, (422, "invalid", "version")),
        ({"version": 10**30}, (422, "invalid", "version")),
        ({"version": 9}, (404, "not_found", "id")),
        ({"version": 1, "migration": "nobody"}, (422, "invalid", "migration")),
        ({"version": 1, "discard_draft": "yes"}, (422, "invalid", "discard_draft")),
    ],
)
def test_bad_rollback_is_refused(world: World, body: Any, expected: object) -> None:
    assert refused(world, "POST", "plans/free/rollback", body) == expected


def test_rollback_over_a_draft_is_refused_until_it_may_be_lost(world: World) -> None:
    migrate(world)
    ok(world, "PATCH", "plans/free", {"name": "Next"})
    assert refused(world, "POST", "plans/free/rollback", {"version": 1})[:2] == (
        409,
        "draft_exists",
    )
    body = {"version": 1, "discard_draft": True}
    assert ok(world, "POST", "plans/free/rollback", body)["has_draft"] is False


def test_scheduled_publication_is_shown_until_it_happened(world: World) -> None:
    ok(world, "PATCH", "plans/free", {"name": "Next"})
    body = {"publish_at": "2026-01-16T13:00:00+01:00", **EVERYBODY}
    made = ok(world, "POST", "plans/free/publish", body)
    expected = {
        "publish_at": "2026-01-16T12:00:00Z",
        "migration": "all_customers",
        "effective": "end_of_period",
        "error": None,
    }
    assert (made["scheduled_publication"], made["status"]) == (expected, "draft")
    assert ok(world, "GET", "plans/free")["scheduled_publication"] == expected
    world.clock.advance(days=1)
    publish_due(world.ports)
    shown = ok(world, "GET", "plans/free")
    assert (shown["version"], shown["scheduled_publication"]) == (2, None)


def test_scheduled_publication_can_be_canceled_once(world: World) -> None:
    ok(world, "PATCH", "plans/free", {"name": "Next"})
    ok(world, "POST", "plans/free/publish", {"publish_at": "2026-01-16T12:00:00Z"})
    shown = ok(world, "DELETE", "plans/free/scheduled_publication")
    assert shown["scheduled_publication"] is None
    again = refused(world, "DELETE", "plans/free/scheduled_publication")
    assert again[:2] == (404, "not_found")


@pytest.mark.parametrize(
    "publish_at",
    [
        "2026-01-15T12:00:00Z",
        "2020-01-01T00:00:00Z",
        "2099-01-01T00:00:00Z",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "2026-01-16T12:00:00",
        "tomorrow",
        "",
        1768564800,
        True,
        [],
    ],
)
def test_bad_time_of_publication_is_refused(world: World, publish_at: Any) -> None:
    ok(world, "PATCH", "plans/free", {"name": "Next"})
    answer = refused(world, "POST", "plans/free/publish", {"publish_at": publish_at})
    assert answer == (422, "invalid", "publish_at")


def test_unknown_rollout_is_refused(world: World) -> None:
    ok(world, "PATCH", "plans/free", {"name": "Next"})
    for body in ({"migration": "some"}, {"effective": "soon"}, {"nobody": 1}):
        assert refused(world, "POST", "plans/free/publish", body)[:2] == (422, "invalid")


def test_diff_shows_what_changes_and_for_whom(world: World) -> None:
    ok(world, "PATCH", "plans/free", {"name": "Next", "entitlements": []})
    found = ok(world, "GET", "plans/free/diff")
    assert found["from_version"] == 1
    assert [(one["feature_id"], one["change"]) for one in found["entitlements"]] == [
        ("sso", "removed")
    ]
    assert found["fields"] == [{"field": "name", "before": "Free", "after": "Next"}]
    impact = found["impact"]
    assert (impact["status"], impact["subscribers"]) == ("complete", 2)
    assert impact["subscribers_by_version"] == {"1": 2}
    [feature] = impact["features"]
    assert (feature["feature_id"], feature["lost"], feature["gained"]) == ("sso", 2, 0)
    assert sorted(feature["customers"]["lost"]) == ["ann", "bob"]
    assert impact["monthly_revenue"] == []


def test_diff_without_a_draft_is_refused(world: World) -> None:
    assert refused(world, "GET", "plans/free/diff")[:2] == (409, "nothing_to_publish")
    assert refused(world, "POST", "plans/free/impact")[:2] == (409, "nothing_to_publish")
    assert refused(world, "GET", "plans/nope/diff")[:2] == (404, "not_found")
    assert refused(world, "GET", "addons/free/diff")[:2] == (404, "not_found")


def test_count_of_the_impact_is_started_and_found_again(world: World) -> None:
    ok(world, "PATCH", "plans/free", {"entitlements": []})
    assert ok(world, "POST", "plans/free/impact", status=202)["status"] == "running"


def test_versions_tell_how_many_subscribe_to_each(world: World) -> None:
    migrate(world)
    versions = ok(world, "GET", "plans/free/versions?limit=1")
    assert versions["data"][0]["subscribers"] == {"count": 2, "is_exact": True}
    older = ok(world, "GET", f"plans/free/versions?cursor={versions['next_cursor']}")
    assert [(one["version"], one["subscribers"]["count"]) for one in older["data"]] == [(1, 0)]
