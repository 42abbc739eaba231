"""The usage item: flat attributes, so that each can be counted up alone, and one item is all that a check reads.

Imports neither pydantic nor PynamoDB: every check comes by here.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from chalicelib.adapters.dynamodb.keys import (
    BASE_PREFIX,
    HELD_PREFIX,
    LAYOUT_NUMBER_PREFIX,
    LAYOUT_PREFIX,
    MOMENT_PREFIX,
    PERIOD_PREFIX,
    RESERVATION_PREFIX,
    SHARD_PREFIX,
    SNAPSHOT_SORT,
    SNAPSHOT_VERSION,
    USAGE_SORT,
    USED_PREFIX,
)
from chalicelib.domain.spreading import gathered
from chalicelib.domain.usage import Counter, Hold, Part, Shard
from chalicelib.ports import HotRead


def hot_read_of(found: Iterable[Mapping[str, Any]]) -> HotRead | None:
    """What the items of a check's Query tell; None without a snapshot."""
    items = {item["sk"]["S"]: item for item in found}
    snapshot = items.get(SNAPSHOT_SORT)
    if snapshot is None:
        return None
    counters, holds = usage_of(items.get(USAGE_SORT, {}))
    shards = {
        int(sort.removeprefix(SHARD_PREFIX)): _shard_of(item)
        for sort, item in items.items()
        if sort.startswith(SHARD_PREFIX)
    }
    whole, every = gathered(counters, shards)
    return HotRead(snapshot["doc"]["S"], whole, holds, every)


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


def _shard_of(item: Mapping[str, Any]) -> Shard:
    parts = {
        attribute[2:]: Part(
            used=int(value["N"]),
            period_start_ms=_number(item, PERIOD_PREFIX + attribute[2:]),
            base=_number(item, BASE_PREFIX + attribute[2:]),
            number=_number(item, LAYOUT_NUMBER_PREFIX + attribute[2:]),
            layout=item[LAYOUT_PREFIX + attribute[2:]]["S"],
        )
        for attribute, value in item.items()
        if attribute.startswith(USED_PREFIX)
    }
    return Shard(version=_number(item, SNAPSHOT_VERSION), parts=parts)


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
