"""The audit log: who changed what, why, from what to what; each entity's entries are a chain that shows tampering."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

_POSITION_DIGITS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """On whose behalf and by which request or event something happens.

    `operation_id` is equal for a retry of the same operation, so that ids derived from it are equal too.
    """

    actor: str
    request_id: str
    operation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change of one entity (`plan:pro`, `customer:acme`); ids sort by time.

    `sequence` counts the entity's entries from 1, `hash` is of all the entry holds and of the hash before it. An
    entry that is not in its chain yet has 0 and none: the store gives it its place (`services.audit_chain`).
    """

    id: str
    entity: str
    action: str
    actor: str
    cause: str
    at: datetime
    before: Mapping[str, object] | None = None
    after: Mapping[str, object] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    sequence: int = 0
    previous_hash: str = ""
    hash: str = ""

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one entry from another, by entity: its place in the chain, so that no place is taken twice."""
        return (self.entity, f"{self.sequence:0{_POSITION_DIGITS}d}" if self.sequence else self.id)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of an entity's chain."""

    sequence: int = 0
    hash: str = ""


def head_of(entry: AuditEntry) -> Head:
    """The end of the chain that the entry is the last of."""
    return Head(entry.sequence, entry.hash)


def linked(entry: AuditEntry, head: Head) -> AuditEntry:
    """The entry as the next of the chain."""
    placed = replace(entry, sequence=head.sequence + 1, previous_hash=head.hash)
    return replace(placed, hash=hash_of(placed))


def hash_of(entry: AuditEntry) -> str:
    """The SHA-256, in hexadecimal, of everything that the entry holds but its own hash, as canonical JSON."""
    content = {
        "id": entry.id,
        "entity": entry.entity,
        "action": entry.action,
        "actor": entry.actor,
        "cause": entry.cause,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "before": entry.before,
        "after": entry.after,
        "metadata": dict(entry.metadata),
        "sequence": entry.sequence,
        "previous_hash": entry.previous_hash,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class BrokenLink:
    """Where a chain is not as it was written, and how that shows."""

    sequence: int
    detail: str


def broken_links(entity: str, entries: Iterable[AuditEntry]) -> Iterator[BrokenLink]:
    """What is wrong with the entity's chain, given from its first entry on. That its end is missing can't be seen."""
    head = Head()
    for entry in entries:
        expected = head.sequence + 1
        if entry.sequence != expected:
            yield BrokenLink(expected, f"is missing: the next entry is number {entry.sequence}")
        elif entry.previous_hash != head.hash:
            yield BrokenLink(entry.sequence, "does not follow from the entry before it")
        if entry.entity != entity or entry.hash != hash_of(entry):
            yield BrokenLink(entry.sequence, "is not what was written")
        head = head_of(entry)
