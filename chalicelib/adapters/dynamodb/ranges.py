"""Lists: ranges of sort keys, of the table or of its index, read page by page."""

from collections.abc import Sequence
from typing import Any

from chalicelib.adapters.dynamodb.cursors import Position, malformed_cursor
from chalicelib.adapters.dynamodb.failures import translated
from chalicelib.adapters.dynamodb.layout import Key, Layout, key_in_table
from chalicelib.adapters.dynamodb.tables import Item


def read_page(
    model: type[Item],
    layout: Layout,
    ranges: Sequence[Key],
    position: Position,
    *,
    in_index: bool,
    limit: int,
    newest_first: bool,
) -> tuple[list[Item], Position | None]:
    """The next items of these ranges, one after the other, and where to go on; None if nothing follows.

    Of the table strongly consistent, of the index as it was a moment ago.
    """
    if limit < 1:
        raise ValueError("a page has at least one item")
    if not 0 <= position.part < len(ranges):
        raise malformed_cursor()
    read = _Reader(model, layout, in_index=in_index, forward=not newest_first)
    found: list[tuple[int, Item]] = []
    after = position.after
    for part in range(position.part, len(ranges)):
        wanted = limit + 1 - len(found)  # one more tells whether anything follows
        found += [(part, item) for item in read(ranges[part], after, wanted)]
        if len(found) > limit:
            break
        after = None
    page = [item for _, item in found[:limit]]
    if len(found) <= limit:
        return page, None
    last_part, last = found[limit - 1]
    return page, Position(last_part, last.gsi_sk if in_index else last.sk)


class _Reader:
    """Queries of one table, or of its index."""

    def __init__(self, model: type[Item], layout: Layout, *, in_index: bool, forward: bool) -> None:
        self._model = model
        self._layout = layout
        self._in_index = in_index
        self._forward = forward

    def __call__(self, within: Key, after: str | None, limit: int) -> list[Item]:
        """The items of the range, from after that sort key on."""
        if not within.fits:
            return []
        wanted: dict[str, Any] = {
            "scan_index_forward": self._forward,
            "limit": limit,
            "page_size": limit,
            "last_evaluated_key": self._start(within, after),
        }
        with translated():
            if self._in_index:
                place = Item.gsi_sk.startswith(within.sk) if within.sk else None
                return list(self._model.by_index.query(within.pk, place, **wanted))
            place = Item.sk.startswith(within.sk)
            return list(self._model.query(within.pk, place, consistent_read=True, **wanted))

    def _start(self, within: Key, after: str | None) -> dict[str, Any] | None:
        if after is None:
            return None
        start = Key(within.pk, after)
        if not start.fits or not after.startswith(within.sk):
            raise malformed_cursor()
        if not self._in_index:
            return _attributes(pk=start.pk, sk=start.sk)
        try:
            key = key_in_table(self._layout, after)
        except ValueError as error:
            raise malformed_cursor() from error
        if not key.fits:
            raise malformed_cursor()
        return _attributes(pk=key.pk, sk=key.sk, gsi_pk=start.pk, gsi_sk=start.sk)


def _attributes(**key: str) -> dict[str, Any]:
    return {name: {"S": text} for name, text in key.items()}
