"""Features and products over HTTP."""

from typing import Any

import pytest

from chalicelib.domain.audit_log import AuditEntry
from chalicelib.domain.errors import StoreConflictError
from chalicelib.domain.features import Feature
from chalicelib.ports import Write
from tests.unit.api.world import World

FEATURE = {
    "id": "seats",
    "name": "Seats",
    "type": "metered",
    "unit": "seat",
    "metadata": {"a": "1"},
}
PRODUCT = {"id": "app", "name": "App", "description": "The app"}
KINDS = [("features", FEATURE), ("products", PRODUCT)]


def make(world: World, kind: str, body: dict[str, Any]) -> Any:
    answer = world.send("POST", f"/v1/{kind}", body)
    assert answer.status == 201, answer.body
    return answer.json


def test_feature_is_shown_whole(world: World) -> None:
    made = make(world, "features", FEATURE)
    assert made == {
        "object": "feature",
        "id": "seats",
        "name": "Seats",
        "type": "metered",
        "usage_kind": "incremental",
        "unit": "seat",
        "values": [],
        "meter": None,
        "metadata": {"a": "1"},
        "status": "active",
        "version": 1,
        "created_at": "2026-01-15T12:00:00Z",
    }
    assert world.send("GET", "/v1/features/seats").json == made


def test_product_is_shown_whole(world: World) -> None:
    made = make(world, "products", PRODUCT)
    assert made == {
        "object": "product",
        "id": "app",
        "name": "App",
        "description": "The app",
        "metadata": {},
        "status": "active",
        "version": 1,
        "created_at": "2026-01-15T12:00:00Z",
    }
    assert world.send("GET", "/v1/products/app").json == made


@pytest.mark.parametrize(("kind", "body"), KINDS)
def test_same_content_again_returns_it_and_other_content_conflicts(
    world: World, kind: str, body: dict[str, Any]
) -> None:
    made = make(world, kind, body)
    again = world.send("POST", f"/v1/{kind}", body)
    assert (again.status, again.json) == (200, made)
    other = world.send("POST", f"/v1/{kind}", {**body, "name": "Other"})
    assert (other.status, other.json["code"]) == (409, "already_exists")
    assert len(world.store.list_within(AuditEntry, f"{kind[:-1]}:{body['id']}").items) == 1


@pytest.mark.parametrize(("kind", "body"), KINDS)
def test_list_pages_by_id(world: World, kind: str, body: dict[str, Any]) -> None:
    for number in (3, 1, 2):
        make(world, kind, {**body, "id": f"x{number}"})
    first = world.send("GET", f"/v1/{kind}?limit=2").json
    assert [one["id"] for one in first["data"]] == ["x1", "x2"]
    assert (first["object"], first["has_more"]) == ("list", True)
    second = world.send("GET", f"/v1/{kind}?limit=2&cursor={first['next_cursor']}").json
    assert [one["id"] for one in second["data"]] == ["x3"]
    assert (second["has_more"], second["next_cursor"]) == (False, None)


@pytest.mark.parametrize(("kind", "body"), KINDS)
def test_edit_keeps_what_is_absent_and_merges_metadata(
    world: World, kind: str, body: dict[str, Any]
) -> None:
    made = make(world, kind, {**body, "metadata": {"a": "1", "b": "2"}})
    path = f"/v1/{kind}/{body['id']}"
    edited = world.send("PATCH", path, {"name": "New", "metadata": {"a": None, "c": "3"}}).json
    assert edited == {**made, "name": "New", "metadata": {"b": "2", "c": "3"}, "version": 2}
    assert world.send("PATCH", path, {"metadata": None}).json["metadata"] == {}
    entry = world.store.list_within(AuditEntry, f"{kind[:-1]}:{body['id']}").items[1]
    assert entry.action == f"{kind[:-1]}.updated"
    assert entry.actor.startswith("api_key:key_")
    assert entry.before == {"name": body["name"], "metadata": {"a": "1", "b": "2"}}
    assert entry.after == {"name": "New", "metadata": {"b": "2", "c": "3"}}


@pytest.mark.parametrize(("kind", "body"), KINDS)
def test_edit_at_another_version_conflicts_unless_it_changes_nothing(
    world: World, kind: str, body: dict[str, Any]
) -> None:
    make(world, kind, body)
    path = f"/v1/{kind}/{body['id']}"
    assert world.send("PATCH", path, {"name": "New", "version": 1}).json["version"] == 2
    stale = world.send("PATCH", path, {"name": "Newer", "version": 1})
    assert (stale.status, stale.json["code"]) == (409, "version_conflict")
    same = world.send("PATCH", path, {"name": "New", "version": 1})
    assert (same.status, same.json["version"]) == (200, 2)


@pytest.mark.parametrize(("kind", "body"), KINDS)
def test_name_can_not_be_null_and_id_can_not_be_edited(
    world: World, kind: str, body: dict[str, Any]
) -> None:
    make(world, kind, body)
    for change in ({"name": None}, {"id": "x"}, {"status": "archived"}, {"name": ""}):
        assert world.send("PATCH", f"/v1/{kind}/{body['id']}", change).status == 422


@pytest.mark.parametrize(("kind", "body"), KINDS)
def test_archived_object_takes_no_edit_until_it_is_back(
    world: World, kind: str, body: dict[str, Any]
) -> None:
    make(world, kind, body)
    path = f"/v1/{kind}/{body['id']}"
    archived = world.send("POST", f"{path}/archive")
    assert (archived.status, archived.json["status"]) == (200, "archived")
    assert world.send("POST", f"{path}/archive").json == archived.json
    refused = world.send("PATCH", path, {"name": "New"})
    assert (refused.status, refused.json["code"]) == (409, "archived")
    assert world.send("POST", f"{path}/unarchive").json["status"] == "active"
    assert world.send("PATCH", path, {"name": "New"}).status == 200


@pytest.mark.parametrize(("kind", "body"), KINDS)
@pytest.mark.parametrize(
    ("method", "suffix"), [("GET", ""), ("PATCH", ""), ("POST", "/archive"), ("POST", "/unarchive")]
)
def test_unknown_object_is_not_found(
    world: World, kind: str, body: dict[str, Any], method: str, suffix: str
) -> None:
    answer = world.send(method, f"/v1/{kind}/nobody{suffix}")
    assert (answer.status, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"id": "a b"}, "id"),
        ({"id": ""}, "id"),
        ({"id": "x" * 129}, "id"),
        ({"id": "a\n"}, "id"),
        ({"type": "magic"}, "type"),
        ({"values": ["a"]}, "values"),
        ({"type": "enum", "unit": None}, "values"),
        ({"type": "enum", "values": ["a", "a"]}, "values"),
        ({"type": "boolean", "usage_kind": "incremental"}, "usage_kind"),
        ({"meter": {"aggregation": "sum"}}, "meter.property"),
        ({"metadata": {"paygrade_x": "1"}}, "metadata"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {str(number): "" for number in range(41)}}, "metadata"),
        ({"metadata": {"a[b]": "1"}}, "metadata.a[b]"),
    ],
)
def test_invalid_feature_names_the_field(world: World, change: dict[str, Any], param: str) -> None:
    answer = world.send("POST", "/v1/features", {**FEATURE, **change})
    assert (answer.status, answer.json["errors"][0]["param"]) == (422, param)


def test_merged_metadata_stays_bounded(world: World) -> None:
    make(world, "features", {**FEATURE, "metadata": {f"a{one}": "" for one in range(40)}})
    answer = world.send("PATCH", "/v1/features/seats", {"metadata": {"b": ""}})
    assert (answer.status, answer.json["param"]) == (422, "metadata")


def test_meter_comes_back_as_it_was_given(world: World) -> None:
    meter = {
        "aggregation": "sum",
        "property": "tokens",
        "filters": [
            [
                {"property": "model", "op": "equals", "value": "x"},
                {"property": "n", "op": "greater_than", "value": 1},
            ]
        ],
    }
    assert make(world, "features", {**FEATURE, "meter": meter})["meter"] == meter


def test_enum_values_are_only_added(world: World) -> None:
    make(world, "features", {"id": "sso", "name": "SSO", "type": "enum", "values": ["saml"]})
    path = "/v1/features/sso"
    assert world.send("PATCH", path, {"values": ["oidc", "saml"]}).json["values"] == [
        "oidc",
        "saml",
    ]
    gone = world.send("PATCH", path, {"values": ["oidc"]})
    assert (gone.status, gone.json["errors"][0]["code"]) == (422, "in_use")


def test_two_editors_at_once_both_count(world: World) -> None:
    make(world, "features", FEATURE)
    other_came = False

    def other_first(writes: tuple[Write, ...]) -> None:
        nonlocal other_came
        if not other_came and any(isinstance(write.record, Feature) for write in writes):
            other_came = True
            assert world.send("PATCH", "/v1/features/seats", {"unit": "chair"}).status == 200

    world.store.before_commit = other_first
    edited = world.send("PATCH", "/v1/features/seats", {"name": "New"}).json
    assert (edited["name"], edited["unit"], edited["version"]) == ("New", "chair", 3)


def test_editor_who_always_loses_hears_of_a_conflict(world: World) -> None:
    make(world, "features", FEATURE)

    def lose(writes: tuple[Write, ...]) -> None:
        raise StoreConflictError("busy")

    world.store.before_commit = lose
    answer = world.send("PATCH", "/v1/features/seats", {"name": "New"})
    assert (answer.status, answer.json["code"]) == (409, "version_conflict")


def test_two_creators_at_once_make_one(world: World) -> None:
    other_came = False

    def other_first(writes: tuple[Write, ...]) -> None:
        nonlocal other_came
        if not other_came and any(isinstance(write.record, Feature) for write in writes):
            other_came = True
            assert world.send("POST", "/v1/features", FEATURE).status == 201

    world.store.before_commit = other_first
    assert world.send("POST", "/v1/features", FEATURE).status == 200
    assert len(world.store.all(Feature)) == 1
