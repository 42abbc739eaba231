"""The check's only read: snapshot and usage of a customer in one Query, without PynamoDB or pydantic."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.domain.ids import CustomerId
from chalicelib.ports import Counter, HotRead

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Spelled as adapters.dynamodb.customers does, which can't be imported here: it would bring the domain's models.
_PARTITION: Final = "CUST"
_HOT: Final = "HOT#"
_SNAPSHOT: Final = "HOT#ENT"
_USED: Final = "u:"
_PERIOD: Final = "p:"


class DynamoSnapshotReader:
    """A `SnapshotReader` on botocore."""

    def __init__(self, *, stage: str, region: str, endpoint_url: str | None) -> None:
        """No request is made."""
        self._table = f"paygrade-{stage}-customers"
        self._region = region
        self._endpoint_url = endpoint_url

    @cached_property
    def _client(self) -> "DynamoDBClient":
        import boto3  # noqa: PLC0415 -- 95 ms that describing the API need not pay
        from botocore.config import Config  # noqa: PLC0415

        config = Config(
            connect_timeout=1, read_timeout=2, retries={"max_attempts": 3, "mode": "standard"}
        )
        return boto3.client(
            "dynamodb", region_name=self._region, endpoint_url=self._endpoint_url, config=config
        )

    def read(self, customer_id: CustomerId, *, consistent: bool) -> HotRead | None:
        """Snapshot and usage in one request, or None if there is no such customer."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk AND begins_with(sk, :hot)",
                ExpressionAttributeValues={
                    ":pk": {"S": f"{_PARTITION}#{customer_id}"},
                    ":hot": {"S": _HOT},
                },
                ConsistentRead=consistent,
            )
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailableError("The database did not answer.") from error
        document: str | None = None
        usage: dict[str, Counter] = {}
        for item in answer["Items"]:
            if item["sk"]["S"] == _SNAPSHOT:
                document = item["doc"]["S"]
            else:
                usage = _counters(item)
        return None if document is None else HotRead(document, usage)


def _counters(item: dict[str, Any]) -> dict[str, Counter]:
    counters: dict[str, Counter] = {}
    for name, value in item.items():
        if name.startswith(_USED):
            feature_id = name.removeprefix(_USED)
            start = item.get(_PERIOD + feature_id, {}).get("N", "0")
            counters[feature_id] = Counter(used=int(value["N"]), period_start_ms=int(start))
    return counters
