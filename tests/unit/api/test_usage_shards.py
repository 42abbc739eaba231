from typing import Any

import pytest

from tests.unit.api.world import Answer, World

METER = {"aggregation": "count"}


@pytest.fixture
def shop(world: World) -> World:
    for path, body in (
        ("features", {"id": "calls", "name": "Calls", "type": "metered"}),
        ("features", {"id": "tokens", "name": "Tokens", "type": "metered", "meter": METER}),
        ("customers", {"id": "acme"}),
        ("customers/acme/grants", {"feature_id": "calls", "usage_limit": 10}),
    ):
        assert world.send("POST", f"/v1/{path}", body).status == 201
    return world


def spread(shop: World, body: Any, feature_id: str = "calls") -> Answer:
    return shop.send("POST", f"/v1/customers/acme/usage/{feature_id}/shards", body)


def test_counter_is_spread_and_its_limit_stands(shop: World) -> None:
    answer = spread(shop, {"count": 4})
    assert (answer.status, answer.json) == (
        200,
        {
            "object": "usage_shards",
            "customer_id": "acme",
            "feature_id": "calls",
            "count": 4,
            "total": 4,
        },
    )
    path = "/v1/customers/acme/entitlements/calls"
    for number, amount, has_access in ((1, 9, True), (2, 2, False), (3, 1, True), (4, 1, False)):
        wanted = {"amount": amount, "idempotency_key": f"k{number}"}
        told = shop.send("POST", f"{path}/consume", wanted)
        assert (told.status, told.json["has_access"]) == (200, has_access)
    assert shop.send("GET", path).json["current_usage"] == 10
    assert spread(shop, {"count": 1}).json["total"] == 4


@pytest.mark.parametrize("count", [0, 33, "4", None])
def test_number_of_shards_is_bounded(shop: World, count: Any) -> None:
    assert spread(shop, {"count": count}).status == 422


def test_refusals_tell_why(shop: World) -> None:
    assert spread(shop, {"count": 2}, "nothing").status == 404
    metered = spread(shop, {"count": 2}, "tokens")
    assert (metered.status, metered.json["code"]) == (422, "usage_reported_by_events")
    spread(shop, {"count": 2})
    body = {"amount": 1, "idempotency_key": "k"}
    refused = shop.send("POST", "/v1/customers/acme/entitlements/calls/reserve", body)
    assert (refused.status, refused.json["code"]) == (409, "wrong_state")
