"""The `Store` port on DynamoDB, by PynamoDB."""

from typing import Any

from chalicelib.adapters.dynamodb.commits import Committer
from chalicelib.adapters.dynamodb.failures import translated
from chalicelib.adapters.dynamodb.items import visible
from chalicelib.adapters.dynamodb.keys import Table
from chalicelib.adapters.dynamodb.layouts import LAYOUTS
from chalicelib.adapters.dynamodb.lists import Lists
from chalicelib.adapters.dynamodb.rows import Query, Range, Row
from chalicelib.adapters.dynamodb.tables import ConnectionSender, Item, connect, models_of, row_of
from chalicelib.adapters.dynamodb.transactions import Transaction
from chalicelib.ports import Clock, Page, R, Write


class DynamoStore:
    """All records of one environment."""

    def __init__(self, *, stage: str, region: str, endpoint_url: str | None, clock: Clock) -> None:
        """No request is made."""
        self._connection = connect(region, endpoint_url)
        self._models = models_of(stage, self._connection)
        self._sender = ConnectionSender(self._connection)
        self._committer = Committer(stage, self._sender, clock)
        self._lists = Lists(self._query_of, clock)
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
        return visible(kind, row_of(item), self._clock.now())

    def list_within(
        self,
        kind: type[R],
        *within: str,
        limit: int = 100,
        cursor: str | None = None,
        newest_first: bool = False,
    ) -> Page[R]:
        """The records whose identity begins with `within`, in the order of the rest of it."""
        return self._lists.list_within(
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
        """The records whose field `by` has this value, in the index's order."""
        return self._lists.find_by(
            kind, by, value, limit=limit, cursor=cursor, newest_first=newest_first
        )

    def commit(self, *writes: Write) -> None:
        """All of the writes are done, or none."""
        self._committer.commit(writes)

    def send(self, transaction: Transaction) -> None:
        """Everything in the transaction is done, or nothing."""
        self._sender.send(transaction)

    def _query_of(self, table: Table) -> Query:
        model = self._models[table]

        def query(wanted: Range) -> list[Row]:
            options: dict[str, Any] = {
                "scan_index_forward": wanted.forward,
                "limit": wanted.limit,
                "page_size": wanted.limit,
                "last_evaluated_key": wanted.start,
            }
            pk, sk = wanted.within
            with translated():
                if wanted.in_index:
                    place = Item.gsi_sk.startswith(sk) if sk else None
                    found = model.by_index.query(pk, place, **options)
                else:
                    place = Item.sk.startswith(sk)
                    found = model.query(pk, place, consistent_read=True, **options)
                return [row_of(item) for item in found]

        return query
