"""Usage counters in memory: exact under threads, in one step with the store's records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeGuard

from chalicelib.domain.errors import StoreConflictError
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.spreading import rested, shards_fenced_by
from chalicelib.domain.usage import (
    Add,
    AddPart,
    Count,
    Counter,
    CountHour,
    CountUsage,
    Drop,
    Hold,
    Keep,
    LayPart,
    Part,
    Replace,
    Rest,
    Shard,
)
from chalicelib.ports import Write

if TYPE_CHECKING:
    from tests.fakes.store import InMemoryStore


class InMemoryUsageLedger:
    """A `UsageLedger` beside an `InMemoryStore`, whose hooks and lock it shares."""

    def __init__(self, store: "InMemoryStore") -> None:
        self.store = store
        self.counters: dict[str, dict[str, Counter]] = {}
        self.holds: dict[str, dict[str, Hold]] = {}
        self.remembered: dict[tuple[str, str], dict[int, int]] = {}
        self.parts: dict[str, dict[int, dict[str, Part]]] = {}

    def forget(self) -> None:
        """Nothing was ever counted."""
        for kept in (self.counters, self.holds, self.remembered, self.parts):
            kept.clear()

    def commit(self, counts: Sequence[Count], *writes: Write) -> None:
        places = {_place(count) for count in counts}
        if len(places) != len(counts) or len(counts) + len(writes) > 100:
            raise ValueError("a commit has at most 100 writes, and nothing twice")
        self.store.commit_with(lambda: self._prepared(counts), writes)

    def hours(
        self, customer_id: CustomerId, counter: str, first_ms: int, last_ms: int
    ) -> Mapping[int, int]:
        found = self.remembered.get((customer_id, counter), {})
        return {at: number for at, number in found.items() if first_ms <= at <= last_ms}

    def of(self, customer_id: str) -> tuple[dict[str, Counter], dict[str, Hold]]:
        return dict(self.counters.get(customer_id, {})), dict(self.holds.get(customer_id, {}))

    def shards(self, snapshot: Snapshot) -> dict[int, Shard]:
        parts = self.parts.get(snapshot.customer_id, {})
        return {
            shard: Shard(version=snapshot.version, parts=dict(parts.get(shard, {})))
            for shard in shards_fenced_by(snapshot.document)
        }

    def _prepared(self, counts: Sequence[Count]) -> Callable[[], None]:
        parts = [(count, self._part_after(count)) for count in counts if _is_of_part(count)]
        after = {
            count.customer_id: self._after(count)
            for count in counts
            if isinstance(count, CountUsage)
        }

        for count in counts:
            if isinstance(count, CountHour) and count.is_exact:
                known = self.remembered.get((count.customer_id, count.counter), {})
                _require(known.get(count.hour_ms) == count.seen)

        def do() -> None:
            for customer_id, (counters, holds) in after.items():
                self.counters[customer_id] = counters
                self.holds[customer_id] = holds
            for count in counts:
                if isinstance(count, CountHour):
                    hours = self.remembered.setdefault((count.customer_id, count.counter), {})
                    value = hours.get(count.hour_ms, 0) + count.delta
                    hours[count.hour_ms] = value if count.value is None else count.value
            for count, part in parts:
                shards = self.parts.setdefault(count.customer_id, {})
                shards.setdefault(count.shard, {})[count.counter] = part

        return do

    def _part_after(self, count: AddPart | LayPart) -> Part:
        snapshot = self.store.records.get((Snapshot, (count.customer_id,)))
        _require(isinstance(snapshot, Snapshot) and snapshot.version == count.version)
        part = self.parts.get(count.customer_id, {}).get(count.shard, {}).get(count.counter)
        if isinstance(count, LayPart):
            _require((part.number if part else 0) == count.seen)
            used = 0 if part is None or count.begins else part.used
            return Part(
                used=used,
                period_start_ms=count.period_start_ms,
                base=used,
                number=count.number,
                layout=count.layout,
            )
        if part is None or part.number != count.number:
            raise StoreConflictError("Another writer was first.")
        _require(count.seen is None or part.used == count.seen)
        _require(count.at_most is None or part.used + count.delta <= count.at_most)
        return replace(part, used=part.used + count.delta)

    def _after(self, count: CountUsage) -> tuple[dict[str, Counter], dict[str, Hold]]:
        counters, holds = self.of(count.customer_id)
        for change in count.changes:
            match change:
                case Add():
                    counters[change.counter] = _added(counters.get(change.counter), change)
                case Replace():
                    _require(counters.get(change.counter) == change.seen)
                    counters[change.counter] = change.becomes
                case Rest(counter=name, period_start_ms=period):
                    counter = counters.get(name)
                    if counter is None or (counter.period_start_ms, counter.held) != (period, 0):
                        raise StoreConflictError("Another writer was first.")
                    counters[name] = replace(counter, period_start_ms=rested(period))
                case Keep(reservation_id=reservation_id, hold=hold):
                    _require(reservation_id not in holds)
                    holds[reservation_id] = hold
                case Drop(reservation_id=reservation_id, hold=hold):
                    _require(holds.pop(reservation_id, None) == hold)
        return counters, holds


def _added(counter: Counter | None, change: Add) -> Counter:
    if counter is None:
        # Like a conditional update: what is not there is neither at most anything nor in a period.
        _require(change.at_most is None and change.period_start_ms == 0)
        counter = Counter(used=0, period_start_ms=0)
    _require(counter.period_start_ms == change.period_start_ms)
    used = counter.used + change.delta
    _require(change.at_most is None or used <= change.at_most)
    return replace(counter, used=used, held=counter.held + change.held)


def _require(holds: bool) -> None:
    if not holds:
        raise StoreConflictError("Another writer was first.")


def _is_of_part(count: Count) -> TypeGuard[AddPart | LayPart]:
    return isinstance(count, AddPart | LayPart)


def _place(count: Count) -> tuple[str, ...]:
    if isinstance(count, CountHour):
        day = str(count.hour_ms // 86_400_000)
        return (count.customer_id, count.counter, day, str(count.shard))
    if isinstance(count, AddPart | LayPart):
        return (count.customer_id, str(count.shard))
    return (count.customer_id,)
