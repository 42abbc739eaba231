"""Audit entries: built here, written in the same commit as the change they tell of."""

from datetime import timedelta
from typing import Final

from chalicelib.domain.audit_log import AuditEntry, Cause
from chalicelib.domain.plain import plain
from chalicelib.ports import Ports

OPERATION: Final = "operation_id"
# A retry comes within the day in which its idempotency key lives; the same key later is another operation.
_RECENT: Final = 100
_RETRIED_FOR: Final = timedelta(hours=25)
TAKEN_OVER: Final = ".converged"
_BOOKKEEPING: Final = frozenset({"revision", "version", "created_at"})


def entry(
    ports: Ports,
    cause: Cause,
    entity: str,
    action: str,
    before: object = None,
    after: object = None,
) -> AuditEntry:
    """The entry for one change of one entity (`plan:pro`).

    `before` and `after` are records or mappings; of two only what differs is kept, of one all of it.
    """
    old, new = plain_fields(before), plain_fields(after)
    if old is not None and new is not None:
        changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
        old = {name: old[name] for name in sorted(changed & old.keys())}
        new = {name: new[name] for name in sorted(changed & new.keys())}
    return AuditEntry(
        id=ports.ids.new("audit_"),
        entity=entity,
        action=action,
        actor=cause.actor,
        cause=cause.request_id,
        at=ports.clock.now(),
        before=old,
        after=new,
        metadata={OPERATION: cause.operation_id},
    )


def was_done(ports: Ports, cause: Cause, entity: str, action: str) -> bool:
    """Whether the entity's latest change is this very operation, done by an earlier try of it, not too long ago."""
    latest = ports.store.list_within(AuditEntry, entity, limit=1, newest_first=True).items
    return any(found.action == action and _is_of(ports, found, cause) for found in latest)


def was_begun(ports: Ports, cause: Cause, entity: str) -> bool:
    """Whether an earlier try of this very operation has written its wish about the entity, not too long ago.

    What it has merely seen and taken over from a provider is no wish.
    """
    recent = ports.store.list_within(AuditEntry, entity, limit=_RECENT, newest_first=True).items
    return any(
        _is_of(ports, found, cause) and not found.action.endswith(TAKEN_OVER) for found in recent
    )


def _is_of(ports: Ports, found: AuditEntry, cause: Cause) -> bool:
    is_recent = ports.clock.now() - found.at < _RETRIED_FOR
    return is_recent and found.metadata.get(OPERATION) == cause.operation_id


def plain_fields(value: object) -> dict[str, object] | None:
    """The record's or mapping's fields as JSON values, without the bookkeeping of versions."""
    if value is None:
        return None
    document = plain(value)
    if not isinstance(document, dict):
        raise TypeError(f"{type(value).__name__} has no fields to compare")
    return {name: item for name, item in document.items() if name not in _BOOKKEEPING}
