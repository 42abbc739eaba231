"""The same with the counter on shards: 200 workers, while the period, the limit and the number of shards change.

USAGE_SEEDS=20 .venv/bin/python -m pytest tests/contract/store/test_spread_exact.py
"""

import random
import threading
import time
from collections import Counter as Tally
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from chalicelib.domain.errors import StoreConflictError
from chalicelib.domain.snapshot_documents import document_of, document_text
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.spreading import resting
from chalicelib.domain.usage import Counter, CountUsage, Replace
from chalicelib.ports import AtRevision, Put
from chalicelib.services.consume import Consumption, consume
from chalicelib.services.report_usage import UpdateBehavior, UsageReport, report_usage
from tests.contract.store.test_usage_exact import (
    ACME,
    CALLS,
    FEWER_SEEDS,
    SEEDS,
    WORKERS,
    Site,
    a_snapshot,
    until_answered,
)
from tests.contract.store.threads import at_once
from tests.contract.store.worlds import DynamoWorld

pytestmark = pytest.mark.integration


@dataclass
class SpreadSite(Site):
    """The same customer, whose calls are counted on shards."""

    count: int = 8
    total: int = 8
    version: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        tombstone = Replace(counter="calls", seen=None, becomes=resting(None))
        self.ports.usage.commit(
            [CountUsage(customer_id=ACME, changes=(tombstone,))], self._next(self.limit)
        )

    def _next(self, limit: int) -> Put:
        self.version += 1
        before = a_snapshot(self.version, limit)
        document = document_of(before.document)
        document["shards"] = {"calls": [self.count, self.total]}
        after = replace(before, document=document_text(document))
        return Put(after, AtRevision(number=self.version - 1))

    def change(self, *, limit: int | None = None, count: int | None = None) -> None:
        self.limit = self.limit if limit is None else limit
        self.count = self.count if count is None else count
        self.total = max(self.count, self.total)
        changed = self._next(self.limit)

        def commit() -> None:
            try:
                self.ports.store.commit(changed)
            except StoreConflictError:  # a try whose answer was lost has done it
                assert self.ports.store.get(Snapshot, ACME) == changed.record

        until_answered(commit)

    def take(self, amount: int, key: str) -> None:
        wanted = Consumption(customer_id=ACME, feature_id="calls", amount=amount, key=key)
        answer = until_answered(lambda: consume(self.ports, wanted))
        decision = answer.decision
        if decision.has_access:
            self.note(decision.period_start_ms, answer.snapshot_version, amount)
            return
        counter = self.counter()
        assert decision.usage_limit is not None
        # Usage only grows: what is counted just after a no is at least what was counted when it was told.
        if counter.period_start_ms == decision.period_start_ms:
            assert counter.used + amount > decision.usage_limit, "denied, and there was room"


@pytest.mark.parametrize("seed", SEEDS)
def test_shards_accept_no_more_than_the_limit_whatever_changes(
    emulator_world: DynamoWorld, seed: int
) -> None:
    chance = random.Random(seed)
    first, second = chance.randint(150, 600), chance.randint(20, 250)
    site = SpreadSite(emulator_world, first)
    plans = [
        [(chance.randint(1, 3), f"{worker}-{call}") for call in range(CALLS)]
        for worker in range(WORKERS)
    ]
    ended = threading.Event()
    moments = sorted(chance.sample(range(20, WORKERS * CALLS // 3, 5), 4))
    chances = ["period", "limit", "fewer", "more"]
    chance.shuffle(chances)
    done = 0
    # By period, what was counted just after the limit has changed, and by which version.
    at_change: dict[int, int] = {}
    changed_at = 0

    def change() -> None:
        nonlocal changed_at
        for moment, what in zip(moments, chances, strict=True):
            while done < moment and not ended.is_set():
                time.sleep(0.002)
            if what == "period":
                site.wall.moved = timedelta(hours=1)
            elif what == "limit":
                site.change(limit=second)
                counter = site.counter()
                at_change[counter.period_start_ms] = counter.used
                changed_at = site.version
            else:
                site.change(count=3 if what == "fewer" else 13)

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
        by_first[period] += amount if version < changed_at else 0
    assert by_period == site.counted()
    assert sum(by_period.values()) == site.in_records()
    for period, total in by_period.items():
        assert by_first[period] <= first
        assert total == by_first[period] or total <= second
        assert total <= max(second, at_change.get(period, first))
    last = site.counter()
    assert last.used == by_period[last.period_start_ms]
    # A repetition of everything changes nothing.
    at_once(lambda number: site.take(*plans[number][0]), 32)
    assert site.counted() == dict(by_period)


@pytest.mark.parametrize("seed", FEWER_SEEDS)
def test_nothing_is_accepted_in_shards_by_a_limit_that_is_no_more(
    emulator_world: DynamoWorld, seed: int
) -> None:
    site = SpreadSite(emulator_world, 10_000 + seed)
    ended = threading.Event()
    after_change: dict[int, int] = {}

    def change() -> None:
        # By what was counted, not by the clock: each change is followed by a layout, which a count has to wait for.
        for moment in range(0, 32 * 3, 16):
            while len(site.accepted) < moment and not ended.is_set():
                time.sleep(0.002)
            site.change(limit=site.limit + 1, count=random.Random(site.version).randint(1, 10))
            after_change[site.version] = site.counter().used

    def work(number: int) -> None:
        for call in range(3):
            site.take(1, f"{number}-{call}")

    changer = threading.Thread(target=change)
    changer.start()
    at_once(work, 32)
    ended.set()
    changer.join()
    assert len(after_change) > 3
    for version, used in after_change.items():
        earlier = sum(amount for _, by, amount in site.accepted if by < version)
        assert earlier <= used, f"accepted by a limit before version {version}, after it came"
    assert site.counter().used == len(site.accepted) == 32 * 3


@pytest.mark.parametrize("seed", FEWER_SEEDS)
def test_reports_in_shards_leave_no_room_that_is_not_there(
    emulator_world: DynamoWorld, seed: int
) -> None:
    chance = random.Random(seed)
    limit = chance.randint(40, 120)
    site = SpreadSite(emulator_world, limit)
    reported: Tally[str] = Tally()

    def work(number: int) -> None:
        own = random.Random(seed * 1000 + number)
        amount = own.randint(1, 4)
        if own.random() < 0.6:
            site.take(amount, f"{number}")
            return
        told = UsageReport(
            customer_id=ACME,
            feature_id="calls",
            value=amount,
            behavior=UpdateBehavior.DELTA,
            key=f"t{number}",
        )
        until_answered(lambda: report_usage(site.ports, told))
        with site.lock:
            reported["units"] += amount

    at_once(work, 64)
    taken = sum(amount for _, _, amount in site.accepted)
    assert site.counter() == Counter(taken + reported["units"], site.counter().period_start_ms)
    assert sum(site.counted().values()) == taken + reported["units"] == site.in_records()
    # What was told comes on top, but nobody was ever accepted over the limit.
    assert taken <= limit
