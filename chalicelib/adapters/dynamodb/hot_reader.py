"""The check's read: snapshot and usage of a customer in one hand-signed Query, or else by the ordinary reader."""

import json
from collections.abc import Mapping
from typing import Any

from chalicelib.adapters.dynamodb.keys import (
    CUSTOMER_PARTITION,
    HOT_PREFIX,
    MAX_PARTITION_BYTES,
    Table,
    fits,
    joined,
    table_name,
)
from chalicelib.adapters.dynamodb.usage_items import hot_read_of
from chalicelib.adapters.hot_client import HotClient, UnexpectedError
from chalicelib.domain.ids import CustomerId
from chalicelib.ports import HotRead, Monitor, SnapshotReader


class HotSnapshotReader:
    """A `SnapshotReader` on the fast client, with another reader behind it."""

    def __init__(
        self, *, stage: str, client: HotClient, fallback: SnapshotReader, monitor: Monitor
    ) -> None:
        """No request is made."""
        self._client = client
        self._fallback = fallback
        self._monitor = monitor
        self._body = _query_template(table_name(stage, Table.CUSTOMERS))

    def read(self, customer_id: CustomerId, *, consistent: bool) -> HotRead | None:
        """Snapshot and usage in one request, or None if there is no such customer."""
        partition = joined(CUSTOMER_PARTITION, customer_id)
        if not fits(partition, MAX_PARTITION_BYTES):
            return None
        try:
            return self._read(partition, consistent=consistent)
        except UnexpectedError as error:
            self._monitor.event("hot_read_fell_back", why=str(error))
            return self._fallback.read(customer_id, consistent=consistent)

    def _read(self, partition: str, *, consistent: bool) -> HotRead | None:
        body = self._body % (json.dumps(partition).encode(), b"true" if consistent else b"false")
        answer = self._client.call("Query", body)
        try:
            return _hot_read(answer)
        except (ValueError, KeyError, TypeError) as error:
            raise UnexpectedError("odd_answer") from error


def _query_template(table: str) -> bytes:
    """The Query's body with places for the partition and for consistency, in this order."""
    query = {
        "TableName": table,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :hot)",
        "ExpressionAttributeValues": {":pk": {"S": "@partition"}, ":hot": {"S": HOT_PREFIX}},
        "ConsistentRead": "@consistent",
    }
    text = json.dumps(query, separators=(",", ":")).replace("%", "%%")
    return text.replace('"@partition"', "%b").replace('"@consistent"', "%b").encode()


def _hot_read(answer: Mapping[str, Any]) -> HotRead | None:
    if "LastEvaluatedKey" in answer:
        raise ValueError("snapshot and usage are always one page")
    return hot_read_of(answer["Items"])
