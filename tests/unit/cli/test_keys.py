import json
from typing import Any

from tests.unit.cli.conftest import FakeApi, Shell

KEY = {
    "object": "api_key",
    "id": "key_1",
    "name": "ci",
    "kind": "secret",
    "scopes": ["catalog:read", "check"],
    "hint": "abcd",
    "created_at": "2026-01-01T00:00:00Z",
    "revoked_at": None,
}


def test_create_prints_the_secret_alone_on_stdout(api: FakeApi, connected: Shell) -> None:
    api.on("POST /v1/api_keys", {**KEY, "secret": "pg_sk_1"}, status=201)
    result = connected(
        "keys", "create", "--name", "ci", "--scope", "catalog:read", "--scope", "check"
    )
    assert result.exit_code == 0
    assert result.stdout == "pg_sk_1\n"
    assert "never shown again" in result.stderr
    assert api.sent() == {"name": "ci", "kind": "secret", "scopes": ["catalog:read", "check"]}


def test_create_without_scopes_leaves_them_to_the_api(api: FakeApi, connected: Shell) -> None:
    api.on("POST /v1/api_keys", {**KEY, "secret": "pg_pk_1"}, status=201)
    connected("keys", "create", "--name", "page", "--kind", "publishable")
    assert api.sent() == {"name": "page", "kind": "publishable"}


def test_create_with_json_prints_the_object(api: FakeApi, connected: Shell) -> None:
    api.on("POST /v1/api_keys", {**KEY, "secret": "pg_sk_1"}, status=201)
    result = connected("keys", "create", "--name", "ci", "--json")
    assert json.loads(result.stdout)["secret"] == "pg_sk_1"
    assert result.stderr == ""


def test_create_of_an_unknown_kind_is_a_usage_error(api: FakeApi, connected: Shell) -> None:
    result = connected("keys", "create", "--name", "x", "--kind", "public")
    assert result.exit_code == 2
    assert api.requests == []


def test_list_shows_a_line_for_each(api: FakeApi, connected: Shell) -> None:
    api.on("GET /v1/api_keys?limit=100", {"data": [KEY], "next_cursor": None})
    lines = connected("keys", "list").stdout.splitlines()
    [line] = [line for line in lines if "key_1" in line]
    assert line.split() == [
        *("key_1", "ci", "secret", "abcd", "2026-01-01T00:00:00Z", "-", "catalog:read", "check")
    ]


def test_list_of_nothing_says_so(api: FakeApi, connected: Shell) -> None:
    api.on("GET /v1/api_keys?limit=100", {"data": [], "next_cursor": None})
    assert connected("keys", "list").stdout == "There are no keys.\n"


def test_list_with_json_is_a_list_object(api: FakeApi, connected: Shell) -> None:
    api.on("GET /v1/api_keys?limit=100", {"data": [KEY], "next_cursor": None})
    expected = {"object": "list", "data": [KEY]}
    assert json.loads(connected("keys", "list", "--json").stdout) == expected


def test_revoke_names_the_key(api: FakeApi, connected: Shell) -> None:
    api.on("DELETE /v1/api_keys/key_1", {**KEY, "revoked_at": "2026-02-02T00:00:00Z"})
    result = connected("keys", "revoke", "key_1")
    assert result.stdout == "key_1 (ci) was revoked 2026-02-02T00:00:00Z.\n"


def test_refusal_goes_to_stderr_and_ends_with_one(
    api: FakeApi, connected: Shell, problem: dict[str, Any]
) -> None:
    api.on("POST /v1/api_keys", problem, status=422)
    result = connected("keys", "create", "--name", "")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "Error: 1 field is invalid. [422 invalid] (request req-1)",
        "  name: Give it a name.",
    ]


def test_refusal_with_json_is_the_problem_on_stdout(
    api: FakeApi, connected: Shell, problem: dict[str, Any]
) -> None:
    api.on("POST /v1/api_keys", problem, status=422)
    result = connected("--json", "keys", "create", "--name", "")
    assert (result.exit_code, result.stderr) == (1, "")
    assert json.loads(result.stdout) == problem
