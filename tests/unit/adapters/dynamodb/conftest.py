"""A store and a snapshot reader whose database is a script."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.adapters.dynamodb.snapshot_reader import DynamoSnapshotReader
from chalicelib.adapters.dynamodb.store import DynamoStore
from chalicelib.adapters.dynamodb.usage_ledger import DynamoUsageLedger
from tests.fakes.system import FakeClock
from tests.unit.adapters.dynamodb.wire import URL, Scripted, Wire

WHERE: dict[str, Any] = {"stage": "test", "region": "us-east-1", "endpoint_url": URL}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture
def store(clock: FakeClock, _credentials: None) -> DynamoStore:
    """Each test's own: a client that has failed too often stops repeating anything."""
    return DynamoStore(clock=clock, **WHERE)


@pytest.fixture
def ledger(clock: FakeClock, _credentials: None) -> DynamoUsageLedger:
    return DynamoUsageLedger(clock=clock, **WHERE)


@pytest.fixture
def reader(_credentials: None) -> DynamoSnapshotReader:
    return DynamoSnapshotReader(**WHERE)


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long botocore slept between its tries; nobody waits for it."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.fixture
def database(store: DynamoStore) -> Callable[..., Wire]:
    """Makes the store's database answer by this script from now on."""
    return lambda *script: _scripted(store._connection.client, script)


@pytest.fixture
def usage_database(ledger: DynamoUsageLedger) -> Callable[..., Wire]:
    """Makes the ledger's database answer by this script from now on."""
    return lambda *script: _scripted(ledger._connection.client, script)


@pytest.fixture
def hot_database(reader: DynamoSnapshotReader) -> Callable[..., Wire]:
    """Makes the reader's database answer by this script from now on."""
    return lambda *script: _scripted(reader._client, script)


def _scripted(client: Any, script: tuple[Scripted, ...]) -> Wire:
    wire = Wire(list(script))
    wire.attach(client)
    return wire
