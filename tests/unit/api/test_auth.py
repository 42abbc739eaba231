"""Who may call."""

import pytest

from chalicelib.api import runtime
from chalicelib.api.key_cache import MAX_KEYS, KeyCache
from chalicelib.domain.api_keys import ApiKey, KeyKind, Scope
from chalicelib.services.key_tokens import parse_token, spell_token
from tests.fakes.system import START
from tests.unit.api.world import World

PATH = "/v1/features"


def test_key_without_header_or_scheme_is_challenged(world: World) -> None:
    for headers in (
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {world.token}"},
    ):
        answer = world.send("GET", PATH, token=None, headers=headers)
        assert (answer.status, answer.json["code"]) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="paygrade"'


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "pg_sk_test_",
        "pg_sk_test_1_2",
        "é" * 60,
        "\ud83d",
        "pg_sk_test_" + "a" * 5000,
        "pg_sk_test_\x00",
    ],
)
def test_key_that_is_none_is_refused(world: World, token: str) -> None:
    world.gets.clear()
    assert world.send("GET", PATH, token=token).status == 401
    assert world.gets == []


def test_key_with_any_character_changed_is_refused(world: World) -> None:
    for index in range(len(world.token)):
        other = "A" if world.token[index] != "A" else "B"
        token = world.token[:index] + other + world.token[index + 1 :]
        assert world.send("GET", PATH, token=token).status == 401


def test_right_checksum_of_a_wrong_secret_is_refused(world: World) -> None:
    [key] = world.store.all(ApiKey)
    forged = spell_token(KeyKind.SECRET, "test", key.id, b"\1" * 32)
    assert world.send("GET", PATH, token=forged).status == 401


def test_key_of_another_environment_is_refused(world: World) -> None:
    other = World(world.app, environment="live")
    assert other.send("GET", PATH, token=other.token).status == 401


def test_publishable_spelling_of_a_secret_key_is_refused(world: World) -> None:
    parsed = parse_token(world.token, "test")
    assert parsed is not None
    forged = spell_token(KeyKind.PUBLISHABLE, "test", parsed.key_id, b"op_000001".ljust(32, b"\0"))
    assert world.send("GET", PATH, token=forged).status == 401


def test_missing_scope_is_forbidden(world: World) -> None:
    token = world.new_token(Scope.CHECK)
    answer = world.send("GET", PATH, token=token)
    assert (answer.status, answer.json["code"]) == (403, "forbidden")
    assert "catalog:read" in answer.json["detail"]


def test_revoked_key_stops_working_at_once_here_and_within_thirty_seconds_elsewhere(
    world: World,
) -> None:
    token = world.new_token(Scope.CATALOG_READ)
    key_id = parse_token(token, "test").key_id  # type: ignore[union-attr]
    assert world.send("GET", PATH, token=token).status == 200
    elsewhere = runtime.keys()
    answer = world.send("DELETE", f"/v1/api_keys/{key_id}")
    assert answer.json["revoked_at"] is not None
    assert world.send("GET", PATH, token=token).status == 401
    key = world.store.get(ApiKey, key_id)
    assert key is not None
    elsewhere.put("d", key, world.clock.now())
    world.clock.advance(seconds=30)
    assert elsewhere.get("d", world.clock.now()) is None


def test_verified_key_costs_no_read_for_thirty_seconds(world: World) -> None:
    world.gets.clear()
    world.send("GET", PATH)
    world.clock.advance(seconds=29)
    world.send("GET", PATH)
    assert world.gets == ["ApiKey"]
    world.clock.advance(seconds=1)
    world.send("GET", PATH)
    assert world.gets == ["ApiKey", "ApiKey"]


def test_remembered_keys_are_bounded() -> None:
    cache = KeyCache()
    key = ApiKey(
        id="key_1", name="", kind=KeyKind.SECRET, scopes=(), digest="", hint="", created_at=START
    )
    for number in range(MAX_KEYS + 1):
        cache.put(str(number), key, START)
    assert cache.get("0", START) is None
    assert cache.get(str(MAX_KEYS), START) is key
    cache.forget("key_1")
    assert cache.get(str(MAX_KEYS), START) is None


def test_created_key_shows_its_secret_once_and_works(world: World) -> None:
    answer = world.send("POST", "/v1/api_keys", {"name": "ci", "scopes": ["catalog:read"]})
    assert answer.status == 201
    secret = answer.json["secret"]
    assert secret.startswith("pg_sk_test_")
    assert secret.endswith(answer.json["hint"])
    assert world.send("GET", PATH, token=secret).status == 200
    shown = world.send("GET", f"/v1/api_keys/{answer.json['id']}")
    assert "secret" not in shown.json
    assert secret not in repr(world.store.records)
    listed = world.send("GET", "/v1/api_keys").json["data"]
    assert {one["object"] for one in listed} == {"api_key"}


def test_repeated_key_creation_is_refused_instead_of_replayed(world: World) -> None:
    first = world.send("POST", "/v1/api_keys", {"name": "ci"}, Idempotency_Key="k")
    again = world.send("POST", "/v1/api_keys", {"name": "ci"}, Idempotency_Key="k")
    assert (again.status, again.json["code"]) == (409, "already_exists")
    assert first.json["id"] in again.json["detail"]
    assert first.json["secret"] not in repr(world.store.records)


def test_publishable_key_only_reads_paywalls(world: World) -> None:
    answer = world.send("POST", "/v1/api_keys", {"name": "web", "kind": "publishable"})
    assert answer.json["scopes"] == ["paywall:read"]
    assert answer.json["secret"].startswith("pg_pk_test_")
    wider = {"name": "web", "kind": "publishable", "scopes": ["catalog:read"]}
    refused = world.send("POST", "/v1/api_keys", wider)
    assert (refused.status, refused.json["param"]) == (422, "scopes")


def test_health_needs_no_key_and_environment_does(world: World) -> None:
    assert world.send("GET", "/v1/health", token=None).json == {
        "object": "health",
        "status": "ok",
        "environment": "test",
        "details": None,
    }
    assert world.send("GET", "/v1/environment", token=None).status == 401
    assert world.send("GET", "/v1/environment").json["id"] == "test"
