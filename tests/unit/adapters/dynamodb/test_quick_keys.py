"""API keys in one call; the ordinary store for whatever goes another way."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from chalicelib.adapters.dynamodb.codec import encode
from chalicelib.adapters.dynamodb.layouts import LAYOUTS
from chalicelib.adapters.dynamodb.quick_keys import QuickKeys
from chalicelib.adapters.hot_client import HotClient, UnexpectedError
from chalicelib.domain.api_keys import ApiKey, KeyKind, Scope
from tests.fakes.store import InMemoryStore
from tests.fakes.system import FakeClock, RecordingMonitor

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
KEY = ApiKey(
    id="key_1",
    name="The shöp",
    kind=KeyKind.PUBLISHABLE,
    scopes=(Scope.CHECK, Scope.PAYWALL_READ),
    digest="d" * 64,
    hint="abcd",
    created_at=MOMENT,
)


class Client:
    """Answers each call with what the test has put there."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.calls: list[tuple[str, bytes]] = []

    def call(self, operation: str, body: bytes) -> Any:
        self.calls.append((operation, body))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Quick:
    def __init__(self, answer: Any) -> None:
        clock = FakeClock()
        self.client = Client(answer)
        self.ordinary = InMemoryStore(clock)
        self.reads: list[str] = []
        self.ordinary.on_get = lambda kind, identity: self.reads.append(kind.__name__)
        self.monitor = RecordingMonitor()
        self.store = QuickKeys(
            stage="t",
            client=cast("HotClient", self.client),
            base=InMemoryStore(clock),
            ordinary=self.ordinary,
            monitor=self.monitor,
        )


@pytest.mark.parametrize(
    "key", [KEY, replace(KEY, revoked_at=MOMENT, revision=2, kind=KeyKind.SECRET)]
)
def test_api_key_is_read_as_the_codec_wrote_it(key: ApiKey) -> None:
    quick = Quick({"Item": {"body": {"S": encode(key)}}})
    assert quick.store.get(ApiKey, "key_1") == key
    assert quick.reads == []


def test_api_key_is_looked_for_where_its_layout_puts_it() -> None:
    quick = Quick({})
    assert quick.store.get(ApiKey, "key_#1%") is None
    place = LAYOUTS[ApiKey].key(("key_#1%",))
    ((operation, body),) = quick.client.calls
    assert operation == "GetItem"
    for part in (place.pk, place.sk, f"paygrade-t-{LAYOUTS[ApiKey].table}"):
        assert f'"{part}"'.encode() in body


def test_id_that_no_key_can_have_is_not_asked_for() -> None:
    quick = Quick({})
    assert quick.store.get(ApiKey, "x" * 2000) is None
    assert quick.client.calls == []


@pytest.mark.parametrize(
    "answer",
    [
        UnexpectedError("status_500"),
        {"Item": {}},
        {"Item": {"body": {"S": "no JSON"}}},
        {"Item": {"body": {"S": '{"id": "key_1", "kind": "of another release"}'}}},
        [],
    ],
)
def test_anything_unexpected_is_left_to_the_ordinary_store(answer: Any) -> None:
    quick = Quick(answer)
    assert quick.store.get(ApiKey, "key_1") is None
    assert quick.reads == ["ApiKey"]
    assert len(quick.monitor.named("hot_read_fell_back")) == 1
