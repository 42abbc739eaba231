"""A store in memory: exact under threads, with hooks where a test wants a crash or a race.

It allows what the tables allow and no more: which lists there are, in what order, and how large a record may be
is read from the same declarations.
"""

import json
import threading
from collections.abc import Callable
from math import ceil
from typing import Any

from chalicelib.adapters.dynamodb.codec import encode
from chalicelib.adapters.dynamodb.layout import index_key
from chalicelib.adapters.dynamodb.layouts import LAYOUTS
from chalicelib.domain.errors import StoreConflictError, invalid
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.spreading import gathered
from chalicelib.ports import (
    Absent,
    AtRevision,
    Clock,
    Counter,
    Delete,
    HotRead,
    Page,
    Put,
    R,
    Record,
    Write,
)
from tests.fakes.usage import InMemoryUsageLedger

Key = tuple[type[Any], tuple[str, ...]]
Place = tuple[str, ...]
Writes = tuple[Write, ...]
Hook = Callable[[Writes], None]
MAX_BYTES = 400 * 1024
MAX_COMMIT_BYTES = 4 * 1024 * 1024


class InMemoryStore:
    """A `Store`. `commits` is what was written; the hooks run just before and just after each commit."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.records: dict[Key, Record] = {}
        self.commits: list[tuple[Write, ...]] = []
        self.before_commit: Hook | None = None
        self.after_commit: Hook | None = None
        self.on_get: Callable[[type[Any], tuple[str, ...]], None] | None = None
        self._lock = threading.RLock()

    def get(self, kind: type[R], *identity: str) -> R | None:
        if self.on_get is not None:
            self.on_get(kind, identity)
        LAYOUTS[kind].key(identity)
        with self._lock:
            record = self.records.get((kind, tuple(str(part) for part in identity)))
        return None if record is None or self._is_hidden(record) else record  # type: ignore[return-value]

    def list_within(
        self,
        kind: type[R],
        *within: str,
        limit: int = 100,
        cursor: str | None = None,
        newest_first: bool = False,
    ) -> Page[R]:
        index = LAYOUTS[kind].index
        if within or index is None or not index.shards:
            LAYOUTS[kind].within(within)
        parts = tuple(str(part) for part in within)

        from_index = index is not None and index.shards > 0 and not within

        def matches(record: Record) -> bool:
            shown = not from_index or index is None or index.only(record)
            return record.identity[: len(parts)] == parts and shown

        name = [kind.__name__, "within", *parts]
        return self._page(
            kind, matches, lambda record: record.identity, name, limit, cursor, newest_first
        )

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
        index = LAYOUTS[kind].index
        if index is None or index.by != by:
            raise ValueError(f"{kind.__name__} is not found by {by}")
        ordered = index.order

        def matches(record: Any) -> bool:
            return bool(value) and getattr(record, by) == value and index.only(record)

        def order(record: Record) -> Place:
            return (ordered(record), *record.identity)

        name = [kind.__name__, by, value]
        return self._page(kind, matches, order, name, limit, cursor, newest_first)

    def commit(self, *writes: Write) -> None:
        if writes:
            self.commit_with(lambda: lambda: None, writes)

    def commit_with(self, prepare: Callable[[], Callable[[], None]], writes: Writes) -> None:
        """The same, together with what `prepare` makes: it refuses by an exception, and what it returns does it."""
        keys = _keys_of(writes)
        if self.before_commit is not None:
            self.before_commit(writes)
        with self._lock:
            if not all(self._holds(write) for write in writes):
                raise StoreConflictError("Another writer was first.")
            prepare()()
            for key, write in zip(keys, writes, strict=True):
                if isinstance(write, Put):
                    self.records[key] = write.record
                elif isinstance(write, Delete):
                    self.records.pop(key, None)
            self.commits.append(writes)
        if self.after_commit is not None:
            self.after_commit(writes)

    def all(self, kind: type[R]) -> list[R]:
        """Every record of the kind, by identity; for assertions."""
        found = [record for (stored, _), record in self.records.items() if stored is kind]
        return sorted(found, key=lambda record: record.identity)  # type: ignore[arg-type]

    def _holds(self, write: Write) -> bool:
        stored = self.records.get((type(write.record), write.record.identity))
        if isinstance(write.condition, Absent):
            return stored is None or self._is_hidden(stored)
        if isinstance(write.condition, AtRevision):
            return stored is not None and _revision(stored) == write.condition.number
        return True

    def _is_hidden(self, record: Record) -> bool:
        layout = LAYOUTS[type(record)]
        if not layout.hides_expired or layout.expires_at is None:
            return False
        expiry = layout.expires_at(record)
        return expiry is not None and ceil(expiry.timestamp()) <= self.clock.now().timestamp()

    def _page(
        self,
        kind: type[R],
        matches: Callable[[Any], bool],
        order: Callable[[Any], Place],
        name: list[str],
        limit: int,
        cursor: str | None,
        newest_first: bool,
    ) -> Page[R]:
        if limit < 1:
            raise ValueError("a page has at least one item")
        name = [*name, str(newest_first)]
        with self._lock:
            found = [
                record
                for (stored, _), record in self.records.items()
                if stored is kind and matches(record) and not self._is_hidden(record)
            ]
        found.sort(key=order, reverse=newest_first)
        if cursor is not None:
            after = _place(name, cursor)
            # A place in the order, not a count: what is written between two pages moves nothing.
            found = [
                one for one in found if (order(one) < after if newest_first else order(one) > after)
            ]
        page, following = found[:limit], None
        if len(found) > limit:
            following = json.dumps([name, order(page[-1])])
        return Page(tuple(page), following)  # type: ignore[arg-type]


def _keys_of(writes: tuple[Write, ...]) -> list[Key]:
    keys = [(type(write.record), write.record.identity) for write in writes]
    if len(set(keys)) != len(keys) or len(keys) > 100:
        raise ValueError("a commit has at most 100 writes, and no record twice")
    total = sum(len(encode(write.record).encode()) for write in writes if isinstance(write, Put))
    if total > MAX_COMMIT_BYTES or not all(_fits(write) for write in writes):
        raise invalid("", "too_large", "The object is larger than the database can hold.")
    return keys


def _fits(write: Write) -> bool:
    record = write.record
    layout = LAYOUTS[type(record)]
    if not layout.key(record.identity).fits:
        return False
    if not isinstance(write, Put):
        return True
    in_index = layout.index is None or index_key(layout, layout.index, record).fits
    return in_index and len(encode(record).encode()) <= MAX_BYTES


def _place(name: list[str], cursor: str) -> Place:
    try:
        given, place = json.loads(cursor)
        if given == name and all(isinstance(part, str) for part in place):
            return tuple(place)
    except (ValueError, TypeError, RecursionError):
        pass
    raise invalid("cursor", "malformed", "The cursor is not one that this list gave out.")


def _revision(record: Record) -> int:
    number: int = getattr(record, "revision", getattr(record, "version", 0))
    return number


class InMemorySnapshotReader:
    """A `SnapshotReader` over an `InMemoryStore`; `reads` counts its requests. Usage is the ledger's or set by hand."""

    def __init__(self, store: InMemoryStore, ledger: InMemoryUsageLedger | None = None) -> None:
        self.store = store
        self.ledger = ledger or InMemoryUsageLedger(store)
        self.reads = 0

    @property
    def usage(self) -> dict[str, dict[str, Counter]]:
        """The counters by customer."""
        return self.ledger.counters

    @usage.setter
    def usage(self, counters: dict[str, dict[str, Counter]]) -> None:
        self.ledger.counters = counters

    def read(self, customer_id: CustomerId, *, consistent: bool) -> HotRead | None:
        self.reads += 1
        snapshot = self.store.get(Snapshot, customer_id)
        if snapshot is None:
            return None
        counters, holds = self.ledger.of(customer_id)
        whole, shards = gathered(counters, self.ledger.shards(snapshot))
        return HotRead(snapshot.document, whole, holds, shards)
