from typing import Any

import pytest

from tests.unit.api.world import Answer, World


@pytest.fixture
def shop(world: World) -> World:
    for path, body in (
        ("features", {"id": "sso", "name": "SSO", "type": "boolean"}),
        ("features", {"id": "calls", "name": "Calls", "type": "metered"}),
        ("customers", {"id": "acme"}),
    ):
        assert world.send("POST", f"/v1/{path}", body).status == 201
    return world


def granted(world: World, **fields: Any) -> Answer:
    body = {"feature_id": "sso", "value": True, **fields}
    return world.send("POST", "/v1/customers/acme/grants", body)


def test_grant_is_made_read_listed_extended_and_revoked(shop: World) -> None:
    made = granted(shop, reason="goodwill", expires_at="2030-01-01T00:00:00Z")
    assert made.status == 201
    grant = made.json
    assert grant | {"created_at": "", "id": ""} == {
        "object": "grant",
        "id": "",
        "customer_id": "acme",
        "resource_id": None,
        "feature_id": "sso",
        "value": True,
        "values": [],
        "usage_limit": None,
        "is_unlimited": False,
        "has_soft_limit": False,
        "reset_period": None,
        "reset_anchor": "subscription_start",
        "behavior": "override",
        "depends_on_feature_id": None,
        "expires_at": "2030-01-01T00:00:00Z",
        "reason": "goodwill",
        "status": "active",
        "revoked_at": None,
        "version": 1,
        "created_at": "",
    }
    path = f"/v1/customers/acme/grants/{grant['id']}"
    assert shop.send("GET", path).json == grant
    assert shop.send("GET", "/v1/customers/acme/grants").json["data"] == [grant]
    check = shop.send("GET", "/v1/customers/acme/entitlements/sso").json
    assert check["has_access"] is True
    assert check["valid_until"] == "2030-01-01T00:00:00Z"
    assert check["sources"][0]["type"] == "grant"
    extended = shop.send("PATCH", path, {"expires_at": None, "reason": "for good"}).json
    assert (extended["expires_at"], extended["version"]) == (None, 2)
    revoked = shop.send("DELETE", f"{path}?reason=abuse").json
    assert revoked["status"] == "revoked"
    assert shop.send("DELETE", path).json == revoked
    check = shop.send("GET", "/v1/customers/acme/entitlements/sso").json
    assert (check["has_access"], check["denied_reason"]) == (False, "revoked")
    told = shop.send("GET", f"/v1/audit_log?entity=grant:{grant['id']}").json["data"]
    assert {one["after"]["reason"] for one in told} == {"goodwill", "for good", "abuse"}
    answer = shop.send("PATCH", path, {"expires_at": "2031-01-01T00:00:00Z"})
    assert (answer.status, answer.json["code"]) == (409, "revoked")


def test_grants_are_listed_in_pages(shop: World) -> None:
    for number in range(3):
        assert granted(shop, feature_id="calls", value=None, usage_limit=number).status == 201
    first = shop.send("GET", "/v1/customers/acme/grants?limit=2").json
    assert (len(first["data"]), first["has_more"]) == (2, True)
    rest = shop.send("GET", f"/v1/customers/acme/grants?cursor={first['next_cursor']}").json
    assert len(rest["data"]) == 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"feature_id": "ghost"}, "feature_id"),
        ({"value": 3}, "value"),
        ({"usage_limit": 3}, "usage_limit"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"reason": ""}, "reason"),
        ({"depends_on_feature_id": "calls"}, "depends_on_feature_id"),
        ({"granted_by": "me"}, "granted_by"),
    ],
)
def test_grant_that_is_wrong_is_refused_by_its_field(
    shop: World, fields: dict[str, Any], param: str
) -> None:
    answer = granted(shop, **fields)
    assert (answer.status, answer.json["param"]) == (422, param)
    assert shop.send("GET", "/v1/customers/acme/grants").json["data"] == []


def test_grants_of_nobody_are_not_found(shop: World) -> None:
    body = {"feature_id": "sso", "value": True}
    for method, path, sent in (
        ("POST", "/v1/customers/ghost/grants", body),
        ("GET", "/v1/customers/ghost/grants", None),
        ("GET", "/v1/customers/acme/grants/grant_x", None),
        ("PATCH", "/v1/customers/acme/grants/grant_x", {"reason": "r"}),
        ("DELETE", "/v1/customers/acme/grants/grant_x", None),
    ):
        assert shop.send(method, path, sent).status == 404, path
