from typing import Any

import pytest

from tests.unit.api.world import Answer, World

METER = {"aggregation": "count"}


@pytest.fixture
def shop(world: World) -> World:
    for path, body in (
        ("features", {"id": "sso", "name": "SSO", "type": "boolean"}),
        ("features", {"id": "calls", "name": "Calls", "type": "metered"}),
        ("features", {"id": "tokens", "name": "Tokens", "type": "metered", "meter": METER}),
        ("customers", {"id": "acme"}),
        ("customers/acme/grants", {"feature_id": "calls", "usage_limit": 10}),
    ):
        assert world.send("POST", f"/v1/{path}", body).status == 201
    return world


def a_report(**fields: Any) -> dict[str, Any]:
    return {
        "customer_id": "acme",
        "feature_id": "calls",
        "value": 3,
        "idempotency_key": "k1",
        **fields,
    }


def post(shop: World, body: Any) -> Answer:
    return shop.send("POST", "/v1/usage", body)


def current(shop: World) -> int:
    path = "/v1/customers/acme/entitlements/calls"
    return int(shop.send("GET", path).json["current_usage"])


def test_report_is_answered_with_its_record(shop: World) -> None:
    answer = post(shop, a_report(timestamp="2026-01-15T11:00:00Z"))
    assert answer.status == 200
    assert answer.json | {"id": ""} == {
        "object": "usage_record",
        "id": "",
        "customer_id": "acme",
        "feature_id": "calls",
        "resource_id": None,
        "value": 3,
        "update_behavior": "delta",
        "idempotency_key": "k1",
        "timestamp": "2026-01-15T11:00:00Z",
        "recorded_at": "2026-01-15T12:00:00Z",
        "current_usage": 3,
        "usage_limit": 10,
        "usage_period_start": None,
        "usage_period_end": None,
    }
    assert answer.json["id"].startswith("rec_")
    assert current(shop) == 3


def test_report_repeated_gets_the_first_answer_and_counts_once(shop: World) -> None:
    first = post(shop, a_report())
    post(shop, a_report(idempotency_key="k2"))
    assert post(shop, a_report()).json == first.json
    assert current(shop) == 6
    refused = post(shop, a_report(value=4))
    assert (refused.status, refused.json["code"]) == (422, "idempotency_key_reused")


def test_several_reports_are_each_counted_or_have_their_own_error(shop: World) -> None:
    reports = [
        a_report(idempotency_key="a"),
        a_report(idempotency_key="b", feature_id="nothing"),
        a_report(idempotency_key="c", feature_id="tokens"),
        a_report(idempotency_key="d", feature_id="sso"),
        a_report(idempotency_key="e", customer_id="nobody"),
        a_report(idempotency_key="f", value=-1),
        a_report(idempotency_key="a", value=9),
        a_report(idempotency_key="g", value=4),
    ]
    answer = post(shop, {"usages": reports})
    assert answer.status == 200
    found = [
        (one["status"], one["error"] and one["error"]["code"], one["result"] is not None)
        for one in answer.json["data"]
    ]
    assert found == [
        (200, None, True),
        (404, "not_found", False),
        (422, "usage_reported_by_events", False),
        (422, "feature_not_metered", False),
        (404, "not_found", False),
        (422, "invalid", False),
        (422, "idempotency_key_reused", False),
        (200, None, True),
    ]
    assert current(shop) == 7


@pytest.mark.parametrize(
    ("body", "params"),
    [
        ({}, {"customer_id", "feature_id", "value", "idempotency_key"}),
        ({"usages": []}, {"usages"}),
        ({"usages": [a_report()] * 101}, {"usages"}),
        ({"usages": [a_report(value="3")]}, {"usages[0].value"}),
        ({"usages": [a_report()], "value": 3}, {"value"}),
        (a_report(value=1.5), {"value"}),
        (a_report(update_behavior="add"), {"update_behavior"}),
        (a_report(timestamp="yesterday"), {"timestamp"}),
        (a_report(timestamp="2025-01-01T00:00:00Z"), {"timestamp"}),
    ],
)
def test_malformed_report_is_invalid_where_it_is_wrong(
    shop: World, body: dict[str, Any], params: set[str]
) -> None:
    answer = post(shop, body)
    assert (answer.status, answer.json["code"]) == (422, "invalid")
    assert {error["param"] for error in answer.json["errors"]} >= params
    assert current(shop) == 0


def consume(shop: World, amount: int, key: str, feature_id: str = "calls") -> Answer:
    path = f"/v1/customers/acme/entitlements/{feature_id}/consume"
    return shop.send("POST", path, {"amount": amount, "idempotency_key": key})


def test_consume_answers_as_the_check_does(shop: World) -> None:
    granted = consume(shop, 7, "a").json
    assert granted["object"] == "entitlement_check"
    assert (granted["has_access"], granted["requested_usage"]) == (True, 7)
    assert (granted["current_usage"], granted["remaining"]) == (7, 3)
    denied = consume(shop, 4, "b")
    assert denied.status == 200
    assert (denied.json["has_access"], denied.json["current_usage"]) == (False, 7)
    assert denied.json["denied_reason"] == "requested_usage_exceeding_limit"
    assert consume(shop, 7, "a").json == granted
    assert current(shop) == 7


def test_consume_of_another_type_is_a_mismatch(shop: World) -> None:
    shop.send("POST", "/v1/customers/acme/grants", {"feature_id": "sso", "value": True})
    answer = consume(shop, 1, "a", "sso").json
    assert (answer["has_access"], answer["denied_reason"]) == (False, "feature_type_mismatch")
    refused = consume(shop, 1, "a", "tokens")
    assert (refused.status, refused.json["code"]) == (422, "usage_reported_by_events")


def reserve(shop: World, amount: int, key: str, **fields: Any) -> Answer:
    path = "/v1/customers/acme/entitlements/calls/reserve"
    return shop.send("POST", path, {"amount": amount, "idempotency_key": key, **fields})


def test_reservation_is_made_committed_and_told(shop: World) -> None:
    made = reserve(shop, 6, "a", ttl_seconds=60).json
    assert (made["object"], made["has_access"], made["remaining"]) == ("entitlement_check", True, 4)
    held = made["reservation"]
    assert held == {
        "object": "reservation",
        "id": held["id"],
        "customer_id": "acme",
        "feature_id": "calls",
        "amount": 6,
        "committed_amount": None,
        "status": "open",
        "created_at": "2026-01-15T12:00:00Z",
        "expires_at": "2026-01-15T12:01:00Z",
    }
    path = f"/v1/reservations/{held['id']}"
    assert shop.send("GET", path).json == held
    done = shop.send("POST", f"{path}/commit", {"amount": 5})
    assert done.status == 200
    assert done.json == held | {"status": "committed", "committed_amount": 5}
    assert current(shop) == 5
    refused = shop.send("POST", f"{path}/release")
    assert (refused.status, refused.json["code"]) == (409, "reservation_settled")


def test_reservation_denied_has_no_reservation(shop: World) -> None:
    denied = reserve(shop, 11, "a")
    assert denied.status == 200
    assert (denied.json["has_access"], denied.json["reservation"]) == (False, None)


def test_reservation_expired_is_a_conflict_to_commit_and_can_be_released(shop: World) -> None:
    held = reserve(shop, 6, "a", ttl_seconds=60).json["reservation"]
    shop.clock.advance(seconds=60)
    assert current(shop) == 0
    refused = shop.send("POST", f"/v1/reservations/{held['id']}/commit")
    assert (refused.status, refused.json["code"]) == (409, "reservation_expired")
    released = shop.send("POST", f"/v1/reservations/{held['id']}/release")
    assert (released.status, released.json["status"]) == (200, "released")


@pytest.mark.parametrize("fields", [{"ttl_seconds": 0}, {"ttl_seconds": 86_401}])
def test_reservation_of_an_impossible_length_is_invalid(
    shop: World, fields: dict[str, Any]
) -> None:
    assert reserve(shop, 1, "a", **fields).status == 422


def test_usage_of_one_resource_is_counted_apart(shop: World) -> None:
    grant = {"feature_id": "calls", "usage_limit": 5, "resource_id": "ws1"}
    shop.send("POST", "/v1/customers/acme/grants", grant)
    assert post(shop, a_report(resource_id="ws1")).json["resource_id"] == "ws1"
    assert current(shop) == 0
    path = "/v1/customers/acme/entitlements/calls/consume"
    body = {"amount": 2, "idempotency_key": "c", "resource_id": "ws1"}
    assert shop.send("POST", path, body).json["current_usage"] == 5


def an_event(key: str, **fields: Any) -> dict[str, Any]:
    return {"customer_id": "acme", "event_name": "job", "idempotency_key": key, **fields}


def test_events_are_each_counted_or_have_their_own_error(shop: World) -> None:
    events = [
        an_event("a", properties={"n": 1, "x": "y", "z": None, "f": 1.5, "b": True}),
        an_event("b", timestamp="2025-01-01T00:00:00Z"),
        an_event("c", customer_id="nobody"),
        an_event("a", event_name="other"),
    ]
    answer = shop.send("POST", "/v1/events", {"events": events})
    assert answer.status == 200
    done, *failed = answer.json["data"]
    assert done["result"] == {
        "object": "usage_event",
        "id": done["result"]["id"],
        "customer_id": "acme",
        "event_name": "job",
        "idempotency_key": "a",
        "timestamp": "2026-01-15T12:00:00Z",
        "recorded_at": "2026-01-15T12:00:00Z",
        "counted": [{"feature_id": "tokens", "counted": 1}],
    }
    assert [(one["status"], one["error"]["code"]) for one in failed] == [
        (422, "invalid"),
        (404, "not_found"),
        (422, "idempotency_key_reused"),
    ]


@pytest.mark.parametrize(
    "events",
    [
        [],
        [an_event(str(number)) for number in range(101)],
        [an_event("a", properties={"deep": {"er": 1}})],
        [an_event("a", properties={"": 1})],
        [an_event("")],
        [an_event("a", event_name="")],
    ],
)
def test_malformed_events_are_refused_together(shop: World, events: list[Any]) -> None:
    assert shop.send("POST", "/v1/events", {"events": events}).status == 422


def test_history_is_by_day_for_thirty_days_unless_said(shop: World) -> None:
    post(shop, a_report())
    path = "/v1/customers/acme/usage/calls"
    days = shop.send("GET", path).json["data"]
    assert len(days) == 31
    assert days[-1] == {
        "object": "usage_interval",
        "start": "2026-01-15T00:00:00Z",
        "end": "2026-01-16T00:00:00Z",
        "usage": 3,
    }
    asked = "?interval=hour&from=2026-01-15T11:00:00Z&to=2026-01-15T13:00:00Z"
    assert [one["usage"] for one in shop.send("GET", path + asked).json["data"]] == [0, 3]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("interval=year", "interval"),
        ("from=yesterday", "from"),
        ("from=2026-01-15T11:00:00", "from"),
        ("from=2026-01-16T11:00:00Z", "to"),
        ("interval=hour&from=2025-01-16T11:00:00Z", "interval"),
        ("since=1", "since"),
    ],
)
def test_history_of_an_odd_range_is_invalid(shop: World, query: str, param: str) -> None:
    answer = shop.send("GET", f"/v1/customers/acme/usage/calls?{query}")
    assert answer.status == 422
    assert [error["param"] for error in answer.json["errors"]] == [param]
