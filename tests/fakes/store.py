"""A store in memory: exact under threads, with hooks where a test wants a crash or a race."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from chalicelib.domain.errors import StoreConflictError, invalid
from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshots import Snapshot
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

Key = tuple[type[Any], tuple[str, ...]]
Hook = Callable[[tuple[Write, ...]], None]
FOUND_BY = {"Customer": "email", "SyncTask": "status", "BillingEvent": "status"}


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
        parts = tuple(str(part) for part in within)

        def matches(record: Record) -> bool:
            return record.identity[: len(parts)] == parts

        return self._page(
            kind, matches, lambda record: record.identity, limit, cursor, newest_first
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
        if FOUND_BY.get(kind.__name__) != by:
            raise ValueError(f"{kind.__name__} is not found by {by}")

        def order(record: Any) -> tuple[str, ...]:
            moment: datetime | None = getattr(record, "received_at", None) or record.created_at
            stamp = moment.isoformat() if moment and kind.__name__ != "Customer" else ""
            return (stamp, *record.identity)

        return self._page(
            kind, lambda record: getattr(record, by) == value, order, limit, cursor, newest_first
        )

    def commit(self, *writes: Write) -> None:
        keys = [(type(write.record), write.record.identity) for write in writes]
        if len(set(keys)) != len(keys) or len(keys) > 100:
            raise ValueError("a commit has at most 100 writes, and no record twice")
        if not writes:
            return
        if self.before_commit is not None:
            self.before_commit(writes)
        with self._lock:
            if not all(self._holds(write) for write in writes):
                raise StoreConflictError("Another writer was first.")
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
        return sorted(found, key=lambda record: record.identity)  # type: ignore[return-value]

    def _holds(self, write: Write) -> bool:
        stored = self.records.get((type(write.record), write.record.identity))
        if isinstance(write.condition, Absent):
            return stored is None
        if isinstance(write.condition, AtRevision):
            return stored is not None and _revision(stored) == write.condition.number
        return True

    def _is_hidden(self, record: Record) -> bool:
        return isinstance(record, IdempotencyRecord) and record.expires_at <= self.clock.now()

    def _page(
        self,
        kind: type[R],
        matches: Callable[[Any], bool],
        order: Callable[[Any], tuple[str, ...]],
        limit: int,
        cursor: str | None,
        newest_first: bool,
    ) -> Page[R]:
        with self._lock:
            found = [
                record
                for (stored, _), record in self.records.items()
                if stored is kind and matches(record) and not self._is_hidden(record)
            ]
        found.sort(key=order, reverse=newest_first)
        if cursor is not None and not cursor.isdecimal():
            raise invalid("cursor", "malformed", "The cursor is not one that this list gave out.")
        start = int(cursor or 0)
        following = str(start + limit) if start + limit < len(found) else None
        return Page(tuple(found[start : start + limit]), following)  # type: ignore[arg-type]


def _revision(record: Record) -> int:
    number: int = getattr(record, "revision", getattr(record, "version", 0))
    return number


class InMemorySnapshotReader:
    """A `SnapshotReader` over an `InMemoryStore`; `reads` counts its requests."""

    def __init__(self, store: InMemoryStore) -> None:
        self.store = store
        self.reads = 0
        self.usage: dict[str, dict[str, Counter]] = {}

    def read(self, customer_id: CustomerId, *, consistent: bool) -> HotRead | None:
        self.reads += 1
        snapshot = self.store.get(Snapshot, customer_id)
        if snapshot is None:
            return None
        return HotRead(snapshot.document, self.usage.get(customer_id, {}))
