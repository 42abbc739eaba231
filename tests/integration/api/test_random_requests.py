"""Whatever is asked, in whatever order: never a crash, always an answer that the document describes.

Requests are made from the document's own schemas, mostly right and here and there wrong, a few in a row.
`--hypothesis-profile=thorough` looks for longer.
"""

import json
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from chalicelib.domain.errors import DomainError
from chalicelib.domain.ids import CHOSEN_ID_PATTERN
from chalicelib.ports import Message, QueueName
from chalicelib.services.run_sync_task import run_sync_task
from tests.integration.api.contract import Described, assert_described, document, operations
from tests.integration.api.shop import Shop
from tests.unit.api.world import served

EXAMPLES: Final = max(300, settings.default.max_examples if settings.default else 0)

KNOWN_IDS: Final = [
    "app",
    "other",
    "attic",
    "sso",
    "calls",
    "size",
    "region",
    "old",
    "storage",
    "foreign",
    "addon-sketch",
    "pro",
    "free",
    "elsewhere",
    "sketch",
    "retired",
    "acme",
    "new",
    "gone",
    "made",
    "nobody",
    "eu",
    "us",
    "draft",
    "stripe",
    "plan:pro",
    "customer:acme",
]

# One value in so many is replaced by something that has nothing to do with its schema.
ODDITY: Final = 16

odd_text = st.one_of(
    st.text(max_size=12),
    st.text(string.printable, max_size=12),
    st.sampled_from(["", " ", "\x00", "#", "a#b", "../x", "%2F", "null", "-1", "1e9", "x" * 129]),
)
odd_number = st.one_of(
    st.integers(),
    st.sampled_from([-1, 0, 1, 2**31, 2**53 - 1, 2**53, 2**63, 10**30]),
    st.floats(allow_nan=False, allow_infinity=False),
)
odd_scalar = st.one_of(st.none(), st.booleans(), odd_number, odd_text, st.sampled_from(KNOWN_IDS))
odd_json = st.recursive(
    odd_scalar,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(odd_text, inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def value_of(draw: st.DrawFn, schema: Mapping[str, Any]) -> Any:
    """A value that fits the schema, but for an oddity here and there."""
    if draw(st.integers(1, ODDITY)) == ODDITY:
        return draw(odd_json)
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return draw(value_of(document()["components"]["schemas"][name]))
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    if "anyOf" in schema:
        return draw(st.sampled_from(schema["anyOf"]).flatmap(value_of))
    return draw(_OF_TYPE[schema.get("type", "null")](schema))


def _text(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    pattern = schema.get("pattern")
    if pattern == CHOSEN_ID_PATTERN:
        return st.sampled_from(KNOWN_IDS)
    if pattern is not None:
        return st.from_regex(pattern, fullmatch=True, alphabet=st.characters(codec="ascii"))
    most = min(schema.get("maxLength", 20), 20)
    return st.text(min_size=schema.get("minLength", 0), max_size=most)


def _integer(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    least = schema.get("minimum", schema.get("exclusiveMinimum", -1000))
    return st.integers(least, min(schema.get("maximum", 1000), least + 1000))


def _array(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    least = schema.get("minItems", 0)
    return st.lists(value_of(schema.get("items", {})), min_size=least, max_size=least + 2)


@st.composite
def _object(draw: st.DrawFn, schema: Mapping[str, Any]) -> Any:
    required = set(schema.get("required", ()))
    found: dict[str, Any] = {}
    for name, part in schema.get("properties", {}).items():
        if name in required or draw(st.integers(0, 2)) == 0:
            found[name] = draw(value_of(part))
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        names = st.one_of(st.sampled_from(KNOWN_IDS), st.text(min_size=1, max_size=8))
        found |= draw(st.dictionaries(names, value_of(more), max_size=2))
    if draw(st.integers(1, ODDITY)) == ODDITY:
        found[draw(odd_text)] = draw(odd_json)
    return found


_OF_TYPE: Final = {
    "string": _text,
    "integer": _integer,
    "number": lambda _: st.floats(0, 100, allow_nan=False),
    "boolean": lambda _: st.booleans(),
    "null": lambda _: st.none(),
    "array": _array,
    "object": _object,
}


@dataclass(frozen=True)
class Sent:
    """One request, readable in a failure's report."""

    described: Described
    path: str
    body: bytes | None
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"{self.described.method} {self.path} {dict(self.headers)} {self.body!r}"


def _spelled(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return quote(text.encode("utf-8", "replace"), safe="")


@st.composite
def a_path(draw: st.DrawFn, described: Described) -> str:
    parts = [
        _spelled(draw(st.one_of(*[st.sampled_from(KNOWN_IDS)] * 6, odd_text.filter(bool))))
        if part.startswith("{")
        else part
        for part in described.path.split("/")
    ]
    query: list[str] = []
    for param in described.operation["parameters"]:
        if param["in"] == "query" and (param["required"] or draw(st.integers(0, 3)) == 0):
            values = draw(value_of(param["schema"]))
            given_values = values if isinstance(values, list) else [values]
            query += [f"{param['name']}={_spelled(value)}" for value in given_values]
    if draw(st.integers(1, ODDITY)) == ODDITY:
        query.append(f"{_spelled(draw(odd_text))}={_spelled(draw(odd_scalar))}")
    return "/".join(parts) + ("?" + "&".join(query) if query else "")


@st.composite
def a_body(draw: st.DrawFn, described: Described) -> bytes | None:
    if described.method == "GET":
        return None
    if draw(st.integers(1, ODDITY)) == ODDITY:
        return draw(st.one_of(st.binary(max_size=40), odd_json.map(_encoded)))
    schema = described.body_schema
    return None if schema is None else _encoded(draw(value_of(schema)))


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


@st.composite
def a_request(draw: st.DrawFn) -> Sent:
    described = draw(st.sampled_from(list(operations())))
    headers = {"Content-Type": "application/json"}
    if draw(st.integers(0, 3)) == 0:
        headers["Idempotency-Key"] = draw(st.one_of(st.sampled_from(["a", "b"]), odd_text))
    if draw(st.integers(1, ODDITY)) == ODDITY:
        headers["Content-Type"] = draw(odd_text)
    if draw(st.integers(1, ODDITY)) == ODDITY:
        headers["If-None-Match"] = draw(st.one_of(st.just("*"), odd_text))
    return Sent(described, draw(a_path(described)), draw(a_body(described)), headers)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(requests=st.lists(a_request(), min_size=1, max_size=5))
def test_random_requests_are_answered_as_documented_and_never_crash(
    stocked: Shop, requests: list[Sent]
) -> None:
    deployment = stocked.restock()
    with served(deployment):
        for sent in requests:
            answer = deployment.request(
                sent.described.method,
                sent.path,
                sent.body,
                headers={"Authorization": f"Bearer {deployment.token}", **sent.headers},
            )
            assert answer.status < 500, (answer.body, deployment.monitor.named("api_crash"))
            assert_described(sent.described, answer)
            event(f"{answer.status // 100}xx")
    deployment.queue.drain(QueueName.SYNC, lambda message: worked_off(stocked, message))


def worked_off(stocked: Shop, message: Message) -> None:
    """What was published can be carried to the provider, or it is said in the domain's words why not."""
    try:
        run_sync_task(stocked.deployment.ports, message.body["task_id"])
    except DomainError as error:
        assert error.code  # noqa: PT017 -- any of them will do
