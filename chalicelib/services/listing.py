"""Whole lists, where they are known to be short."""

from chalicelib.ports import R, Store


def all_within(store: Store, kind: type[R], *within: str) -> tuple[R, ...]:
    """Every record of the kind under this identity, in order, however many pages that takes."""
    found: list[R] = []
    cursor: str | None = None
    while True:
        page = store.list_within(kind, *within, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return tuple(found)
