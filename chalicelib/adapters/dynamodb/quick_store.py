"""A `Store` on the fast client, with the ordinary one behind it for whatever goes unexpectedly.

Built with its first use, the ordinary store costs an invocation nothing that goes as it should: PynamoDB and botocore
are more than half of a cold start.
"""

import json
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from chalicelib.adapters.dynamodb.commits import Committer
from chalicelib.adapters.dynamodb.items import visible
from chalicelib.adapters.dynamodb.keys import Table, table_name
from chalicelib.adapters.dynamodb.layouts import LAYOUTS
from chalicelib.adapters.dynamodb.lists import Lists
from chalicelib.adapters.dynamodb.rows import Query, Range, Row, Wire, from_wire, wire_key
from chalicelib.adapters.dynamodb.transactions import Sender, Transaction
from chalicelib.adapters.hot_client import ODD, HotClient, UnexpectedError
from chalicelib.ports import Clock, Monitor, Page, R, Store, Write

T = TypeVar("T")


class OrdinaryStore(Store, Sender, Protocol):
    """What does the same by the SDK, with its retries, credential refresh and names for what went wrong."""


class QuickStore:
    """All records of one environment."""

    def __init__(
        self,
        *,
        stage: str,
        client: HotClient,
        ordinary: OrdinaryStore,
        clock: Clock,
        monitor: Monitor,
    ) -> None:
        """No request is made."""
        self._stage = stage
        self._client = client
        self._ordinary = ordinary
        self._lists = Lists(self._query_of, clock)
        self._committer = Committer(stage, self, clock)
        self._clock = clock
        self._monitor = monitor

    def get(self, kind: type[R], *identity: str) -> R | None:
        """The record of this type and identity, or None."""
        layout = LAYOUTS[kind]
        key = layout.key(identity)
        if not key.fits:
            return None

        def read() -> Row | None:
            request = {
                "TableName": table_name(self._stage, layout.table),
                "Key": wire_key(key),
                "ConsistentRead": True,
            }
            item = self._call("GetItem", request).get("Item")
            return None if item is None else from_wire(item)

        try:
            row = _expected(read)
        except UnexpectedError as error:
            self._monitor.event("hot_read_fell_back", why=str(error))
            return self._ordinary.get(kind, *identity)
        return None if row is None else visible(kind, row, self._clock.now())

    def list_within(
        self,
        kind: type[R],
        *within: str,
        limit: int = 100,
        cursor: str | None = None,
        newest_first: bool = False,
    ) -> Page[R]:
        """The records whose identity begins with `within`, in the order of the rest of it."""
        try:
            return self._lists.list_within(
                kind, *within, limit=limit, cursor=cursor, newest_first=newest_first
            )
        except UnexpectedError as error:
            self._monitor.event("hot_read_fell_back", why=str(error))
            return self._ordinary.list_within(
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
        try:
            return self._lists.find_by(
                kind, by, value, limit=limit, cursor=cursor, newest_first=newest_first
            )
        except UnexpectedError as error:
            self._monitor.event("hot_read_fell_back", why=str(error))
            return self._ordinary.find_by(
                kind, by, value, limit=limit, cursor=cursor, newest_first=newest_first
            )

    def commit(self, *writes: Write) -> None:
        """All of the writes are done, or none."""
        self._committer.commit(writes)

    def send(self, transaction: Transaction) -> None:
        """Everything in the transaction is done, or nothing.

        Nothing but success is believed. Timeline of a lost answer: the transaction is applied, the connection breaks,
        the ordinary way sends the same under the same token, and is told that it is done. Of a failed condition: it
        is sent again, judged anew, and called by its name.
        """
        try:
            self._call("TransactWriteItems", transaction.request())
        except UnexpectedError as error:
            self._monitor.event("hot_commit_fell_back", why=str(error))
            self._ordinary.send(transaction)

    def _query_of(self, table: Table) -> Query:
        name = table_name(self._stage, table)
        return lambda wanted: _expected(lambda: self._query(name, wanted))

    def _query(self, table: str, wanted: Range) -> list[Row]:
        request = _query_request(table, wanted)
        found: list[Row] = []
        while True:
            answer = self._call("Query", {**request, "Limit": wanted.limit - len(found)})
            found += map(from_wire, answer["Items"])
            # DynamoDB ends a page at 1 MB, too, and may name a place to go on from behind which nothing follows.
            following = answer.get("LastEvaluatedKey")
            if following is None or len(found) >= wanted.limit:
                return found
            request["ExclusiveStartKey"] = following

    def _call(self, operation: str, request: Wire) -> Any:  # noqa: ANN401 -- JSON
        return self._client.call(operation, json.dumps(request).encode())


def _query_request(table: str, wanted: Range) -> Wire:
    pk, sk = ("gsi_pk", "gsi_sk") if wanted.in_index else ("pk", "sk")
    condition, values = f"{pk} = :pk", {":pk": {"S": wanted.within.pk}}
    if wanted.within.sk:
        condition += f" AND begins_with({sk}, :sk)"
        values[":sk"] = {"S": wanted.within.sk}
    request: Wire = {
        "TableName": table,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
        "ScanIndexForward": wanted.forward,
        # Of an index there is no other read.
        **({"IndexName": "by_index"} if wanted.in_index else {"ConsistentRead": True}),
    }
    if wanted.start is not None:
        request["ExclusiveStartKey"] = wanted.start
    return request


def _expected(read: Callable[[], T]) -> T:
    """What was read; raises `UnexpectedError` for an answer of another form."""
    try:
        return read()
    except ODD as error:
        raise UnexpectedError("odd_answer") from error
