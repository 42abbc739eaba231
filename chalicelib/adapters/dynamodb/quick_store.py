"""A `Store` whose reads by identity are one fast call each; everything else is the ordinary store's.

Built lazily behind it, that one costs an invocation nothing which only reads: PynamoDB and botocore are more than half
of a cold start. An API key is even read without the layouts and the codec, because every check begins with one.
"""

import json
from datetime import datetime
from typing import Any, Final, cast

from chalicelib.adapters.dynamodb.hot_client import HotClient, UnexpectedError
from chalicelib.adapters.dynamodb.keys import (
    API_KEY_PARTITION,
    API_KEY_SORT,
    MAX_SORT_BYTES,
    Table,
    fits,
    joined,
    table_name,
)
from chalicelib.domain.api_keys import ApiKey, KeyKind, Scope
from chalicelib.ports import Clock, Monitor, R, Store, StoreInFront

_ODD: Final = (ValueError, KeyError, TypeError, AttributeError)


class QuickStore(StoreInFront):
    """All records of one environment."""

    def __init__(
        self, *, stage: str, client: HotClient, ordinary: Store, clock: Clock, monitor: Monitor
    ) -> None:
        """No request is made."""
        self._stage = stage
        self._client = client
        self.base = ordinary
        self._clock = clock
        self._monitor = monitor

    def get(self, kind: type[R], *identity: str) -> R | None:
        """The record of this type and identity, or None."""
        try:
            if kind is ApiKey:
                return cast("R | None", self._api_key(*identity))
            return self._record(kind, identity)
        except UnexpectedError as error:
            self._monitor.event("hot_read_fell_back", why=str(error))
            return self.base.get(kind, *identity)

    def _api_key(self, key_id: str) -> ApiKey | None:
        sort = joined(API_KEY_SORT, key_id)
        if not fits(sort, MAX_SORT_BYTES):
            return None
        item = self._item(Table.OPERATIONS, API_KEY_PARTITION, sort)
        try:
            return None if item is None else _to_api_key(item["body"]["S"])
        except _ODD as error:
            raise UnexpectedError("odd_answer") from error

    def _record(self, kind: type[R], identity: tuple[str, ...]) -> R | None:
        # Imported late: they bring the whole domain, and pydantic.
        from chalicelib.adapters.dynamodb.codec import decode  # noqa: PLC0415
        from chalicelib.adapters.dynamodb.layout import is_gone  # noqa: PLC0415
        from chalicelib.adapters.dynamodb.layouts import LAYOUTS  # noqa: PLC0415
        from chalicelib.domain.snapshots import Snapshot  # noqa: PLC0415

        if kind is Snapshot:  # the one kind whose text is no JSON inside JSON
            return self.base.get(kind, *identity)
        layout = LAYOUTS[kind]
        key = layout.key(identity)
        if not key.fits:
            return None
        item = self._item(layout.table, key.pk, key.sk)
        if item is None:
            return None
        try:
            ttl = float(item["ttl"]["N"]) if "ttl" in item else None
            body: str = item["body"]["S"]
        except _ODD as error:
            raise UnexpectedError("odd_answer") from error
        return None if is_gone(layout, ttl, self._clock.now()) else decode(kind, body)

    def _item(self, table: Table, pk: str, sk: str) -> dict[str, Any] | None:
        request = {
            "TableName": table_name(self._stage, table),
            "Key": {"pk": {"S": pk}, "sk": {"S": sk}},
            "ConsistentRead": True,
        }
        try:
            answer = self._client.call("GetItem", json.dumps(request).encode())
            item: dict[str, Any] | None = answer.get("Item")
        except _ODD as error:
            raise UnexpectedError("odd_answer") from error
        return item


def _to_api_key(text: str) -> ApiKey:
    stored = json.loads(text)
    revoked_at = stored.get("revoked_at")
    return ApiKey(
        id=stored["id"],
        name=stored["name"],
        kind=KeyKind(stored["kind"]),
        scopes=tuple(Scope(scope) for scope in stored["scopes"]),
        digest=stored["digest"],
        hint=stored["hint"],
        created_at=datetime.fromisoformat(stored["created_at"]),
        revoked_at=None if revoked_at is None else datetime.fromisoformat(revoked_at),
        revision=stored.get("revision", 1),
    )
