"""An item as both ways to the database have it: without a library behind it, and in DynamoDB's own form."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chalicelib.adapters.dynamodb.layout import Key

# An item, or a part of a request, as DynamoDB's API spells it.
Wire = dict[str, Any]
_TEXTS: Final = ("kind", "body", "doc", "gsi_pk", "gsi_sk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One record. `body` is the whole of it; the other attributes only find, guard and expire it."""

    pk: str
    sk: str
    kind: str
    rev: int = 0
    body: str | None = None
    doc: str | None = None
    gsi_pk: str | None = None
    gsi_sk: str | None = None
    ttl: float | None = None


def to_wire(row: Row) -> Wire:
    """The row as an item; attributes that are None are not in it."""
    texts = {name: getattr(row, name) for name in _TEXTS}
    numbers = {"rev": row.rev, "ttl": row.ttl}
    return {
        **wire_key(Key(row.pk, row.sk)),
        **{name: {"S": text} for name, text in texts.items() if text is not None},
        **{name: {"N": str(number)} for name, number in numbers.items() if number is not None},
    }


def from_wire(item: Mapping[str, Mapping[str, str]]) -> Row:
    """The row that the item holds; raises what an item of any other form makes Python raise."""
    texts = {name: item[name]["S"] for name in _TEXTS if name in item}
    return Row(
        pk=item["pk"]["S"],
        sk=item["sk"]["S"],
        rev=int(item["rev"]["N"]) if "rev" in item else 0,
        ttl=float(item["ttl"]["N"]) if "ttl" in item else None,
        **texts,
    )


def wire_key(key: Key) -> Wire:
    """The key of an item."""
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Which items of a table, or of its index, a Query is to read: at most `limit` of those in `within`."""

    within: Key
    in_index: bool
    forward: bool
    limit: int
    start: Wire | None
    """The key of the item after which it begins."""


Query = Callable[[Range], list[Row]]
