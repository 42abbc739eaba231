"""The `Store` port on DynamoDB."""

from collections.abc import Sequence

from chalicelib.adapters.dynamodb.commits import Committer
from chalicelib.adapters.dynamodb.cursors import from_cursor, list_name, to_cursor
from chalicelib.adapters.dynamodb.failures import translated
from chalicelib.adapters.dynamodb.items import to_record
from chalicelib.adapters.dynamodb.layout import Key, found_by, is_gone, shards
from chalicelib.adapters.dynamodb.layouts import LAYOUTS
from chalicelib.adapters.dynamodb.ranges import read_page
from chalicelib.adapters.dynamodb.tables import Item, connect, models_of
from chalicelib.ports import Clock, Page, R, Write


class DynamoStore:
    """All records of one environment."""

    def __init__(self, *, stage: str, region: str, endpoint_url: str | None, clock: Clock) -> None:
        """No request is made."""
        connection = connect(region, endpoint_url)
        self._models = models_of(stage, connection)
        self._committer = Committer(connection, self._models, clock)
        self._clock = clock

    def get(self, kind: type[R], *identity: str) -> R | None:
        """The record of this type and identity, or None."""
        layout = LAYOUTS[kind]
        model = self._models[layout.table]
        key = layout.key(identity)
        if not key.fits:
            return None
        with translated():
            try:
                item = model.get(key.pk, key.sk, consistent_read=True)
            except model.DoesNotExist:
                return None
        return self._visible(kind, item)

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

    def commit(self, *writes: Write) -> None:
        """All of the writes are done, or none."""
        self._committer.commit(writes)

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
        items, position = read_page(
            self._models[layout.table],
            layout,
            ranges,
            from_cursor(name, cursor),
            in_index=in_index,
            limit=limit,
            newest_first=newest_first,
        )
        records = (self._visible(kind, item) for item in items)
        return Page(
            tuple(record for record in records if record is not None), to_cursor(name, position)
        )

    def _visible(self, kind: type[R], item: Item) -> R | None:
        # TTL deletes within days: until then, what has expired is hidden here.
        if is_gone(LAYOUTS[kind], item.ttl, self._clock.now()):
            return None
        return to_record(kind, item)
