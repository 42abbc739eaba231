"""Coupons over HTTP."""

from typing import Any

import pytest

from chalicelib.domain.coupons import Coupon
from chalicelib.ports import QueueName
from tests.unit.api.world import World

LAUNCH = {"id": "launch", "name": "Launch", "percent_off": 12.5, "promotion_code": "LAUNCH"}


def ok(world: World, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = world.send(method, f"/v1/{path}", body)
    assert answer.status == status, answer.body
    return answer.json


def test_coupon_created_is_shown_and_on_its_way_to_providers(world: World) -> None:
    made = ok(world, "POST", "coupons", LAUNCH, 201)
    assert made["percent_off"] == 12.5
    assert (made["object"], made["status"], made["sync_status"]) == ("coupon", "active", "pending")
    assert ok(world, "GET", "coupons/launch") == made
    assert ok(world, "GET", "coupons")["data"] == [made]
    assert ok(world, "POST", "coupons", LAUNCH) == made
    (message,) = [one for one in world.queue.messages if one.queue is QueueName.SYNC]
    task = ok(world, "GET", f"sync_tasks/{message.body['task_id']}")
    assert (task["entity_type"], task["entity_id"]) == ("coupon", "launch")


def test_coupon_is_renamed_archived_and_brought_back(world: World) -> None:
    ok(world, "POST", "coupons", LAUNCH, 201)
    assert ok(world, "PATCH", "coupons/launch", {"name": "Start"})["name"] == "Start"
    assert ok(world, "POST", "coupons/launch/archive")["status"] == "archived"
    refused = world.send("PATCH", "/v1/coupons/launch", {"name": "Again"})
    assert (refused.status, refused.json["code"]) == (409, "archived")
    assert ok(world, "POST", "coupons/launch/unarchive")["status"] == "active"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({**LAUNCH, "percent_off": 0}, "percent_off"),
        ({**LAUNCH, "percent_off": 100.5}, "percent_off"),
        ({**LAUNCH, "percent_off": "20"}, "percent_off"),
        ({**LAUNCH, "percent_off": 12.345}, "percent_off"),
        ({**LAUNCH, "promotion_code": "A B"}, "promotion_code"),
        ({**LAUNCH, "id": "x" * 129}, "id"),
        ({**LAUNCH, "duration": "repeating"}, "duration_months"),
        ({**LAUNCH, "amounts_off": [{"amount": 1, "currency": "usd"}]}, "percent_off"),
        ({"id": "launch", "name": "Launch"}, "percent_off"),
        ({**LAUNCH, "max_redemptions": 5}, "max_redemptions"),
    ],
)
def test_coupon_that_is_no_coupon_is_refused_by_field(
    world: World, body: dict[str, Any], param: str
) -> None:
    answer = world.send("POST", "/v1/coupons", body)
    assert answer.status == 422, answer.body
    assert param in {one["param"] for one in answer.json["errors"]}
    assert world.store.all(Coupon) == []


@pytest.mark.parametrize("field", ["percent_off", "amounts_off", "duration", "promotion_code"])
def test_money_of_a_coupon_never_changes(world: World, field: str) -> None:
    ok(world, "POST", "coupons", LAUNCH, 201)
    answer = world.send("PATCH", "/v1/coupons/launch", {field: 10})
    assert (answer.status, answer.json["param"]) == (422, field)
    assert ok(world, "GET", "coupons/launch")["percent_off"] == 12.5
