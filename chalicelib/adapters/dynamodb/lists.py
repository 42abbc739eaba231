"""A store's lists, whichever way their rows are read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chalicelib.adapters.dynamodb.cursors import from_cursor, list_name, to_cursor
from chalicelib.adapters.dynamodb.items import visible
from chalicelib.adapters.dynamodb.keys import Table
from chalicelib.adapters.dynamodb.layout import Key, found_by, shards
from chalicelib.adapters.dynamodb.layouts import LAYOUTS
from chalicelib.adapters.dynamodb.ranges import read_page
from chalicelib.adapters.dynamodb.rows import Query
from chalicelib.ports import Clock, Page, R


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists of one environment; `query_of` gives what reads the rows of a table."""

    query_of: Callable[[Table], Query]
    clock: Clock

    def list_within(
        self,
        kind: type[R],
        *within: str,
        limit: int = 100,
        cursor: str | None = None,
        newest_first: bool = False,
    ) -> Page[R]:
        """The records whose identity begins with `within`, in the order of the rest of it."""
        layout = LAYOUTS[kind]
        index = layout.index
        in_shards = index is not None and index.shards > 0 and not within
        return self._page(
            kind,
            shards(layout, index) if index is not None and in_shards else (layout.within(within),),
            limit,
            cursor,
            in_index=in_shards,
            newest_first=newest_first,
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
        """The records whose field `by` has this value, in the index's order."""
        layout = LAYOUTS[kind]
        if layout.index is None or layout.index.by != by:
            raise ValueError(f"{kind.__name__} is not found by {by}")
        if not value:
            # Records without a value are in the index too, under an empty one; nobody means those.
            return Page((), None)
        ranges = (found_by(layout, layout.index, value),)
        return self._page(kind, ranges, limit, cursor, in_index=True, newest_first=newest_first)

    def _page(
        self,
        kind: type[R],
        ranges: Sequence[Key],
        limit: int,
        cursor: str | None,
        *,
        in_index: bool,
        newest_first: bool,
    ) -> Page[R]:
        layout = LAYOUTS[kind]
        name = list_name(layout.kind, *(part for key in ranges for part in key), str(newest_first))
        rows, position = read_page(
            self.query_of(layout.table),
            layout,
            ranges,
            from_cursor(name, cursor),
            in_index=in_index,
            limit=limit,
            newest_first=newest_first,
        )
        records = (visible(kind, row, self.clock.now()) for row in rows)
        return Page(
            tuple(record for record in records if record is not None), to_cursor(name, position)
        )
