"""What features and products have in common: made once, edited on condition, archived and back."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, TypeVar

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.errors import AlreadyExistsError, ArchivedError, NotFoundError
from chalicelib.domain.features import Feature, Lifecycle
from chalicelib.domain.products import Product
from chalicelib.ports import Absent, AtRevision, Ports, Put
from chalicelib.services import audit
from chalicelib.services.optimistic import require_version, retried

Item = TypeVar("Item", Feature, Product)

_NOUNS: Final = {Feature: "feature", Product: "product"}
_NO_TIME: Final = datetime.min.replace(tzinfo=UTC)


def create(ports: Ports, cause: Cause, wanted: Item) -> tuple[Item, bool]:
    """The item is there, and whether it was made by this call.

    Raises:
        AlreadyExistsError: Its id is taken by one with other content.
    """
    noun = _NOUNS[type(wanted)]

    def attempt() -> tuple[Item, bool]:
        found = ports.store.get(type(wanted), wanted.id)
        if found is not None:
            if _content(found) == _content(wanted):
                return found, False
            raise AlreadyExistsError(f"The {noun} {wanted.id!r} exists.", param="id")
        entry = audit.entry(ports, cause, f"{noun}:{wanted.id}", f"{noun}.created", after=wanted)
        ports.store.commit(Put(wanted, Absent()), Put(entry, Absent()))
        return wanted, True

    return retried(attempt)


def get(ports: Ports, kind: type[Item], item_id: str) -> Item:
    """The item; raises `NotFoundError` if there is none."""
    found = ports.store.get(kind, item_id)
    if found is None:
        raise NotFoundError(_NOUNS[kind], item_id)
    return found


def edit(
    ports: Ports,
    cause: Cause,
    kind: type[Item],
    item_id: str,
    change: Callable[[Item], Item],
    *,
    version: int | None,
) -> Item:
    """The item after the change. A change of nothing is no change, whatever version was expected.

    Raises:
        NotFoundError: There is no such item.
        ArchivedError: It is archived.
        VersionConflictError: It is at another version than expected.
    """

    def attempt() -> Item:
        current = get(ports, kind, item_id)
        if current.status is Lifecycle.ARCHIVED:
            raise ArchivedError(f"The {_NOUNS[kind]} {item_id!r} is archived; unarchive it first.")
        changed = change(current)
        if changed == current:
            return current
        require_version(version, current.version)
        return _write(ports, cause, current, changed, "updated")

    return retried(attempt)


def set_status(
    ports: Ports,
    cause: Cause,
    kind: type[Item],
    item_id: str,
    status: Lifecycle,
    *,
    allowed: Callable[[], None] = lambda: None,
) -> Item:
    """The item has the status. `allowed` raises when the change can't be made; it runs before each try."""

    def attempt() -> Item:
        current = get(ports, kind, item_id)
        if current.status is status:
            return current
        allowed()
        action = "archived" if status is Lifecycle.ARCHIVED else "unarchived"
        return _write(ports, cause, current, replace(current, status=status), action)

    return retried(attempt)


def _write(ports: Ports, cause: Cause, current: Item, changed: Item, action: str) -> Item:
    stored = replace(changed, version=current.version + 1)
    noun = _NOUNS[type(current)]
    entry = audit.entry(ports, cause, f"{noun}:{current.id}", f"{noun}.{action}", current, stored)
    ports.store.commit(Put(stored, AtRevision(number=current.version)), Put(entry, Absent()))
    return stored


def _content(item: Item) -> Item:
    return replace(item, version=0, status=Lifecycle.ACTIVE, created_at=_NO_TIME)
