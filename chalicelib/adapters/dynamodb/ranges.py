"""Lists: ranges of sort keys, of the table or of its index, read page by page."""

from collections.abc import Sequence

from chalicelib.adapters.dynamodb.cursors import Position, malformed_cursor
from chalicelib.adapters.dynamodb.layout import Key, Layout, key_in_table
from chalicelib.adapters.dynamodb.rows import Query, Range, Row, Wire, wire_key


def read_page(
    query: Query,
    layout: Layout,
    ranges: Sequence[Key],
    position: Position,
    *,
    in_index: bool,
    limit: int,
    newest_first: bool,
) -> tuple[list[Row], Position | None]:
    """The next items of these ranges, one after the other, and where to go on; None if nothing follows.

    Of the table strongly consistent, of the index as it was a moment ago.
    """
    if limit < 1:
        raise ValueError("a page has at least one item")
    if not 0 <= position.part < len(ranges):
        raise malformed_cursor()
    found: list[tuple[int, Row]] = []
    after = position.after
    for part in range(position.part, len(ranges)):
        within = ranges[part]
        if within.fits:
            wanted = Range(
                within=within,
                in_index=in_index,
                forward=not newest_first,
                limit=limit + 1 - len(found),  # one more tells whether anything follows
                start=None if after is None else _start(layout, within, after, in_index=in_index),
            )
            found += [(part, row) for row in query(wanted)]
        if len(found) > limit:
            break
        after = None
    page = [row for _, row in found[:limit]]
    if len(found) <= limit:
        return page, None
    last_part, last = found[limit - 1]
    return page, Position(last_part, last.gsi_sk if in_index else last.sk)


def _start(layout: Layout, within: Key, after: str, *, in_index: bool) -> Wire:
    start = Key(within.pk, after)
    if not start.fits or not after.startswith(within.sk):
        raise malformed_cursor()
    if not in_index:
        return wire_key(start)
    try:
        key = key_in_table(layout, after)
    except ValueError as error:
        raise malformed_cursor() from error
    if not key.fits:
        raise malformed_cursor()
    return {**wire_key(key), "gsi_pk": {"S": start.pk}, "gsi_sk": {"S": start.sk}}
