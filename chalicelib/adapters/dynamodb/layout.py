"""How a record's identity becomes keys: declared once per kind, in the file of its table.

A partition key is a prefix and the first values of the identity; the sort key is a prefix and the rest. Ids hold
no `#`, so keys can't run into each other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Table(StrEnum):
    """The tables of an environment, by the last part of their names."""

    CATALOG = "catalog"
    CUSTOMERS = "customers"
    OPERATIONS = "operations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The one way, beside its identity, in which a kind is found: by a field, in the order of another.

    `shards` spreads the index over that many partitions, chosen by the field's value or else by the identity,
    so that a list of everything has no partition that every write goes to.
    """

    by: str
    order: Callable[[Any], str]
    shards: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where records of one kind are. `depth`: how many values of the identity are in the partition key."""

    kind: str
    table: Table
    partition: str
    sort: str
    depth: int
    index: Index | None = None
    expires_at: Callable[[Any], datetime | None] | None = None
    hides_expired: bool = False

    def pk(self, identity: tuple[str, ...]) -> str:
        """The partition key of this identity, or of any that begins with it."""
        return "#".join((self.partition, *identity[: self.depth]))

    def sk(self, identity: tuple[str, ...]) -> str:
        """The sort key of this identity, or what the sort keys of those that begin with it begin with."""
        return "#".join((self.sort, *identity[self.depth :]))
