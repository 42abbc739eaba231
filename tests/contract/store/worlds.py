"""The stores under test, each with its snapshot reader, its clock and a hand in its rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from chalicelib.adapters.dynamodb.keys import Table, table_name
from chalicelib.adapters.dynamodb.quick_keys import QuickKeys
from chalicelib.adapters.dynamodb.quick_store import QuickStore
from chalicelib.adapters.dynamodb.snapshot_reader import DynamoSnapshotReader
from chalicelib.adapters.dynamodb.store import DynamoStore
from chalicelib.adapters.dynamodb.usage_ledger import DynamoUsageLedger
from chalicelib.adapters.hot_client import HotClient
from chalicelib.adapters.sigv4 import Credentials
from chalicelib.adapters.system import SystemClock
from chalicelib.ports import Counter, R, SnapshotReader, Store, UsageLedger
from tests.fakes.store import InMemorySnapshotReader, InMemoryStore
from tests.fakes.system import FakeClock, RecordingMonitor

REGION = "us-east-1"
# Later than any real now: engines that really sweep expired rows leave ours alone.
START = datetime(2090, 1, 15, 12, 0, tzinfo=UTC)


class World(Protocol):
    """One empty environment."""

    clock: FakeClock

    @property
    def store(self) -> Store: ...

    @property
    def reader(self) -> SnapshotReader: ...

    @property
    def usage(self) -> UsageLedger: ...

    def use(self, customer_id: str, usage: Mapping[str, Counter]) -> None: ...


@dataclass
class MemoryWorld:
    clock: FakeClock = field(default_factory=lambda: FakeClock(START))

    def __post_init__(self) -> None:
        self.store = InMemoryStore(self.clock)
        self.reader = InMemorySnapshotReader(self.store)
        self.usage = self.reader.ledger

    def use(self, customer_id: str, usage: Mapping[str, Counter]) -> None:
        self.reader.usage[customer_id] = dict(usage)


@dataclass
class DynamoWorld:
    stage: str
    client: Any
    """Of the engine itself, for what no port offers."""
    endpoint_url: str | None = None
    clock: FakeClock = field(default_factory=lambda: FakeClock(START))

    def __post_init__(self) -> None:
        where: dict[str, Any] = {
            "stage": self.stage,
            "region": REGION,
            "endpoint_url": self.endpoint_url,
        }
        self.store = DynamoStore(clock=self.clock, **where)
        self.reader = DynamoSnapshotReader(**where)
        self.usage = DynamoUsageLedger(clock=self.clock, **where)

    def use(self, customer_id: str, usage: Mapping[str, Counter]) -> None:
        """Writes the usage item by hand, as releases did that knew no reservations."""
        counters = {f"u:{name}": {"N": str(counter.used)} for name, counter in usage.items()}
        starts = {
            f"p:{name}": {"N": str(counter.period_start_ms)}
            for name, counter in usage.items()
            if counter.period_start_ms
        }
        keys = {"pk": {"S": f"CUST#{customer_id}"}, "sk": {"S": "HOT#USE"}}
        self.put_row(Table.CUSTOMERS, {**keys, **counters, **starts})

    def put_row(self, table: Table, row: Mapping[str, Any]) -> None:
        self.client.put_item(TableName=table_name(self.stage, table), Item=dict(row))

    def rows(self, table: Table) -> list[dict[str, Any]]:
        answer = self.client.scan(TableName=table_name(self.stage, table), ConsistentRead=True)
        found: list[dict[str, Any]] = answer["Items"]
        return found


@dataclass
class QuickWorld(DynamoWorld):
    """The same with the store that speaks by hand-signed calls."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.monitor = RecordingMonitor()
        self.hot_client = HotClient(
            region=REGION,
            endpoint_url=self.endpoint_url,
            credentials=lambda: Credentials("local", "local"),
            clock=SystemClock(),
            # Nobody waits here, and a busy machine must not look like a call that went wrong.
            timeout_seconds=30.0,
        )
        self.quick = QuickKeys(
            stage=self.stage,
            client=self.hot_client,
            base=QuickStore(
                stage=self.stage,
                client=self.hot_client,
                ordinary=self.store,
                clock=self.clock,
                monitor=self.monitor,
            ),
            ordinary=self.store,
            monitor=self.monitor,
        )


@dataclass(frozen=True)
class Presented:
    """A world whose `store` is another one of it."""

    clock: FakeClock
    store: Store
    reader: SnapshotReader
    usage: UsageLedger
    use: Callable[[str, Mapping[str, Counter]], None]


def drain(
    read: Any,
    *,
    limit: int,
    newest_first: bool = False,
) -> list[Any]:
    """All records of a list, page by page; every page but the last is full, and the last is not empty by chance."""
    found: list[Any] = []
    cursor: str | None = None
    while True:
        page = read(limit=limit, cursor=cursor, newest_first=newest_first)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found
        assert len(page.items) == limit


def ids(records: list[R]) -> list[str]:
    return [record.identity[-1] for record in records]
