"""Trying changes out: the services run as they do in earnest, and nothing of it reaches the database or a queue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chalicelib.domain.errors import StoreConflictError
from chalicelib.ports import (
    Absent,
    AtRevision,
    Delete,
    Message,
    Page,
    Ports,
    Put,
    QueueDepth,
    QueueName,
    R,
    Record,
    Store,
    StoreInFront,
    Write,
)
from chalicelib.services.listing import all_within

_Key = tuple[type[Any], tuple[str, ...]]


def rehearsed(ports: Ports) -> Ports:
    """The same environment as far as anybody can see, but what is written is seen by these ports alone."""
    return replace(ports, store=RehearsalStore(ports.store), queue=_NoQueue())


@dataclass(slots=True)
class RehearsalStore(StoreInFront):
    """A `Store` whose commits stay in memory, over one that is only read, and each thing of it only once.

    What is found by a field is what the base finds: no service looks in this way for what it has just written.
    """

    base: Store
    _written: dict[_Key, Record | None] = field(default_factory=dict)
    _read: dict[_Key, Record | None] = field(default_factory=dict)
    _listed: dict[_Key, tuple[Any, ...]] = field(default_factory=dict)

    def get(self, kind: type[R], *identity: str) -> R | None:
        """What was written here, or else what the base has."""
        key = _key(kind, identity)
        if key in self._written:
            return self._written[key]  # type: ignore[return-value]
        if key not in self._read:
            self._read[key] = self.base.get(kind, *identity)
        return self._read[key]  # type: ignore[return-value]

    def list_within(
        self,
        kind: type[R],
        *within: str,
        limit: int = 100,
        cursor: str | None = None,
        newest_first: bool = False,
    ) -> Page[R]:
        """All of the list in one page, whatever the limit, as long as something of the kind was written."""
        if not any(written is kind for written, _ in self._written):
            return self.base.list_within(
                kind, *within, limit=limit, cursor=cursor, newest_first=newest_first
            )
        key = _key(kind, within)
        if key not in self._listed:
            self._listed[key] = all_within(self.base, kind, *within)
        found: dict[tuple[str, ...], Any] = {one.identity: one for one in self._listed[key]}
        for (written, identity), record in self._written.items():
            if written is kind and identity[: len(within)] == key[1]:
                found[identity] = record
        items = [one for _, one in sorted(found.items()) if one is not None]
        return Page(tuple(reversed(items) if newest_first else items), None)

    def commit(self, *writes: Write) -> None:
        """As the base would, but in memory; raises `StoreConflictError`."""
        if not all(self._holds(write) for write in writes):
            raise StoreConflictError("Another writer was first.")
        for write in writes:
            key = _key(type(write.record), write.record.identity)
            if isinstance(write, Put):
                self._written[key] = write.record
            elif isinstance(write, Delete):
                self._written[key] = None

    def _holds(self, write: Write) -> bool:
        stored = self.get(type(write.record), *write.record.identity)
        if isinstance(write.condition, Absent):
            return stored is None
        if isinstance(write.condition, AtRevision):
            number = getattr(stored, "revision", getattr(stored, "version", None))
            return number == write.condition.number
        return True


class _NoQueue:
    """A `Queue` that delivers nothing."""

    def send(self, message: Message) -> None:
        """The message is forgotten."""

    def postpone(self, queue: QueueName, receipt: str, seconds: int) -> None:
        """There is none."""

    def depths(self) -> Mapping[QueueName, QueueDepth]:
        """There is nothing in it."""
        return {}


def _key(kind: type[Any], identity: Sequence[str]) -> _Key:
    return kind, tuple(str(part) for part in identity)
