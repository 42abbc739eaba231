"""A store in front of another: what does only some things itself, and leaves the rest to the one behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chalicelib.ports.records import R
    from chalicelib.ports.storing import Page, Store, Write


class StoreInFront:
    """A `Store` that does everything as `base` does; what inherits from it says what it does otherwise."""

    __slots__ = ()

    base: Store

    def get(self, kind: type[R], *identity: str) -> R | None:
        """The record of this type and identity, or None."""
        return self.base.get(kind, *identity)

    def list_within(
        self,
        kind: type[R],
        *within: str,
        limit: int = 100,
        cursor: str | None = None,
        newest_first: bool = False,
    ) -> Page[R]:
        """The records whose identity begins with `within`, in the order of the rest of it."""
        return self.base.list_within(
            kind, *within, limit=limit, cursor=cursor, newest_first=newest_first
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
        """The records whose field `by` has this value."""
        return self.base.find_by(
            kind, by, value, limit=limit, cursor=cursor, newest_first=newest_first
        )

    def commit(self, *writes: Write) -> None:
        """All of the writes are done, or none."""
        self.base.commit(*writes)
