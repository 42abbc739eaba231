"""Nothing that a request may hold is without a bound: each list, text and number of the description has one."""

from collections.abc import Iterator
from typing import Any, Final

from tests.integration.api.contract import document, operations

# By the rules behind the schema: a currency is one of a list, and a whole body has at most 256 KB.
BOUND_ELSEWHERE: Final = (
    ".currency",
    "?currency",
    "?requested_values[]",
    "?requested_usage",
    "POST /v1/events.events[].properties{}",
    "POST /v1/test_clock.advance_seconds",
    "POST /v1/webhooks/stripe",
)
TEXT_BOUNDS: Final = {"maxLength", "pattern", "enum", "const", "format"}
NUMBER_BOUNDS: Final = {"maximum", "exclusiveMaximum", "enum", "const"}


def unbounded(schema: dict[str, Any], place: str, within: tuple[str, ...] = ()) -> Iterator[str]:
    """The places under this schema where a client may send as much as it likes."""
    name = schema.get("$ref", "").rpartition("/")[2]
    if name in within:
        return
    if name:
        yield from unbounded(document()["components"]["schemas"][name], place, (*within, name))
    for choice in ("anyOf", "oneOf", "allOf"):
        for option in schema.get(choice, ()):
            yield from unbounded(option, place, within)
    kind, rest = schema.get("type"), schema.get("additionalProperties")
    bounds = schema.keys()
    if (
        (kind == "array" and "maxItems" not in bounds)
        or (kind == "string" and not bounds & TEXT_BOUNDS)
        or (kind == "integer" and not bounds & NUMBER_BOUNDS)
        or (kind == "object" and rest is not False and "maxProperties" not in bounds)
    ):
        yield place
    if kind == "array":
        yield from unbounded(schema["items"], f"{place}[]", within)
    if isinstance(rest, dict):
        yield from unbounded(rest, f"{place}{{}}", within)
    for field, inner in schema.get("properties", {}).items():
        yield from unbounded(inner, f"{place}.{field}", within)


def test_everything_a_request_may_hold_has_a_bound() -> None:
    found: set[str] = set()
    for described in operations():
        if described.body_schema is not None:
            found |= set(unbounded(described.body_schema, described.name))
        for parameter in described.operation.get("parameters", ()):
            if parameter["in"] == "query":
                place = f"{described.name} ?{parameter['name']}"
                found |= set(unbounded(parameter["schema"], place))
    assert not [place for place in found if not place.endswith(BOUND_ELSEWHERE)]


def test_every_page_has_at_most_a_hundred_entries() -> None:
    pages = [
        parameter["schema"]["maximum"]
        for described in operations()
        for parameter in described.operation.get("parameters", ())
        if parameter["name"] == "limit"
    ]
    assert len(pages) > 10
    assert set(pages) == {100}
