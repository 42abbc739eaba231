"""Never over a hard limit: 200 workers consume and reserve at once, while the period and the limit change under them.

USAGE_SEEDS=20 .venv/bin/python -m pytest tests/contract/store/test_usage_exact.py
"""

import os
import random
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest

from chalicelib.adapters.dynamodb.keys import Table
from chalicelib.adapters.dynamodb.snapshot_reader import DynamoSnapshotReader
from chalicelib.adapters.dynamodb.store import DynamoStore
from chalicelib.adapters.dynamodb.usage_ledger import DynamoUsageLedger
from chalicelib.domain.errors import (
    ReservationExpiredError,
    StoreConflictError,
    StoreUnavailableError,
)
from chalicelib.domain.features import Feature
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshot_documents import SnapshotDocument, document_text, epoch_ms
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.usage import Counter
from chalicelib.ports import Absent, AtRevision, Ports, Put
from chalicelib.services.consume import Consumption, consume
from chalicelib.services.reserve import commit_reservation, release_reservation, reserve
from tests.contract.store.threads import at_once
from tests.contract.store.worlds import REGION, START, DynamoWorld
from tests.factories import a_feature
from tests.fakes.world import World as Fakes
from tests.whole import WHOLE

pytestmark = pytest.mark.integration

T = TypeVar("T")
ACME = CustomerId("acme")
WORKERS = 200
CALLS = 3
SEEDS = range(int(os.environ.get("USAGE_SEEDS", "20" if WHOLE else "2")))
FEWER_SEEDS = range((len(SEEDS) + 1) // 2)
HOUR = 3_600_000


@dataclass
class Wall:
    """Real time at another date, which can be moved on."""

    start: datetime = START
    moved: timedelta = timedelta()
    began: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        return self.start + self.moved + timedelta(seconds=time.monotonic() - self.began)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def a_snapshot(version: int, limit: int) -> Snapshot:
    document: SnapshotDocument = {
        "version": version,
        "customer_status": "active",
        "sources": [{"type": "plan", "id": "pro", "version": 1, "start": 0}],
        "features": {
            "calls": {
                "type": "metered",
                "shares": [{"source": 0, "limit": limit, "reset": "hour", "calendar": True}],
            }
        },
    }
    return Snapshot(customer_id=ACME, version=version, document=document_text(document))


@dataclass
class Site:
    """One customer of an environment on the emulator, used from all sides."""

    world: DynamoWorld
    limit: int
    wall: Wall = field(default_factory=Wall)

    def __post_init__(self) -> None:
        where: dict[str, Any] = {
            "stage": self.world.stage,
            "region": REGION,
            "endpoint_url": self.world.endpoint_url,
        }
        store = DynamoStore(clock=self.wall, **where)
        ledger = DynamoUsageLedger(clock=self.wall, **where)
        reader = DynamoSnapshotReader(**where)
        self.ports: Ports = replace(
            Fakes().ports, store=store, snapshots=reader, usage=ledger, clock=self.wall
        )
        store.commit(Put(a_feature("calls"), Absent()), Put(a_snapshot(1, self.limit), Absent()))
        # Or each thread would begin by making clients of its own.
        reader.read(ACME, consistent=True)
        ledger.hours(ACME, "calls", 0, 1)
        assert store.get(Feature, "calls") is not None
        self.accepted: list[tuple[int, int, int]] = []
        """Period, snapshot's version and amount of each yes."""
        self.lock = threading.Lock()

    def take(self, amount: int, key: str) -> None:
        wanted = Consumption(customer_id=ACME, feature_id="calls", amount=amount, key=key)
        answer = until_answered(lambda: consume(self.ports, wanted))
        if answer.decision.has_access:
            self.note(answer.decision.period_start_ms, answer.snapshot_version, amount)

    def note(self, period: int | None, version: int | None, amount: int) -> None:
        assert period is not None
        assert version is not None
        with self.lock:
            self.accepted.append((period, version, amount))

    def set_limit(self, version: int, limit: int) -> None:
        changed = Put(a_snapshot(version, limit), AtRevision(number=version - 1))

        def commit() -> None:
            try:
                self.ports.store.commit(changed)
            except StoreConflictError:  # a try whose answer was lost has done it
                assert self.ports.store.get(Snapshot, ACME) == changed.record

        until_answered(commit)

    def counter(self) -> Counter:
        """What a check reads."""
        hot = until_answered(lambda: self.ports.snapshots.read(ACME, consistent=True))
        assert hot is not None
        return hot.usage.get("calls", Counter(0, 0))

    def counted(self) -> dict[int, int]:
        """What the hours remember."""
        return dict(self.ports.usage.hours(ACME, "calls", 0, epoch_ms(START) + 99 * HOUR))

    def in_records(self) -> int:
        """What the records of the keys add up to."""
        return sum(
            int(row["body"]["S"].split('"counted":')[1].split(",")[0])
            for row in self.world.rows(Table.OPERATIONS)
            if row["kind"]["S"] == "usage_record"
        )


def until_answered(call: Callable[[], T]) -> T:
    """What a client does with a 503: the same again."""
    for _ in range(500):
        try:
            return call()
        except StoreUnavailableError:
            time.sleep(random.random() / 5)
    raise AssertionError("never answered")


@pytest.mark.parametrize("seed", SEEDS)
def test_no_more_is_accepted_than_the_limit_whatever_changes(
    emulator_world: DynamoWorld, seed: int
) -> None:
    chance = random.Random(seed)
    first, second = chance.randint(150, 600), chance.randint(20, 250)
    site = Site(emulator_world, first)
    plans = [
        [(chance.randint(1, 3), f"{worker}-{call}") for call in range(CALLS)]
        for worker in range(WORKERS)
    ]
    ended = threading.Event()
    moments = sorted(chance.sample(range(20, WORKERS * CALLS // 3, 5), 2))
    chances = ["period", "limit"]
    chance.shuffle(chances)
    done = 0
    # The counters just after the limit has changed.
    at_change: dict[int, int] = {}

    def change() -> None:
        for moment, what in zip(moments, chances, strict=True):
            while done < moment and not ended.is_set():
                time.sleep(0.002)
            if what == "period":
                site.wall.moved = timedelta(hours=1)
            else:
                site.set_limit(2, second)
                counter = site.counter()
                at_change[counter.period_start_ms] = counter.used

    def work(number: int) -> None:
        nonlocal done
        for amount, key in plans[number]:
            site.take(amount, key)
            done += 1

    changer = threading.Thread(target=change)
    changer.start()
    at_once(work, WORKERS)
    ended.set()
    changer.join()

    by_period: Tally[int] = Tally()
    by_first: Tally[int] = Tally()
    for period, version, amount in site.accepted:
        by_period[period] += amount
        by_first[period] += amount if version == 1 else 0
    assert by_period == site.counted()
    assert sum(by_period.values()) == site.in_records()
    for period, total in by_period.items():
        assert by_first[period] <= first
        # What was accepted under the old limit stays; from the change on nothing comes to more than the new one allows.
        assert total == by_first[period] or total <= second
        assert total <= max(second, at_change.get(period, first))
    last = site.counter()
    assert last.used == by_period[last.period_start_ms]
    # A repetition of everything changes nothing.
    before = len(site.accepted)
    at_once(lambda number: site.take(*plans[number][0]), 32)
    assert site.counted() == dict(by_period)
    assert len(site.accepted) >= before


@pytest.mark.parametrize("seed", FEWER_SEEDS)
def test_nothing_is_accepted_by_a_limit_that_is_no_more(
    emulator_world: DynamoWorld, seed: int
) -> None:
    site = Site(emulator_world, 10_000 + seed)
    ended = threading.Event()
    after_change: dict[int, int] = {}

    def change() -> None:
        version = 1
        while not ended.is_set():
            version += 1
            site.set_limit(version, 10_000 + version)
            after_change[version] = site.counter().used

    def work(number: int) -> None:
        for call in range(6):
            # By what has changed, not by the clock: a slow machine gives the changes no less to do.
            while len(after_change) < call and changer.is_alive():
                time.sleep(0.002)
            site.take(1, f"{number}-{call}")

    changer = threading.Thread(target=change)
    changer.start()
    at_once(work, 48)
    ended.set()
    changer.join()
    assert len(after_change) >= 5
    for version, used in after_change.items():
        earlier = sum(amount for _, by, amount in site.accepted if by < version)
        assert earlier <= used, f"accepted by a limit before version {version}, after it came"
    assert site.counter().used == len(site.accepted) == 48 * 6


@pytest.mark.parametrize("seed", FEWER_SEEDS)
def test_reserved_and_used_together_never_exceed_the_limit(
    emulator_world: DynamoWorld, seed: int
) -> None:
    chance = random.Random(seed)
    limit = chance.randint(20, 60)
    site = Site(emulator_world, limit)
    used: Tally[str] = Tally()

    def work(number: int) -> None:
        own = random.Random(seed * 1000 + number)
        amount = own.randint(1, 3)
        wanted = Consumption(customer_id=ACME, feature_id="calls", amount=amount, key=f"r{number}")
        made = until_answered(lambda: reserve(site.ports, wanted, own.choice((1, 600))))
        if made.reservation is None:
            return
        reservation_id = made.reservation.id
        fate = own.choice(("commit", "part", "release", "leave"))
        if fate == "release":
            again(lambda: release_reservation(site.ports, reservation_id))
        elif fate != "leave":
            share = amount if fate == "commit" else amount // 2
            try:
                again(lambda: commit_reservation(site.ports, reservation_id, share))
            except ReservationExpiredError:
                return
            with site.lock:
                used["units"] += share

    stop = threading.Event()
    highest = 0

    def watch() -> None:
        nonlocal highest
        while not stop.is_set():
            highest = max(highest, site.counter().used)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        at_once(work, 64)
    finally:
        stop.set()
        watcher.join()
    site.wall.moved = timedelta(seconds=1500)
    assert highest <= limit
    assert sum(site.counted().values()) == used["units"] == site.in_records()
    site.take(limit - used["units"], "rest")
    hot = site.ports.snapshots.read(ACME, consistent=True)
    assert hot is not None
    assert (hot.usage["calls"].used, hot.usage["calls"].held, hot.holds) == (limit, 0, {})


def again(call: Callable[[], T]) -> T:
    """What a client does with a conflict that tells to come again."""
    for _ in range(500):
        try:
            return until_answered(call)
        except StoreConflictError:
            time.sleep(random.random() / 5)
    raise AssertionError("never got through")
