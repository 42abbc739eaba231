"""The `Store` port on DynamoDB."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import islice
from typing import Any, Final

from pynamodb.connection import Connection
from pynamodb.expressions.condition import Condition as Expression
from pynamodb.transactions import TransactWrite

from chalicelib.adapters.dynamodb import catalog, customers, operations
from chalicelib.adapters.dynamodb.codec import decode, encode
from chalicelib.adapters.dynamodb.cursors import Position, from_cursor, to_cursor
from chalicelib.adapters.dynamodb.failures import TransientConflictError, translated
from chalicelib.adapters.dynamodb.layout import Index, Layout
from chalicelib.adapters.dynamodb.tables import Item, models_of
from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.domain.snapshots import Snapshot
from chalicelib.ports import (
    Absent,
    Anyhow,
    AtRevision,
    Clock,
    Condition,
    Delete,
    Page,
    Put,
    R,
    Record,
    Write,
)

LAYOUTS: Final[Mapping[type[Any], Layout]] = {
    **catalog.LAYOUTS,
    **customers.LAYOUTS,
    **operations.LAYOUTS,
}
_MAX_WRITES: Final = 100  # TransactWriteItems takes no more
_TRIES: Final = 6
_FIRST_WAIT_SECONDS: Final = 0.02


class DynamoStore:
    """All records of one environment."""

    def __init__(self, *, stage: str, region: str, endpoint_url: str | None, clock: Clock) -> None:
        """No request is made."""
        self._models = models_of(stage, region, endpoint_url)
        self._connection = Connection(
            region=region,
            host=endpoint_url,
            connect_timeout_seconds=2,
            read_timeout_seconds=5,
            max_retry_attempts=3,
        )
        self._clock = clock

    def get(self, kind: type[R], *identity: str) -> R | None:
        """The record of this type and identity, or None."""
        layout = LAYOUTS[kind]
        model = self._models[layout.table]
        with translated():
            try:
                item = model.get(layout.pk(identity), layout.sk(identity), consistent_read=True)
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
        if layout.index is not None and layout.index.shards and not within:
            return self._sharded(kind, layout, layout.index, limit, from_cursor(cursor))
        prefix = layout.sk(within)
        # A sort prefix never begins another one: only whole values count as "begins with".
        starts = Item.sk.startswith(f"{prefix}#")
        position = from_cursor(cursor)
        with translated():
            found = self._models[layout.table].query(
                layout.pk(within),
                starts,
                consistent_read=True,
                scan_index_forward=not newest_first,
                limit=limit,
                page_size=limit,
                last_evaluated_key=position.key,
            )
            items = list(found)
        return self._page(kind, items, _after(found.last_evaluated_key, 0))

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
        index = layout.index
        if index is None or index.by != by:
            raise ValueError(f"{kind.__name__} is not found by {by}")
        partition = _index_partition(layout, index, value)
        items, key = self._query_index(
            layout, partition, f"{value}#", limit, from_cursor(cursor).key, forward=not newest_first
        )
        return self._page(kind, items, _after(key, 0))

    def commit(self, *writes: Write) -> None:
        """All of the writes are done, or none.

        Always a transaction, even for one write: its client token makes a retry whose first try was applied
        (and whose answer was lost) succeed. A plain conditional put would then fail on its own condition.
        """
        if not writes:
            return
        identities = {(type(write.record), write.record.identity) for write in writes}
        if len(writes) > _MAX_WRITES or len(identities) != len(writes):
            raise ValueError("a commit has at most 100 writes, and no record twice")
        for wait in _waits():
            try:
                with translated():
                    self._transact(writes)
            except TransientConflictError:
                self._clock.sleep(wait)
            else:
                return
        raise StoreUnavailableError("The record is being written by too many at once.")

    def _transact(self, writes: tuple[Write, ...]) -> None:
        with TransactWrite(connection=self._connection) as transaction:
            for write in writes:
                layout = LAYOUTS[type(write.record)]
                item = self._item(write.record, layout)
                condition = _expression(write.condition)
                if isinstance(write, Put):
                    transaction.save(item, condition=condition)
                elif isinstance(write, Delete):
                    transaction.delete(item, condition=condition)
                elif condition is not None:
                    transaction.condition_check(type(item), item.pk, item.sk, condition=condition)

    def _item(self, record: Record, layout: Layout) -> Item:
        identity = record.identity
        item = self._models[layout.table](layout.pk(identity), layout.sk(identity))
        item.kind = layout.kind
        item.rev = _revision(record)
        if isinstance(record, Snapshot):
            # The hot path reads this attribute as it is: no JSON inside JSON.
            item.doc = record.document
        else:
            item.body = encode(record)
        if layout.index is not None:
            value = getattr(record, layout.index.by)
            item.gsi_pk = _index_partition(layout, layout.index, value or identity[-1])
            item.gsi_sk = f"{value or ''}#{layout.index.order(record)}#{'#'.join(identity)}"
        expiry = layout.expires_at(record) if layout.expires_at is not None else None
        if expiry is not None:
            item.ttl = int(expiry.timestamp())
        return item

    def _visible(self, kind: type[R], item: Item) -> R | None:
        if kind is Snapshot:
            customer_id = item.pk.partition("#")[2]
            return kind(customer_id=customer_id, version=int(item.rev), document=item.doc)  # type: ignore[call-arg]  # R is Snapshot here
        record = decode(kind, item.body)
        layout = LAYOUTS[kind]
        # TTL deletes within days: until then, what has expired is hidden here.
        if layout.hides_expired and layout.expires_at is not None:
            expiry = layout.expires_at(record)
            if expiry is not None and expiry <= self._clock.now():
                return None
        return record

    def _page(self, kind: type[R], items: list[Item], position: Position | None) -> Page[R]:
        records = (self._visible(kind, item) for item in items)
        return Page(
            tuple(record for record in records if record is not None),
            to_cursor(position) if position is not None else None,
        )

    def _query_index(
        self,
        layout: Layout,
        partition: str,
        prefix: str | None,
        limit: int,
        key: dict[str, dict[str, str]] | None,
        *,
        forward: bool = True,
    ) -> tuple[list[Item], Any]:
        model = self._models[layout.table]
        with translated():
            found = model.by_index.query(
                partition,
                Item.gsi_sk.startswith(prefix) if prefix is not None else None,
                scan_index_forward=forward,
                limit=limit,
                page_size=limit,
                last_evaluated_key=key,
            )
            return list(found), found.last_evaluated_key

    def _sharded(
        self, kind: type[R], layout: Layout, index: Index, limit: int, position: Position
    ) -> Page[R]:
        items: list[Item] = []
        shard, key = position.shard, position.key
        while shard < index.shards and len(items) < limit:
            partition = f"{layout.kind}#{shard}"
            found, key = self._query_index(layout, partition, None, limit - len(items), key)
            items += found
            if key is None:
                shard += 1
        is_last = shard >= index.shards
        return self._page(kind, items, None if is_last else Position(shard, key))


def _after(key: Any, shard: int) -> Position | None:  # noqa: ANN401 -- DynamoDB's own shape
    return None if key is None else Position(shard, key)


def _index_partition(layout: Layout, index: Index, value: str) -> str:
    if not index.shards:
        return f"{layout.kind}#{value}"
    return f"{layout.kind}#{sha256(value.encode()).digest()[0] % index.shards}"


def _revision(record: Record) -> int:
    number: int = getattr(record, "revision", getattr(record, "version", 0))
    return number


def _expression(condition: Condition) -> Expression | None:
    match condition:
        case Absent():
            return Item.kind.does_not_exist()
        case AtRevision(number=number):
            return Item.rev == number
        case Anyhow():
            return None


def _waits() -> Iterator[float]:
    """Growing pauses between tries; the writers they wait for take a few milliseconds each."""
    return islice((_FIRST_WAIT_SECONDS * 2**tried for tried in range(_TRIES)), _TRIES)
