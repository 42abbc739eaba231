"""The check's read at a fraction of the SDK's cost: one signed HTTP call on a kept connection.

PynamoDB and botocore spend most of a millisecond of CPU on a read; signing it by hand and parsing it with the
standard library takes a fifth of that. It is an optimisation and nothing else: on anything unexpected (an error
answer, expired credentials, a broken connection twice, a body that reads oddly) the ordinary reader does the same
read, with the SDK's retries and credential refresh.
"""

import contextlib
import json
import ssl
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

from chalicelib.adapters.dynamodb.keys import (
    CUSTOMER_PARTITION,
    HOT_PREFIX,
    MAX_PARTITION_BYTES,
    SNAPSHOT_SORT,
    USAGE_SORT,
    Table,
    fits,
    joined,
    table_name,
)
from chalicelib.adapters.dynamodb.sigv4 import Credentials, Signer
from chalicelib.adapters.dynamodb.usage_items import usage_of
from chalicelib.domain.ids import CustomerId
from chalicelib.ports import Clock, HotRead, Monitor, SnapshotReader

TIMEOUT_SECONDS: Final = 1.0
_MAX_BODY_BYTES: Final = 1 << 20  # DynamoDB never answers more
CredentialsSource = Callable[[], Credentials | None]


class _UnexpectedError(Exception):
    """The fast way did not work out; the message says where, for the log."""


class HotSnapshotReader:
    """A `SnapshotReader` on `http.client`, with another one behind it."""

    def __init__(
        self,
        *,
        stage: str,
        region: str,
        endpoint_url: str | None,
        credentials: CredentialsSource,
        fallback: SnapshotReader,
        clock: Clock,
        monitor: Monitor,
    ) -> None:
        """No request is made. `credentials` gives None when only the SDK knows where to find some."""
        endpoint = urlsplit(endpoint_url or default_endpoint(region))
        self._is_tls = endpoint.scheme == "https"
        self._host = endpoint.hostname or ""
        self._port = endpoint.port
        self._signer = Signer(host=endpoint.netloc, region=region, operation="Query")
        self._credentials = credentials
        self._fallback = fallback
        self._clock = clock
        self._monitor = monitor
        self._idle: deque[HTTPConnection] = deque()
        self._tls: ssl.SSLContext | None = None
        self._body = _query_template(table_name(stage, Table.CUSTOMERS))

    def read(self, customer_id: CustomerId, *, consistent: bool) -> HotRead | None:
        """Snapshot and usage in one request, or None if there is no such customer."""
        partition = joined(CUSTOMER_PARTITION, customer_id)
        if not fits(partition, MAX_PARTITION_BYTES):
            return None
        try:
            return self._read(partition, consistent=consistent)
        except _UnexpectedError as error:
            self._monitor.event("hot_read_fell_back", why=str(error))
            return self._fallback.read(customer_id, consistent=consistent)

    def _read(self, partition: str, *, consistent: bool) -> HotRead | None:
        credentials = self._credentials()
        if credentials is None:
            raise _UnexpectedError("no_credentials")
        body = self._body % (json.dumps(partition).encode(), b"true" if consistent else b"false")
        headers = self._signer.headers(body, credentials, self._clock.now())
        status, text = self._send(body, headers)
        if status != 200:  # noqa: PLR2004 -- the SDK knows what to do about every other one
            raise _UnexpectedError(f"status_{status}")
        try:
            return _hot_read(json.loads(text))
        except (ValueError, KeyError, TypeError) as error:
            raise _UnexpectedError("odd_answer") from error

    def _send(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        # A kept connection may have been closed by the other side since it was used last; that shows only in
        # use. The call reads, so sending it again on a fresh connection is safe.
        for connection in self._candidates():
            try:
                connection.request("POST", "/", body, headers)
                response = connection.getresponse()
                answer = response.status, _whole(response)
            except TimeoutError as error:
                connection.close()
                raise _UnexpectedError("timeout") from error
            except (OSError, HTTPException):
                connection.close()
                continue
            self._idle.append(connection)
            return answer
        raise _UnexpectedError("no_connection")

    def _candidates(self) -> Iterator[HTTPConnection]:
        """An idle connection if there is one, then a fresh one."""
        # Taking from a deque is atomic: no two threads get the same connection.
        with contextlib.suppress(IndexError):
            yield self._idle.pop()
        if self._is_tls:
            yield HTTPSConnection(
                self._host, self._port, timeout=TIMEOUT_SECONDS, context=self._tls_context()
            )
        else:
            yield HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS)

    def close(self) -> None:
        """No connection is kept open."""
        while self._idle:
            self._idle.pop().close()

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def default_endpoint(region: str) -> str:
    """Where DynamoDB is in that region (https://docs.aws.amazon.com/general/latest/gr/ddb.html)."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://dynamodb.{region}.{suffix}"


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


def _whole(response: HTTPResponse) -> bytes:
    text = response.read(_MAX_BODY_BYTES + 1)
    if len(text) > _MAX_BODY_BYTES:
        raise HTTPException("the answer is larger than any that DynamoDB gives")
    return text


def _hot_read(answer: Mapping[str, Any]) -> HotRead | None:
    items = {item["sk"]["S"]: item for item in answer["Items"]}
    if "LastEvaluatedKey" in answer:
        raise ValueError("two items are always one page")
    snapshot = items.get(SNAPSHOT_SORT)
    if snapshot is None:
        return None
    return HotRead(snapshot["doc"]["S"], *usage_of(items.get(USAGE_SORT, {})))
