"""API keys in one fast call, without the layouts, the codec and the domain behind them: every check begins with one."""

import json
from datetime import datetime
from typing import cast

from chalicelib.adapters.dynamodb.keys import (
    API_KEY_PARTITION,
    API_KEY_SORT,
    MAX_SORT_BYTES,
    Table,
    fits,
    joined,
    table_name,
)
from chalicelib.adapters.hot_client import ODD, HotClient, UnexpectedError
from chalicelib.domain.api_keys import ApiKey, KeyKind, Scope
from chalicelib.ports import Monitor, R, Store, StoreInFront


class QuickKeys(StoreInFront):
    """A `Store` that reads API keys itself; for all others it is the store behind it."""

    def __init__(
        self, *, stage: str, client: HotClient, base: Store, ordinary: Store, monitor: Monitor
    ) -> None:
        """No request is made. `ordinary` is asked for a key where the fast call did not work out."""
        self._table = table_name(stage, Table.OPERATIONS)
        self._client = client
        self.base = base
        self._ordinary = ordinary
        self._monitor = monitor

    def get(self, kind: type[R], *identity: str) -> R | None:
        """The record of this type and identity, or None."""
        if kind is not ApiKey:
            return self.base.get(kind, *identity)
        try:
            return cast("R | None", self._api_key(*identity))
        except UnexpectedError as error:
            self._monitor.event("hot_read_fell_back", why=str(error))
            return self._ordinary.get(kind, *identity)

    def _api_key(self, key_id: str) -> ApiKey | None:
        sort = joined(API_KEY_SORT, key_id)
        if not fits(sort, MAX_SORT_BYTES):
            return None
        request = {
            "TableName": self._table,
            "Key": {"pk": {"S": API_KEY_PARTITION}, "sk": {"S": sort}},
            "ConsistentRead": True,
        }
        try:
            item = self._client.call("GetItem", json.dumps(request).encode()).get("Item")
            return None if item is None else _to_api_key(item["body"]["S"])
        except ODD as error:
            raise UnexpectedError("odd_answer") from error


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
