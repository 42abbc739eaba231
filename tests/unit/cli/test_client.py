import json
from typing import Any

import httpx
import pytest

from infra.cli.client import TRIES, ApiClient
from infra.cli.errors import ApiError, CliError
from infra.cli.paths import path
from tests.unit.cli.conftest import API_URL, FakeApi


def test_path_with_special_characters_is_quoted() -> None:
    assert path("plans", "a/b:c@d+e f", "publish") == "/v1/plans/a%2Fb%3Ac%40d%2Be%20f/publish"


def test_quoted_path_arrives_as_it_was_quoted(api: FakeApi) -> None:
    api.on("GET /v1/plans/a%2Fb", {"id": "a/b"})
    assert api.client().get(path("plans", "a/b")) == {"id": "a/b"}


def test_get_sends_the_key_and_leaves_out_absent_query_values(api: FakeApi) -> None:
    api.on("GET /v1/plans?limit=3", {"data": []})
    api.client().get("/v1/plans", limit=3, cursor=None)
    assert api.requests[0].headers["Authorization"] == "Bearer pg_sk_test"
    assert "Idempotency-Key" not in api.requests[0].headers


def test_writes_carry_a_key_of_their_own(api: FakeApi) -> None:
    api.on("POST /v1/plans", {})
    api.on("DELETE /v1/plans/a", {})
    client = api.client()
    client.post("/v1/plans", {"id": "a"})
    client.post("/v1/plans")
    client.delete("/v1/plans/a")
    assert [api.sent(0), api.sent(1)] == [{"id": "a"}, {}]
    assert len({request.headers["Idempotency-Key"] for request in api.requests}) == 3


def test_busy_api_is_asked_again_under_the_same_key_after_the_pause_it_names(api: FakeApi) -> None:
    api.on("POST /v1/plans", {}, status=503, **{"Retry-After": "2"})
    api.on("POST /v1/plans", {}, status=429)
    api.on("POST /v1/plans", {"id": "a"})
    assert api.client().post("/v1/plans") == {"id": "a"}
    assert api.pauses == [2, 1]
    assert len({request.headers["Idempotency-Key"] for request in api.requests}) == 1


def test_pause_is_never_long(api: FakeApi) -> None:
    api.on("GET /v1/plans", {}, status=503, **{"Retry-After": "3600"})
    api.on("GET /v1/plans", {})
    api.client().get("/v1/plans")
    assert api.pauses == [10]


def test_api_that_stays_busy_is_given_up(api: FakeApi, problem: dict[str, Any]) -> None:
    api.on("GET /v1/plans", {**problem, "status": 503}, status=503)
    with pytest.raises(ApiError):
        api.client().get("/v1/plans")
    assert len(api.requests) == TRIES


def test_refusal_keeps_the_problem_and_reads_well(api: FakeApi, problem: dict[str, Any]) -> None:
    api.on("POST /v1/plans", problem, status=422)
    with pytest.raises(ApiError) as caught:
        api.client().post("/v1/plans")
    assert caught.value.status == 422
    assert caught.value.code == "invalid"
    assert caught.value.problem() == problem
    assert caught.value.lines() == [
        "1 field is invalid. [422 invalid] (request req-1)",
        "  name: Give it a name.",
    ]


def test_items_follow_the_pages_up_to_the_limit(api: FakeApi) -> None:
    first = [{"id": number} for number in range(100)]
    api.on("GET /v1/x?limit=100&status=ok", {"data": first, "next_cursor": "c"})
    more = [{"id": number} for number in range(100, 150)]
    api.on("GET /v1/x?limit=50&cursor=c&status=ok", {"data": more, "next_cursor": "d"})
    found = list(api.client().items("/v1/x", 150, status="ok"))
    assert [one["id"] for one in found] == list(range(150))


def test_items_end_with_the_list(api: FakeApi) -> None:
    api.on("GET /v1/x?limit=100", {"data": [{"id": 1}], "next_cursor": None})
    assert list(api.client().items("/v1/x", 500)) == [{"id": 1}]


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"\xff"])
def test_answer_of_something_else_is_said_to_be(body: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    with pytest.raises(CliError, match="is it a Paygrade API") as caught:
        ApiClient(API_URL, "k", transport=transport).get("/v1/x")
    assert caught.value.code == "not_an_api"


@pytest.mark.parametrize(
    ("error", "code"),
    [(httpx.ConnectError("refused"), "unreachable"), (httpx.ReadTimeout("slow"), "timeout")],
)
def test_silence_of_the_api_is_an_error_for_people(error: Exception, code: str) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    transport = httpx.MockTransport(fail)
    with pytest.raises(CliError, match=API_URL) as caught:
        ApiClient(API_URL, "k", transport=transport).get("/v1/x")
    assert caught.value.code == code
    assert json.dumps(caught.value.problem())


def test_url_with_a_slash_at_its_end_is_the_same(api: FakeApi) -> None:
    api.on("GET /v1/x", {})
    api.client(API_URL + "/").get("/v1/x")
    assert str(api.requests[0].url) == f"{API_URL}/v1/x"
