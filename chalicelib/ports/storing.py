"""Where records, snapshots and usage are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol

from chalicelib.domain.usage import Count, Counter, Hold, Shard
from chalicelib.ports.records import R, Record

if TYPE_CHECKING:
    from chalicelib.domain.ids import CustomerId


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """Write only if no such record is there; an expired one is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtRevision:
    """Write only if the stored record's revision (for a snapshot or a customer its version) is this one."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Anyhow:
    """Write whatever is there."""


Condition = Absent | AtRevision | Anyhow


@dataclass(frozen=True, slots=True)
class Put:
    """Store the record whole."""

    record: Record
    condition: Condition


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the record that has this record's type and identity."""

    record: Record
    condition: Condition


@dataclass(frozen=True, slots=True)
class Require:
    """Write nothing here, but let the whole commit depend on this condition."""

    record: Record
    condition: Condition


Write = Put | Delete | Require


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Part of a list; `next_cursor` is None on the last page."""

    items: tuple[R, ...]
    next_cursor: str | None


class Store(Protocol):
    """All records but the hot path's reads. Reads by identity and by `within` are strongly consistent."""

    def get(self, kind: type[R], *identity: str) -> R | None:
        """The record of this type and identity, or None. Expired records are not there."""
        ...

    def list_within(
        self,
        kind: type[R],
        *within: str,
        limit: int = 100,
        cursor: str | None = None,
        newest_first: bool = False,
    ) -> Page[R]:
        """The records whose identity begins with `within`, ordered by the rest of it.

        Of most kinds there are lists within some identities only; others raise ValueError. Customers alone come in
        no particular order: they are too many for one index.

        Raises:
            InvalidError: The cursor is none that this list, in this direction, gave out.
        """
        ...

    def find_by(
        self,
        kind: type[R],
        by: str,
        value: str,
        *,
        limit: int = 100,
        cursor: str | None = None,
        newest_first: bool = False,
    ) -> Page[R]:
        """The records whose field `by` has this value, oldest first; may lag behind commits by a moment.

        Raises:
            InvalidError: The cursor is none that this list, in this direction, gave out.
        """
        ...

    def commit(self, *writes: Write) -> None:
        """All of the writes are done, or none. At most 100; no record twice.

        Raises:
            StoreConflictError: A condition does not hold.
            StoreUnavailableError: The database did not answer: all was written, or nothing.
            InvalidError: A record is too large to be stored (`too_large`).
        """
        ...


@dataclass(frozen=True, slots=True)
class HotRead:
    """What one request to the database tells about a customer: the snapshot's text and its usage.

    `usage` are the counters by name, reservations included; `holds` are the reservations among it, by id.
    `shards` hold the parts of those that are spread.
    """

    document: str
    usage: Mapping[str, Counter]
    holds: Mapping[str, Hold] = field(default_factory=dict)
    shards: Mapping[int, Shard] = field(default_factory=dict)


class SnapshotReader(Protocol):
    """The check's only read."""

    def read(self, customer_id: CustomerId, *, consistent: bool) -> HotRead | None:
        """Snapshot and usage in one request, or None if there is no such customer."""
        ...


class UsageLedger(Protocol):
    """Usage counters and what is remembered of each hour: all that `SnapshotReader` tells of usage is written here."""

    def commit(self, counts: Sequence[Count], *writes: Write) -> None:
        """All of the counts and writes are done, or none. At most 100 together; nothing twice.

        Raises:
            StoreConflictError: A condition does not hold: of a write, or of a count (each says which it has).
            StoreUnavailableError: The database did not answer, or too many count here at once: all was written,
                or nothing.
        """
        ...

    def hours(
        self, customer_id: CustomerId, counter: str, first_ms: int, last_ms: int
    ) -> Mapping[int, int]:
        """What was counted in each hour between the two instants, by its beginning; hours without are left out."""
        ...
