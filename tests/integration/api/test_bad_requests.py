"""What is wrong with every request alike: bytes, encodings, headers, paths, queries, pages, keys, sizes.

Each is tried on every operation of the document that it can be tried on.
"""

import base64
import json
from collections.abc import Sized
from typing import Any, Final

import pytest

from tests.integration.api.contract import (
    Described,
    assert_described,
    assert_problem,
    document,
    operations,
)
from tests.integration.api.shop import Shop
from tests.integration.world import Deployment, dump
from tests.unit.api.world import Answer

ALL: Final = list(operations())
RAW: Final = "/v1/webhooks/stripe"
# A provider leads a browser there, and may say more one day than it does now.
OF_THE_PROVIDER: Final = "/v1/integrations/stripe/callback"
WRITES: Final = [one for one in ALL if one.method != "GET" and one.path != RAW]
WITH_BODY: Final = [one for one in WRITES if one.body_schema is not None]
WITH_PATH: Final = [one for one in ALL if "{" in one.path]
LISTS: Final = [
    one
    for one in ALL
    if {"limit", "cursor"} <= {param["name"] for param in one.operation["parameters"]}
]
# Bodies without which an operation can't be asked, by how its path ends.
BODIES: Final = {
    "/rollback": '{"version": 1}',
    "/grants": '{"feature_id": "sso", "value": true}',
    "/shards": '{"count": 2}',
    "/consume": '{"idempotency_key": "k"}',
    "/reserve": '{"idempotency_key": "k"}',
    "/subscriptions/{subscription_id}/cancel": '{"effective": "immediate"}',
    "/extend_trial": '{"trial_end": "2030-01-01T00:00:00Z"}',
    "/transfer": '{"customer_id": "new"}',
    "/portal_session": '{"return_url": "https://shop.example.test/"}',
}
REQUIRED: Final = {
    "customer_id": "acme",
    "entity": "plan:pro",
    "session_id": "cs_1",
    "state": "connect_1",
}


def path_of(described: Described, identity: str = "nobody", **query: str) -> str:
    """The operation's path, and the query without which it can't be asked."""
    path = "/".join(
        identity if part.startswith("{") else part for part in described.path.split("/")
    )
    needed = {
        param["name"]: REQUIRED[param["name"]]
        for param in described.operation["parameters"]
        if param["in"] == "query" and param["required"]
    }
    pairs = {**needed, **query}
    return path + (
        "?" + "&".join(f"{name}={value}" for name, value in pairs.items()) if pairs else ""
    )


def send(deployment: Deployment, described: Described, path: str, **more: Any) -> Answer:
    headers = {
        "Authorization": f"Bearer {deployment.token}",
        "Content-Type": "application/json",
        **more.pop("headers", {}),
    }
    needed = (body for end, body in BODIES.items() if described.path.endswith(end))
    body = more.pop("body", next(needed, None))
    return deployment.request(described.method, path, body, headers=headers, **more)


class Unchanged:
    """Nothing is written, asked of the provider or queued inside, and nothing crashes."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment

    def __enter__(self) -> None:
        self.before = dump(self.deployment.store)

    def __exit__(self, *_: object) -> None:
        assert dump(self.deployment.store) == self.before
        assert self.deployment.fake.calls == []
        assert self.deployment.queue.messages == []
        assert self.deployment.monitor.named("api_crash") == []


CHECK: Final = "/v1/customers/{customer_id}/entitlements/{feature_id}"


def deep(opening: str, closing: str, depth: int) -> bytes:
    return (opening * depth + "1" + closing * depth).encode()


MALFORMED: Final[dict[str, bytes]] = {
    "text": b"hello",
    "unclosed": b'{"id": "a"',
    "trailing-comma": b'{"id": "a",}',
    "trailing-text": b'{"id": "a"} x',
    "two-documents": b'{"id": "a"}{"id": "a"}',
    "single-quotes": b"{'id': 'a'}",
    "comment": b'{"id": "a" /* b */}',
    "form": b"id=a&name=b",
    "null": b"null",
    "true": b"true",
    "number": b"17",
    "string": b'"id"',
    "array": b"[]",
    "array-of-objects": b'[{"id": "a"}]',
    "nan": b'{"amount": NaN}',
    "infinity": b'{"amount": Infinity}',
    "minus-infinity": b'{"amount": -Infinity}',
    "leading-zero": b'{"amount": 012}',
    "number-of-5000-digits": b'{"amount": ' + b"9" * 5000 + b"}",
    "duplicate-key": b'{"id": "a", "id": "b"}',
    "duplicate-key-escaped": b'{"id": "a", "\\u0069d": "b"}',
    "duplicate-key-inside": b'{"metadata": {"a": "1", "a": "2"}}',
    "byte-order-mark": b'\xef\xbb\xbf{"id": "a"}',
    "byte-ff": b'{"id": "\xff"}',
    "latin-1": '{"name": "é"}'.encode("latin-1"),
    "utf-16": '{"id": "a"}'.encode("utf-16"),
    "surrogate-in-utf-8": b'{"name": "\xed\xa0\x80"}',
    "half-surrogate-escaped": b'{"name": "\\ud800"}',
    "half-surrogate-in-a-key": b'{"\\udfff": 1}',
    "control-character": b'{"name": "a\nb"}',
    "bad-escape": b'{"name": "\\x41"}',
    "nul": b"\x00",
    "depth-33-arrays": b'{"a": ' + deep("[", "]", 32) + b"}",
    "depth-33-objects": deep('{"a":', "}", 33),
    "depth-10000-arrays": deep("[", "]", 10_000),
    "depth-10000-objects": deep('{"a":', "}", 10_000),
    "depth-100000-unclosed": b"[" * 100_000,
    "depth-behind-a-string": b'{"a": "]]]]", "b": ' + deep("[", "]", 40) + b"}",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_body_that_is_no_strict_json_object_is_malformed(
    deployment: Deployment, body: bytes
) -> None:
    with Unchanged(deployment):
        for described in WRITES:
            answer = send(deployment, described, path_of(described), body=body)
            assert_problem(answer, 400, "malformed_json")
            assert_described(described, answer)


UNDECODABLE: Final = {
    "base64-cut-off": ("e30", True),
    "base64-non-ascii": ("é===", True),
    "half-surrogate": ("\ud800", False),
    "base64-of-text": (base64.b64encode(b"hello").decode(), True),
}


@pytest.mark.parametrize(("body", "is_base64"), UNDECODABLE.values(), ids=UNDECODABLE.keys())
def test_body_that_can_not_be_decoded_is_malformed(
    deployment: Deployment, body: str, is_base64: bool
) -> None:
    with Unchanged(deployment):
        for described in WRITES:
            answer = send(deployment, described, path_of(described), body=body, is_base64=is_base64)
            assert_problem(answer, 400, "malformed_json")
            assert_described(described, answer)


CONTENT_TYPES: Final = [
    "",
    "text/plain",
    "text/json",
    "application/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "application/merge-patch+json",
    "application/json, text/plain",
    "application/jsonp",
    "application/json; charset=latin-1",
    "application/json; charset=utf-16",
    "json",
    "*/*",
    "applicatiön/jsön",
]


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_body_of_another_type_is_unsupported(deployment: Deployment, content_type: str) -> None:
    with Unchanged(deployment):
        for described in WRITES:
            answer = send(
                deployment,
                described,
                path_of(described),
                body=b"{}",
                headers={"Content-Type": content_type},
            )
            assert_problem(answer, 415, "unsupported_media_type")
            assert_described(described, answer)


SIZES: Final = {
    "one-byte-over": b" " * (256 * 1024 - 1) + b"{}",
    "spaces": b" " * (256 * 1024 + 1),
    "string": b'{"id": "' + b"x" * 300_000 + b'"}',
    "a-megabyte": b"{}" + b" " * 1_000_000,
    "brackets": b"[" * 300_000,
}


@pytest.mark.parametrize("body", SIZES.values(), ids=SIZES.keys())
def test_body_over_256_kilobytes_is_too_large(deployment: Deployment, body: bytes) -> None:
    with Unchanged(deployment):
        for described in WRITES:
            answer = send(deployment, described, path_of(described), body=body)
            assert_problem(answer, 413, "body_too_large")
            assert_described(described, answer)


def test_body_over_256_kilobytes_is_too_large_before_anybody_asks_who_sent_it(
    deployment: Deployment,
) -> None:
    with Unchanged(deployment):
        for described in WRITES:
            headers = {"Authorization": "Bearer hunter2"}
            answer = send(
                deployment, described, path_of(described), body=SIZES["spaces"], headers=headers
            )
            assert_problem(answer, 413, "body_too_large")


@pytest.mark.parametrize("name", ["nonsense", "object", "Id", "id ", "__proto__", "é", "x" * 5000])
def test_body_with_unknown_field_is_invalid(deployment: Deployment, name: str) -> None:
    with Unchanged(deployment):
        for described in WRITES:
            body = json.dumps({name: 1}).encode()
            answer = send(deployment, described, path_of(described), body=body)
            assert_problem(answer, 422, "invalid")
            assert_described(described, answer)
            found = {error["param"]: error["code"] for error in answer.json["errors"]}
            assert found[name[:200]] == "unknown_field"


def test_body_empty_lacks_every_required_field(deployment: Deployment) -> None:
    schemas: dict[str, Any] = {}
    with Unchanged(deployment):
        for described in WITH_BODY:
            required = required_fields(described)
            schemas[described.name] = required
            for body in (b"", b"{}", b"  \r\n\t") if required else ():
                answer = send(deployment, described, path_of(described), body=body)
                assert_problem(answer, 422, "invalid")
                found = {error["param"] for error in answer.json["errors"]}
                assert found == required
    assert sum(bool(required) for required in schemas.values()) >= 8


def required_fields(described: Described) -> set[str]:
    schema = described.body_schema
    assert schema is not None
    return set(resolved(schema).get("required", ()))


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


# As they stand in the path of the request.
BAD_IDS: Final = [
    "a%2Fb",
    "a%2fb",
    "%2F",
    "..%2F..%2Fapi_keys",
    "%252F",
    "a%2500",
    "%00",
    "a%00",
    "a%20b",
    "a b",
    "%20acme",
    "acme%20",
    "acme%0A",
    "%0d%0aSet-Cookie:%20a=b",
    "%09",
    "a%23b",
    "a%3Fb",
    "%E2%82%AC",
    "€",
    "%EF%BD%81cme",
    "%FF",
    "%C0%AF",
    "%ED%A0%80",
    "%",
    "%zz",
    "%u0041",
    "acme;x=1",
    "acme,new",
    "*",
    "'%20OR%20'1'='1",
    "%3Cscript%3E",
    "{customer_id}",
    "$ne",
    "x" * 129,
    "x" * 5000,
]
# As a gateway hands them over that has decoded them already.
DECODED_IDS: Final = ["a/b", "../../x", "\x00", "a\nb", "é", "\ud800", "a#b", "%", "x" * 129]
# Spelled like ids, and nobody's.
UNKNOWN_IDS: Final = [
    "nobody",
    "..",
    ".",
    "-",
    "+",
    "@",
    "x" * 128,
    "ACME",
    "__proto__",
    "null",
    "0",
]


@pytest.mark.parametrize("identity", BAD_IDS)
def test_path_that_is_no_id_is_not_found(deployment: Deployment, identity: str) -> None:
    with Unchanged(deployment):
        for described in WITH_PATH:
            answer = send(deployment, described, path_of(described, identity))
            assert_problem(answer, 404, "not_found")
            assert_described(described, answer)


@pytest.mark.parametrize("identity", DECODED_IDS)
def test_path_decoded_by_the_gateway_that_is_no_id_is_not_found(
    deployment: Deployment, identity: str
) -> None:
    with Unchanged(deployment):
        for described in WITH_PATH:
            names = [part[1:-1] for part in described.path.split("/") if part.startswith("{")]
            answer = send(
                deployment,
                described,
                path_of(described),
                parameters=dict.fromkeys(names, identity),
            )
            assert_problem(answer, 404, "not_found")
            assert_described(described, answer)


@pytest.mark.parametrize("identity", UNKNOWN_IDS)
def test_path_with_unknown_id_is_not_found(deployment: Deployment, identity: str) -> None:
    with Unchanged(deployment):
        for described in WITH_PATH:
            answer = send(deployment, described, path_of(described, identity))
            assert_described(described, answer)
            if described.path.removesuffix("/consume").removesuffix("/reserve") == CHECK:
                # A check of somebody unknown is a question with an answer.
                assert answer.json["denied_reason"] == "customer_not_found"
            else:
                assert_problem(answer, 404, "not_found")


@pytest.mark.parametrize(
    "query",
    ["nonsense=1", "nonsense", "Limit=1", "limit%00=1", "%ED%A0%80=1", "a[b]=1", "x" * 3000 + "=1"],
)
def test_query_parameter_unknown_is_invalid(deployment: Deployment, query: str) -> None:
    with Unchanged(deployment):
        for described in ALL:
            path = path_of(described)
            joined = f"{path}{'&' if '?' in path else '?'}{query}"
            answer = send(deployment, described, joined, body=None)
            if described.path in (RAW, OF_THE_PROVIDER):
                assert answer.status in (400, 422)
                continue
            assert_problem(answer, 422, "invalid")
            assert_described(described, answer)
            assert answer.json["errors"][0]["code"] == "unknown_field"


BAD_LIMITS: Final = [
    "0",
    "101",
    "-1",
    "x",
    "",
    "1.0",
    "1e1",
    "%205",
    "5%20",
    "%2B5",
    "0x5",
    "1_0",
    "9" * 30,
    "true",
    "null",
    "%D9%A3",
    "%EF%BC%95",
    "5%00",
    "[5]",
    "NaN",
]


@pytest.mark.parametrize("limit", BAD_LIMITS)
def test_limit_out_of_range_or_misspelled_is_invalid(deployment: Deployment, limit: str) -> None:
    with Unchanged(deployment):
        for described in LISTS:
            answer = send(deployment, described, path_of(described, limit=limit))
            assert_problem(answer, 422, "invalid")
            assert_described(described, answer)
            assert answer.json["param"] == "limit"


def test_limit_or_cursor_given_twice_is_invalid(deployment: Deployment) -> None:
    with Unchanged(deployment):
        for described in LISTS:
            for query in ("limit=5&limit=5", "cursor=a&cursor=b"):
                path = path_of(described)
                joined = f"{path}{'&' if '?' in path else '?'}{query}"
                answer = send(deployment, described, joined)
                assert_problem(answer, 422, "invalid")
                assert answer.json["errors"][0]["code"] == "repeated"


BAD_CURSORS: Final = ["", "x" * 2049, "-1", "abc", "%00", "%ED%A0%80", "%C3%A9", "e30", "bnVsbA=="]


@pytest.mark.parametrize("cursor", BAD_CURSORS)
def test_cursor_that_no_list_gave_out_is_invalid(deployment: Deployment, cursor: str) -> None:
    with Unchanged(deployment):
        for described in LISTS:
            answer = send(deployment, described, path_of(described, "pro", cursor=cursor))
            if answer.status == 404:  # a list below an object that there is none of
                continue
            assert_problem(answer, 422, "invalid")
            assert_described(described, answer)
            assert answer.json["param"] == "cursor"


BAD_KEYS: Final = {
    "empty": "",
    "256-characters": "k" * 256,
    "ten-kilobytes": "k" * 10_240,
    "non-ascii": "schlüssel",
    "emoji": "🔑",
    "control-character": "a\x01b",
    "newline": "a\nb",
    "tab": "a\tb",
    "delete": "a\x7f",
    "half-surrogate": "\ud800",
}


@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_idempotency_key_malformed_is_refused(deployment: Deployment, key: str) -> None:
    with Unchanged(deployment):
        for described in WRITES:
            body = b"{}" if described.body_schema is None else None
            if described.body_schema is not None and required_fields(described):
                continue  # the body is read first; those with one are tried below
            answer = send(
                deployment,
                described,
                path_of(described),
                body=body,
                headers={"Idempotency-Key": key},
            )
            assert_problem(answer, 400, "bad_header")
            assert_described(described, answer)
            assert answer.json["param"] == "Idempotency-Key"


CREATIONS: Final[dict[str, dict[str, Any]]] = {
    "/v1/products": {"id": "made", "name": "Made"},
    "/v1/features": {"id": "made", "name": "Made", "type": "boolean"},
    "/v1/plans": {"id": "made", "product_id": "app", "name": "Made"},
    "/v1/addons": {"id": "made", "product_id": "app", "name": "Made"},
    "/v1/customers": {"id": "made"},
    "/v1/api_keys": {"name": "made"},
    "/v1/subscriptions": {"customer_id": "new", "plan_id": "free"},
    "/v1/checkout_sessions": {"customer_id": "new", "plan_id": "pro"},
}


@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_idempotency_key_malformed_keeps_a_good_creation_from_happening(
    deployment: Deployment, key: str
) -> None:
    with Unchanged(deployment):
        for path, body in CREATIONS.items():
            answer = deployment.send("POST", path, body, Idempotency_Key=key)
            assert_problem(answer, 400, "bad_header")


@pytest.mark.parametrize("path", [path for path in CREATIONS if path != "/v1/api_keys"])
def test_idempotency_key_reused_for_another_request_is_refused(shop: Shop, path: str) -> None:
    deployment, body = shop.deployment, CREATIONS[path]
    first = deployment.send("POST", path, body, Idempotency_Key="k")
    assert first.status in (200, 201), first.body
    before = dump(deployment.store)
    spaced = json.dumps(body, indent=1).encode()
    for answer in (
        deployment.send("POST", path, raw=spaced, Idempotency_Key="k"),
        deployment.send("PATCH", "/v1/plans/sketch", {"name": "x"}, Idempotency_Key="k"),
        deployment.send("POST", "/v1/plans/sketch/publish", Idempotency_Key="k"),
        deployment.send("DELETE", "/v1/plans/sketch/draft", Idempotency_Key="k"),
    ):
        assert_problem(answer, 422, "idempotency_key_reused")
    assert dump(deployment.store) == before
    again = deployment.send("POST", path, body, Idempotency_Key="k")
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert dump(deployment.store) == before


def test_idempotency_key_of_a_new_api_key_is_not_replayed_but_refused(shop: Shop) -> None:
    body = CREATIONS["/v1/api_keys"]
    assert shop.deployment.send("POST", "/v1/api_keys", body, Idempotency_Key="k").status == 201
    before = dump(shop.deployment.store)
    again = shop.deployment.send("POST", "/v1/api_keys", body, Idempotency_Key="k")
    assert_problem(again, 409, "already_exists")
    assert dump(shop.deployment.store) == before


@pytest.mark.parametrize("method", ["PUT", "HEAD", "OPTIONS", "TRACE", "get", "QUERY", ""])
def test_method_that_no_operation_has_is_refused(deployment: Deployment, method: str) -> None:
    with Unchanged(deployment):
        for path in {one.path for one in ALL}:
            headers = {"Authorization": f"Bearer {deployment.token}"}
            answer = deployment.request(method, path, b"{}", headers=headers)
            # A preflight is answered where pages may call, and says no to a page of nowhere.
            is_preflight = method == "OPTIONS" and "OPTIONS" in deployment.app.routes[path]
            assert answer.status == (204 if is_preflight else 405)
            assert "Access-Control-Allow-Origin" not in answer.headers


def test_tables_hold_many_cases() -> None:
    tables: list[Sized] = [MALFORMED, UNDECODABLE, CONTENT_TYPES, SIZES, BAD_IDS, DECODED_IDS]
    tables += [UNKNOWN_IDS, BAD_LIMITS, BAD_CURSORS, BAD_KEYS]
    assert sum(len(table) for table in tables) >= 150
    assert len(WRITES) >= 25
    assert len(LISTS) >= 10
