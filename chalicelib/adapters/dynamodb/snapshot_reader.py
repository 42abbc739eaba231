"""The check's only read: snapshot and usage of a customer in one Query, without PynamoDB or pydantic."""

from functools import cached_property
from typing import TYPE_CHECKING

from chalicelib.adapters.aws_failures import unavailable_if_passing
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
from chalicelib.domain.ids import CustomerId
from chalicelib.ports import HotRead

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoSnapshotReader:
    """A `SnapshotReader` on botocore."""

    def __init__(self, *, stage: str, region: str, endpoint_url: str | None) -> None:
        """No request is made."""
        self._table = table_name(stage, Table.CUSTOMERS)
        self._region = region
        self._endpoint_url = endpoint_url

    @cached_property
    def _client(self) -> "DynamoDBClient":
        from boto3.session import Session  # noqa: PLC0415 -- 95 ms that describing the API need not pay
        from botocore.config import Config  # noqa: PLC0415

        config = Config(
            connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 3, "mode": "standard"}
        )
        # A session of its own: making clients of the shared one is not safe in threads.
        return Session().client(
            "dynamodb", region_name=self._region, endpoint_url=self._endpoint_url, config=config
        )

    def read(self, customer_id: CustomerId, *, consistent: bool) -> HotRead | None:
        """Snapshot and usage in one request, or None if there is no such customer.

        Snapshot, counters and their shards are small: they are always one page of the query.
        """
        partition = joined(CUSTOMER_PARTITION, customer_id)
        if not fits(partition, MAX_PARTITION_BYTES):
            return None
        with unavailable_if_passing():
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk AND begins_with(sk, :hot)",
                ExpressionAttributeValues={":pk": {"S": partition}, ":hot": {"S": HOT_PREFIX}},
                ConsistentRead=consistent,
            )
        return hot_read_of(answer["Items"])
