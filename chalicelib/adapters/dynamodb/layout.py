"""How a record's identity becomes keys: declared once per kind, in the file of its table.

A partition key is a prefix and the first values of the identity, a sort key a prefix and the rest. The index's
sort key is the value that is looked for, what the found are ordered by, and the identity.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from chalicelib.adapters.dynamodb.keys import (
    MAX_PARTITION_BYTES,
    MAX_SORT_BYTES,
    Table,
    escaped,
    fits,
    joined,
    parted,
)


class Key(NamedTuple):
    """Where an item is, in its table or in the index. Of a list: its partition, and how its sort keys begin."""

    pk: str
    sk: str

    @property
    def fits(self) -> bool:
        """Whether an item can be there at all: a path of an API request can be as long as it likes."""
        return fits(self.pk, MAX_PARTITION_BYTES) and fits(self.sk, MAX_SORT_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The one way, beside its identity, in which a kind is found: by a field, in the order of another.

    `shards` spreads the index over that many partitions, chosen by the field's value or else by the identity,
    so that a list of everything has no partition that every write goes to. With `only`, the index has those records
    alone.
    """

    by: str
    order: Callable[[Any], str]
    shards: int = 0
    only: Callable[[Any], bool] = lambda _: True


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where records of one kind are: so many values of the identity in the partition key, the others in the sort key.

    `expires_at` says when DynamoDB may delete the record; with `hides_expired` it is gone from that second on,
    whether or not it is deleted by then. `is_snapshot`: the record is its document, which stands in an attribute of
    its own that the hot path reads as it is, without JSON inside JSON.
    """

    kind: str
    table: Table
    partition: str
    sort: str
    in_partition: int
    in_sort: int
    index: Index | None = None
    expires_at: Callable[[Any], datetime | None] | None = None
    hides_expired: bool = False
    is_snapshot: bool = False

    def key(self, identity: tuple[str, ...]) -> Key:
        """Where the record with this identity is."""
        if len(identity) != self.in_partition + self.in_sort:
            raise ValueError(f"a {self.kind} is not identified by {len(identity)} values")
        return self._key(identity)

    def within(self, within: tuple[str, ...]) -> Key:
        """The list of all records whose identity begins so."""
        if not self.in_partition <= len(within) < self.in_partition + self.in_sort:
            raise ValueError(f"no list of {self.kind} items is within {len(within)} values")
        pk, sk = self._key(within)
        # Whole values only: what is within `a` is not within `ab`.
        return Key(pk, f"{sk}#")

    def _key(self, identity: tuple[str, ...]) -> Key:
        outer, inner = identity[: self.in_partition], identity[self.in_partition :]
        return Key(joined(self.partition, *outer), joined(self.sort, *inner))


def is_gone(layout: Layout, ttl: float | None, now: datetime) -> bool:
    """Whether the record has expired, by the same rule as the condition of a write: in whole seconds."""
    return layout.hides_expired and ttl is not None and ttl <= int(now.timestamp())


def index_key(layout: Layout, index: Index, record: Any) -> Key:  # noqa: ANN401 -- a record of the layout's kind
    """Where the record is in the index."""
    value = getattr(record, index.by) or ""
    partition = _index_partition(layout, index, value or joined(*record.identity))
    return Key(partition, joined(escaped(value), index.order(record), *record.identity))


def key_in_table(layout: Layout, gsi_sk: str) -> Key:
    """Where the item with this sort key in the index is in the table; ValueError if there can be none."""
    _value, _order, *identity = parted(gsi_sk)
    return layout.key(tuple(identity))


def found_by(layout: Layout, index: Index, value: str) -> Key:
    """The list of all records with this value."""
    return Key(_index_partition(layout, index, value), f"{escaped(value)}#")


def shards(layout: Layout, index: Index) -> tuple[Key, ...]:
    """The lists that together hold all records of the kind."""
    return tuple(Key(f"{layout.kind}#{shard}", "") for shard in range(index.shards))


def _index_partition(layout: Layout, index: Index, value: str) -> str:
    if not index.shards:
        return joined(layout.kind, value)
    digest = sha256(value.encode(errors="surrogatepass")).digest()
    return joined(layout.kind, str(digest[0] % index.shards))
