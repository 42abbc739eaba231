"""What every endpoint does before and after its handler runs."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from chalice.app import Blueprint, Chalice

from chalicelib.api.http import Call, Reply, Text, endpoint
from chalicelib.api.problems import TABLE, described
from chalicelib.api.wire import ListOut, NoBody, NoQuery, PageQuery, Query, QueryBool, Wire
from chalicelib.domain import errors
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.errors import (
    DomainError,
    NotFoundError,
    ProviderUnavailableError,
    SubscriptionExistsError,
)
from tests.unit.api.world import World, served


class Inner(Wire):
    amount: int


class Body(Wire):
    name: str
    lines: tuple[Inner, ...] = ()


class Look(Query):
    flag: QueryBool = False
    tags: tuple[str, ...] = ()


class Out(Wire):
    text: str


bp = Blueprint("tests.things")
failure: list[Exception] = []
calls: list[Call[Any, Any]] = []


@endpoint(bp, "POST", "/things", scope=Scope.CATALOG_WRITE, summary="Make", answer=Out, body=Body)
def make(call: Call[Body, NoQuery]) -> Reply[Out]:
    calls.append(call)
    if failure:
        raise failure[0]
    return Reply(Out(text=call.body.name), status=201, headers={"X-Made": "yes"})


@endpoint(
    bp,
    "GET",
    "/things/{thing_id}",
    scope=Scope.CATALOG_READ,
    summary="Get",
    answer=Out,
    query=Look,
    etag=True,
)
def get(call: Call[NoBody, Look]) -> Out:
    return Out(text=f"{call.path['thing_id']} {call.query.flag} {call.query.tags}")


@endpoint(bp, "GET", "/things", scope=None, summary="List", answer=ListOut[Out], query=PageQuery)
def list_things(call: Call[NoBody, PageQuery]) -> ListOut[Out]:
    return ListOut(data=(Out(text=str(call.query.limit)),), has_more=False, next_cursor=None)


@endpoint(bp, "POST", "/raw", scope=None, summary="Raw", answer=Text, raw=True)
def raw(call: Call[NoBody, NoQuery]) -> Text:
    return Text(body=call.raw.hex(), media_type="text/plain")


@pytest.fixture(scope="module")
def shell_app() -> Chalice:
    made = Chalice("shell")
    made.register_blueprint(bp)
    return made


@pytest.fixture
def world(shell_app: Chalice) -> Iterator[World]:
    failure.clear()
    calls.clear()
    with served(World(shell_app)) as made:
        yield made


def post(world: World, raw: bytes, **headers: str) -> Any:
    return world.send(
        "POST", "/v1/things", raw=raw, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def test_answer_carries_request_id_and_headers(world: World) -> None:
    answer = world.send("POST", "/v1/things", {"name": "a"})
    assert (answer.status, answer.json) == (201, {"text": "a"})
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Made"] == "yes"
    assert answer.headers["Request-Id"]


def test_request_id_of_the_gateway_is_kept(world: World, shell_app: Chalice) -> None:
    event = {
        "requestContext": {"httpMethod": "GET", "resourcePath": "/v1/things", "requestId": "gw-1"},
        "headers": {},
        "pathParameters": None,
        "multiValueQueryStringParameters": None,
        "body": None,
        "stageVariables": None,
    }
    assert shell_app(event, None)["headers"]["Request-Id"] == "gw-1"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"{", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b'"x"', "not a JSON object"),
        (b'{"name": "a", "name": "b"}', "twice"),
        (b'{"lines": [{"amount": 1, "amount": 2}]}', "twice"),
        (b'{"name": NaN}', "NaN"),
        (b'{"name": -Infinity}', "-Infinity"),
        (b'\xff{"name": "a"}', "UTF-8"),
        (b'\xef\xbb\xbf{"name": "a"}', "BOM"),
        (b'{"name": "\\ud800"}', "surrogate"),
        (b'{"name": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"name": ' + b"[" * 33 + b"]" * 33 + b"}", "nested"),
        (b"[" * 100_000, "nested"),
        (b'{"a":' * 50_000, "nested"),
    ],
)
def test_body_that_is_no_strict_json_object_is_malformed(
    world: World, body: bytes, detail: str
) -> None:
    answer = post(world, body)
    assert (answer.status, answer.json["code"]) == (400, "malformed_json")
    assert detail in answer.json["detail"]
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_brackets_in_strings_are_no_depth(world: World) -> None:
    name = "[{" * 500 + '"' + "\\"
    assert world.send("POST", "/v1/things", {"name": name}).json == {"text": name}


def test_quadratic_looking_string_is_refused_in_linear_time(world: World) -> None:
    assert post(world, b'{"name": ' + b'"\\' * 100_000).status == 400


def test_body_over_the_limit_is_too_large(world: World) -> None:
    answer = post(world, json.dumps({"name": "a" * 262_144}).encode())
    assert (answer.status, answer.json["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=UTF-8", 201),
        ('APPLICATION/JSON;charset="utf-8"', 201),
        ("application/json; charset=latin-1", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ],
)
def test_content_type_is_json_or_unsupported(world: World, content_type: str, status: int) -> None:
    answer = post(world, b'{"name": "a"}', Content_Type=content_type)
    assert answer.status == status
    if status == 415:
        assert answer.json["code"] == "unsupported_media_type"
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_validation_names_every_fault_by_its_path(world: World) -> None:
    answer = world.send("POST", "/v1/things", {"lines": [{"amount": "1"}, {"x": 1}], "extra": 1})
    assert answer.status == 422
    assert answer.json["code"] == "invalid"
    found = {(one["param"], one["code"]) for one in answer.json["errors"]}
    assert found == {
        ("name", "required"),
        ("lines[0].amount", "wrong_type"),
        ("lines[1].amount", "required"),
        ("lines[1].x", "unknown_field"),
        ("extra", "unknown_field"),
    }


@pytest.mark.parametrize("amount", [1.0, True, "1", None, 1e400])
def test_numbers_are_not_coerced(world: World, amount: object) -> None:
    text = json.dumps({"name": "a", "lines": [{"amount": amount}]}).replace("Infinity", "1e400")
    answer = post(world, text.encode())
    assert (answer.status, answer.json["errors"][0]["param"]) == (422, "lines[0].amount")


def test_empty_body_counts_as_an_empty_object(world: World) -> None:
    answer = world.send("POST", "/v1/things")
    assert (answer.status, answer.json["param"]) == (422, "name")


def test_query_is_strict_about_names_values_and_repetition(world: World) -> None:
    def code(query: str) -> tuple[int, str | None]:
        answer = world.send("GET", f"/v1/things/x?{query}")
        return answer.status, answer.json["errors"][0]["code"] if answer.status == 422 else None

    assert code("flag=true&tags=a&tags=b") == (200, None)
    assert code("flag=1") == (422, "wrong_type")
    assert code("flag=true&flag=true") == (422, "repeated")
    assert code("flags=true") == (422, "unknown_field")


@pytest.mark.parametrize("limit", ["0", "101", "x", "1.0", "%201", "1_0", "", "9" * 30, "%D9%A1"])
def test_limit_out_of_range_or_misspelled_is_invalid(world: World, limit: str) -> None:
    answer = world.send("GET", f"/v1/things?limit={limit}")
    assert (answer.status, answer.json["param"]) == (422, "limit")


def test_path_is_decoded_once_and_plus_stays(world: World) -> None:
    assert world.send("GET", "/v1/things/a%40b+c%3A1").json["text"].split()[0] == "a@b+c:1"


@pytest.mark.parametrize("text", ["a%2Fb", "a%2540b", "%00", "a%20b", "%ff", "é", "x" * 129])
def test_path_that_is_no_id_is_not_found(world: World, text: str) -> None:
    answer = world.send("GET", f"/v1/things/{text}")
    assert (answer.status, answer.json["code"]) == (404, "not_found")


def test_etag_makes_an_unchanged_answer_empty(world: World) -> None:
    first = world.send("GET", "/v1/things/a")
    etag = first.headers["ETag"]
    for given in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        again = world.send("GET", "/v1/things/a", If_None_Match=given)
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", etag)
    assert world.send("GET", "/v1/things/b", If_None_Match=etag).status == 200


def test_raw_endpoint_reads_exact_bytes_of_any_type(world: World) -> None:
    answer = world.send("POST", "/v1/raw", raw=b"\xff\x00{", Content_Type="text/x", token=None)
    assert (answer.status, answer.body) == (200, b"ff007b")


def test_domain_error_is_a_problem_with_code_and_param(world: World) -> None:
    failure.append(SubscriptionExistsError("subs_1", "app"))
    answer = world.send("POST", "/v1/things", {"name": "a"})
    assert answer.status == 409
    assert answer.json == {
        "type": "/docs/problems#subscription_exists",
        "title": "Subscription exists",
        "status": 409,
        "detail": answer.json["detail"],
        "code": "subscription_exists",
        "param": "plan_id",
        "subscription_id": "subs_1",
        "request_id": answer.headers["Request-Id"],
    }


def test_unavailable_provider_says_when_to_retry(world: World) -> None:
    failure.append(ProviderUnavailableError("Stripe is down.", retry_after_seconds=7))
    answer = world.send("POST", "/v1/things", {"name": "a"})
    assert (answer.status, answer.headers["Retry-After"]) == (503, "7")


def test_unknown_exception_tells_the_log_but_not_the_caller(world: World) -> None:
    failure.append(RuntimeError("card 4242424242424242"))
    answer = world.send("POST", "/v1/things", {"name": "a"})
    assert (answer.status, answer.json["code"]) == (500, "internal_error")
    assert b"4242" not in answer.body
    [crash] = world.monitor.named("api_crash")
    assert crash["request_id"] == answer.headers["Request-Id"]
    assert crash["error"] == "builtins.RuntimeError"
    assert "in make" in crash["frames"]
    assert "4242" not in repr(crash)


def test_every_request_is_logged_without_its_content(world: World) -> None:
    world.send("POST", "/v1/things", {"name": "secret-name"})
    [line] = world.monitor.named("api_request")
    assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/things", 201)
    assert "secret-name" not in repr(world.monitor.events)


def test_every_domain_error_has_a_status() -> None:
    def below(kind: type[DomainError]) -> set[type[DomainError]]:
        return {kind}.union(*map(below, kind.__subclasses__()))

    assert set(TABLE) == below(DomainError) - {DomainError}
    codes = [code for code, *_ in described()]
    assert len(codes) == len(set(codes))
    assert errors.NotFoundError.code in codes


def test_not_found_error_of_a_handler_is_404(world: World) -> None:
    failure.append(NotFoundError("thing", "x"))
    assert world.send("POST", "/v1/things", {"name": "a"}).status == 404
