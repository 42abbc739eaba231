"""Polling what a customer is entitled to: 304 for as long as nothing that the answer tells has changed."""

from typing import Any

import pytest

from tests.unit.api.world import Answer, World

PATH = "/v1/customers/acme/entitlements"


@pytest.fixture
def shop(world: World) -> World:
    post(world, "products", {"id": "app", "name": "App"})
    post(world, "features", {"id": "sso", "name": "SSO", "type": "boolean"})
    post(world, "features", {"id": "calls", "name": "Calls", "type": "metered"})
    entitlements = [
        {"feature_id": "sso", "value": True},
        {"feature_id": "calls", "usage_limit": 10, "reset_period": "month"},
    ]
    plan = {"id": "free", "product_id": "app", "name": "Free", "pricing_type": "free"}
    post(world, "plans", {**plan, "entitlements": entitlements})
    post(world, "plans/free/publish", {})
    post(world, "customers", {"id": "acme"})
    post(world, "subscriptions", {"customer_id": "acme", "plan_id": "free"})
    return world


def post(world: World, path: str, body: dict[str, Any]) -> Any:
    answer = world.send("POST", f"/v1/{path}", body)
    assert answer.status < 300, answer.body
    return answer.json


def poll(world: World, etag: str = "", path: str = PATH) -> Answer:
    headers = {"If-None-Match": etag} if etag else {}
    return world.send("GET", path, headers=headers)


def use(world: World, value: int, key: str) -> None:
    used = {"customer_id": "acme", "feature_id": "calls", "value": value}
    post(world, "usage", {**used, "update_behavior": "delta", "idempotency_key": key})


def test_answer_is_not_sent_again_while_nothing_changes(shop: World) -> None:
    first = poll(shop)
    etag = first.headers["ETag"]
    assert not etag.startswith("W/")
    shop.clock.advance(hours=6)
    again = poll(shop, etag)
    assert (again.status, again.body) == (304, b"")
    assert again.headers["ETag"] == etag
    assert again.headers["Cache-Control"] == "private, no-cache"
    assert poll(shop).headers["ETag"] == etag


@pytest.mark.parametrize("sent", ['"nothing", {}', "{} , W/{}", "*", "W/{}"])
def test_condition_may_be_any_that_names_the_answer(shop: World, sent: str) -> None:
    etag = poll(shop).headers["ETag"]
    assert poll(shop, sent.replace("{}", etag)).status == 304


@pytest.mark.parametrize("sent", ['"nothing"', "nothing", '""', "{}x"])
def test_condition_that_names_another_answer_gets_this_one(shop: World, sent: str) -> None:
    etag = poll(shop).headers["ETag"]
    assert poll(shop, sent.replace("{}", etag)).status == 200


def test_usage_changes_the_answer(shop: World) -> None:
    etag = poll(shop).headers["ETag"]
    use(shop, 1, "one")
    changed = poll(shop, etag)
    assert (changed.status, changed.json["data"][0]["current_usage"]) == (200, 1)
    assert poll(shop, changed.headers["ETag"]).status == 304


def test_snapshot_changes_the_answer_even_if_no_feature_does(shop: World) -> None:
    etag = poll(shop).headers["ETag"]
    post(shop, "customers/acme/archive", {})
    post(shop, "customers/acme/unarchive", {})
    changed = poll(shop, etag)
    assert changed.status == 200
    assert changed.json["data"][0]["snapshot_version"] > 2


def test_boundary_that_time_passes_changes_the_answer(shop: World) -> None:
    use(shop, 4, "one")
    first = poll(shop)
    assert first.json["data"][0]["valid_until"] == "2026-02-15T12:00:00Z"
    shop.clock.advance(days=30, hours=23)
    assert poll(shop, first.headers["ETag"]).status == 304
    shop.clock.advance(hours=1)
    changed = poll(shop, first.headers["ETag"])
    assert changed.status == 200
    assert changed.json["data"][0]["current_usage"] == 0
    assert changed.json["data"][0]["valid_until"] == "2026-03-15T12:00:00Z"


def test_answers_to_other_questions_have_other_names(shop: World) -> None:
    etag = poll(shop).headers["ETag"]
    assert poll(shop, etag, f"{PATH}?explain=true").status == 200
    assert poll(shop, etag, "/v1/customers/nobody/entitlements").status == 404


def test_page_of_a_customer_polls_alike(shop: World) -> None:
    token = shop.customer_token("acme")
    etag = poll(shop).headers["ETag"]
    answer = shop.send("GET", PATH, token=token, headers={"If-None-Match": etag})
    assert answer.status == 304
    assert "Authorization" in answer.headers["Vary"]
