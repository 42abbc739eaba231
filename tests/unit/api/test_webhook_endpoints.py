"""Webhook endpoints over HTTP: registered with a secret that is shown once, and read back without it."""

import pytest

from chalicelib.domain.audit_log import AuditEntry
from tests.unit.api.world import World

URL = "https://hooks.example.com/paygrade"


def registered(world: World, **fields: object) -> dict[str, object]:
    answer = world.send("POST", "/v1/webhook_endpoints", {"url": URL, **fields})
    assert answer.status == 201, answer.body
    made: dict[str, object] = answer.json
    return made


def test_endpoint_is_registered_with_a_secret_shown_once(world: World) -> None:
    made = registered(world, event_types=["subscription.*"], description="Ours")
    secret = str(made.pop("secret"))
    assert secret.startswith("whsec_")
    assert made["status"] == "enabled"
    assert made["event_types"] == ["subscription.*"]
    shown = world.send("GET", f"/v1/webhook_endpoints/{made['id']}")
    assert shown.json == made
    listed = world.send("GET", "/v1/webhook_endpoints")
    assert listed.json["data"] == [made]
    for answer in (shown, listed):
        assert secret not in answer.body.decode()
    assert made["secrets"][0]["hint"] == secret[-4:]  # type: ignore[index]


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "url", "required"),
        ({"url": "http://hooks.example.com/"}, "url", "not_allowed"),
        ({"url": "https://169.254.169.254/"}, "url", "not_allowed"),
        ({"url": "https://localhost/"}, "url", "not_allowed"),
        ({"url": URL, "event_types": []}, "event_types", "bad_length"),
        ({"url": URL, "event_types": ["sub.*"]}, "event_types[0]", "unknown_value"),
        ({"url": URL, "event_types": ["*", "x"]}, "event_types[1]", "unknown_value"),
        ({"url": URL, "secret": "whsec_"}, "secret", "unknown_field"),
        ({"url": URL, "status": "gone"}, "status", "unknown_value"),
    ],
)
def test_bad_endpoint_is_refused_and_nothing_written(
    world: World, body: dict[str, object], param: str, code: str
) -> None:
    commits = len(world.store.commits)
    answer = world.send("POST", "/v1/webhook_endpoints", body)
    assert answer.status == 422
    assert [(one["param"], one["code"]) for one in answer.json["errors"]] == [(param, code)]
    assert len(world.store.commits) == commits


def test_endpoint_is_changed(world: World) -> None:
    made = registered(world)
    path = f"/v1/webhook_endpoints/{made['id']}"
    changed = world.send("PATCH", path, {"status": "disabled", "event_types": ["trial.ended"]})
    assert (changed.json["status"], changed.json["event_types"]) == ("disabled", ["trial.ended"])
    assert changed.json["url"] == URL
    refused = world.send("PATCH", path, {"url": "https://10.0.0.1/"})
    assert refused.json["errors"][0]["param"] == "url"
    assert world.send("GET", path).json == changed.json


def test_repeated_registration_makes_no_second_endpoint_and_tells_no_secret(world: World) -> None:
    body = {"url": URL}
    first = world.send("POST", "/v1/webhook_endpoints", body, Idempotency_Key="k")
    again = world.send("POST", "/v1/webhook_endpoints", body, Idempotency_Key="k")
    assert (first.status, again.status, again.json["code"]) == (201, 409, "already_exists")
    assert first.json["id"] in again.json["detail"]
    assert len(world.send("GET", "/v1/webhook_endpoints").json["data"]) == 1


def test_rotation_shows_the_new_secret_and_ends_the_old_in_a_day(world: World) -> None:
    made = registered(world)
    path = f"/v1/webhook_endpoints/{made['id']}/rotate_secret"
    rotated = world.send("POST", path, Idempotency_Key="r")
    assert rotated.status == 200
    assert rotated.json["secret"] != made["secret"]
    assert [one["expires_at"] for one in rotated.json["secrets"]] == [None, "2026-01-16T12:00:00Z"]
    again = world.send("POST", path, Idempotency_Key="r")
    assert (again.status, again.json["code"]) == (409, "already_exists")


def test_sixteen_endpoints_are_as_many_as_there_may_be(world: World) -> None:
    for number in range(16):
        registered(world, description=str(number))
    answer = world.send("POST", "/v1/webhook_endpoints", {"url": URL})
    assert (answer.status, answer.json["code"]) == (409, "in_use")


def test_test_event_is_sent_and_logged(world: World) -> None:
    made = registered(world)
    tried = world.send("POST", f"/v1/webhook_endpoints/{made['id']}/test")
    assert (tried.status, tried.json["status"], tried.json["attempts"]) == (200, "succeeded", 1)
    assert [one.url for one in world.webhooks.received] == [URL]
    logged = world.send("GET", f"/v1/webhook_endpoints/{made['id']}/deliveries").json["data"]
    assert logged == [tried.json]
    events = world.send("GET", "/v1/outbound_events").json["data"]
    assert [one["type"] for one in events] == ["webhook.test"]
    event_id = events[0]["id"]
    assert world.send("GET", f"/v1/outbound_events/{event_id}").json == events[0]
    replayed = world.send("POST", f"/v1/outbound_events/{event_id}/replay")
    assert replayed.json["id"] == event_id


def test_deleted_endpoint_is_gone(world: World) -> None:
    made = registered(world)
    path = f"/v1/webhook_endpoints/{made['id']}"
    deleted = world.send("DELETE", path).json
    assert deleted == {"object": "webhook_endpoint", "id": made["id"], "deleted": True}
    for method, of in (("GET", path), ("DELETE", path), ("POST", f"{path}/test")):
        assert world.send(method, of).status == 404
    assert world.send("GET", f"{path}/deliveries").status == 404


def test_audit_log_tells_every_change_and_no_secret(world: World) -> None:
    made = registered(world, url=f"{URL}?token=hunter2")
    path = f"/v1/webhook_endpoints/{made['id']}"
    rotated = world.send("POST", f"{path}/rotate_secret").json
    world.send("POST", f"{path}/test")
    world.send("PATCH", path, {"description": "x"})
    world.send("DELETE", path)
    entries = world.store.list_within(AuditEntry, f"webhook_endpoint:{made['id']}").items
    assert [entry.action.partition(".")[2] for entry in entries] == [
        "created",
        "secret_rotated",
        "tested",
        "updated",
        "deleted",
    ]
    for secret in (made["secret"], rotated["secret"], "hunter2"):
        assert str(secret) not in repr(entries)
        assert str(secret) not in repr(world.monitor.events)
