"""The usage item: flat attributes, so that each can be counted up alone, and one item is all that a check reads.

Imports neither pydantic nor PynamoDB: every check comes by here.
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.adapters.dynamodb.keys import (
    HELD_PREFIX,
    MOMENT_PREFIX,
    PERIOD_PREFIX,
    RESERVATION_PREFIX,
    USED_PREFIX,
)
from chalicelib.domain.usage import Counter, Hold


def usage_of(item: Mapping[str, Any]) -> tuple[dict[str, Counter], dict[str, Hold]]:
    """The counters by name and the reservations by id that the item, in DynamoDB's own form, tells of."""
    counters: dict[str, Counter] = {}
    holds: dict[str, Hold] = {}
    for attribute, value in item.items():
        prefix = attribute[:2]
        if prefix == USED_PREFIX:
            name = attribute[2:]
            counters[name] = Counter(
                used=int(value["N"]),
                period_start_ms=_number(item, PERIOD_PREFIX + name),
                held=_number(item, HELD_PREFIX + name),
                at_ms=_number(item, MOMENT_PREFIX + name),
            )
        elif prefix == RESERVATION_PREFIX:
            holds[attribute[2:]] = to_hold(value["S"])
    return counters, holds


def _number(item: Mapping[str, Any], attribute: str) -> int:
    value = item.get(attribute)
    return int(value["N"]) if value is not None else 0


def from_hold(hold: Hold) -> str:
    """The hold as the text of one attribute; the counter's name comes last and may hold anything."""
    return f"{hold.expires_ms} {hold.period_start_ms} {hold.amount} {hold.counter}"


def to_hold(text: str) -> Hold:
    """The hold that the text tells of."""
    expires, period, amount, counter = text.split(" ", 3)
    return Hold(
        counter=counter,
        amount=int(amount),
        period_start_ms=int(period),
        expires_ms=int(expires),
    )
