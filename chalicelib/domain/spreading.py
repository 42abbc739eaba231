"""A counter spread over shards, each of which may be counted up to its own bound without regard to the others.

The bounds are reckoned, not stored: what the limit leaves beyond the bases, in equal parts. A layout writes down the
bases of all shards at once; while it and the snapshot's version stand, everybody reckons the same bounds, and usage
only grows. Either no shard is beyond its bound, or none has room: so what fits a shard fits the limit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from zlib import crc32

from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshot_documents import SnapshotDocument, document_of
from chalicelib.domain.usage import AddPart, Counter, LayPart, Part, Shard

# A change of the snapshot writes each shard, in a transaction of at most 100 parts that may move two customers.
MAX_SHARDS: Final = 32
# What was counted before the counter was spread stays where it was, and is never written again.
REST: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadUsage:
    """A feature's counter is on so many shards; on `total` ever, which are read and fenced for good."""

    count: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A spread counter as it was read. The limit is None where nothing is bounded."""

    customer_id: CustomerId
    counter: str
    version: int
    over: SpreadUsage
    shards: Mapping[int, Shard]
    period_start_ms: int
    limit: int | None

    @property
    def is_torn(self) -> bool:
        """Whether the snapshot was changing while this was read."""
        return any(
            number not in self.shards or self.shards[number].version != self.version
            for number in range(1, self.over.total + 1)
        )

    def laying_out(self) -> tuple[LayPart, ...]:
        """What has to be done before anything is counted; nothing, if the layout is right."""
        parts = {n: self.shards[n].parts.get(self.counter) for n in range(1, self.over.total + 1)}
        layout = f"{self.period_start_ms} {self.limit} {self.over.count}"
        numbers = {part.number if part is not None else 0 for part in parts.values()}
        if len(numbers) == 1 and all(part and part.layout == layout for part in parts.values()):
            return ()
        return tuple(
            LayPart(
                customer_id=self.customer_id,
                counter=self.counter,
                shard=shard,
                version=self.version,
                seen=part.number if part is not None else 0,
                number=max(numbers) + 1,
                layout=layout,
                period_start_ms=self.period_start_ms,
                begins=part is None or part.period_start_ms != self.period_start_ms,
            )
            for shard, part in parts.items()
        )

    def adding(self, delta: int, key: str, *, is_gated: bool) -> tuple[AddPart, ...] | None:
        """What counts so much more, mostly in one shard; None if it is gated and there is no room.

        What is not gated and has no room fills all shards exactly: then none of them has any for others.
        """
        first = self.preferred(key)
        if self.limit is None or not delta:
            return (self._add(first, delta),)
        bounds = self._bounds(self.limit)
        order = [*range(first, self.over.count + 1), *range(1, first)]
        room = {shard: max(0, bounds[shard] - self._part(shard).used) for shard in order}
        whole = next((shard for shard in order if room[shard] >= delta), None)
        if whole is not None:
            return (replace(self._add(whole, delta), at_most=bounds[whole]),)
        if sum(room.values()) >= delta:
            return tuple(self._fitting(delta, order, room, bounds))
        if is_gated:
            return None
        rest = delta - sum(room.values())
        return tuple(
            replace(
                self._add(shard, room[shard] + (rest if shard == first else 0)),
                seen=self._part(shard).used if room[shard] else None,
            )
            for shard in order
            if room[shard] or shard == first
        )

    def preferred(self, key: str) -> int:
        """The shard in which this key is counted if it has room."""
        return crc32(key.encode(errors="replace")) % self.over.count + 1

    def _fitting(
        self, delta: int, order: Sequence[int], room: Mapping[int, int], bounds: Mapping[int, int]
    ) -> list[AddPart]:
        found = []
        for shard in order:
            share = min(delta, room[shard])
            if share:
                found.append(replace(self._add(shard, share), at_most=bounds[shard]))
                delta -= share
        return found

    def _bounds(self, limit: int) -> dict[int, int]:
        bases = sum(self._part(shard).base for shard in range(1, self.over.total + 1))
        rest = self.shards[REST].parts.get(self.counter) if REST in self.shards else None
        if rest is not None and rest.period_start_ms == self.period_start_ms:
            bases += rest.used
        each, more = divmod(max(0, limit - bases), self.over.count)
        return {
            shard: self._part(shard).base + each + (shard <= more)
            for shard in range(1, self.over.count + 1)
        }

    def _part(self, shard: int) -> Part:
        return self.shards[shard].parts[self.counter]

    def _add(self, shard: int, delta: int) -> AddPart:
        return AddPart(
            customer_id=self.customer_id,
            counter=self.counter,
            shard=shard,
            version=self.version,
            number=self._part(shard).number,
            delta=delta,
        )


def spread_over(document: SnapshotDocument, counter: str) -> SpreadUsage | None:
    """Over how many shards the counter is spread, if it is."""
    found = document.get("shards", {}).get(counter)
    return SpreadUsage(count=found[0], total=found[1]) if found is not None else None


def shards_fenced_by(document: str) -> range:
    """The shards that are told of each snapshot of the customer, from its document's text."""
    over = document_of(document).get("shards", {}) if "'shards':" in document else {}
    return range(1, 1 + max((total for _, total in over.values()), default=0))


def resting(counter: Counter | None) -> Counter:
    """The counter as it stays when it is spread: of a period that no count is made in."""
    if counter is None:
        return Counter(0, rested(0))
    return Counter(counter.used, rested(counter.period_start_ms))


def rested(period_start_ms: int) -> int:
    """The period of what rests, told by another number that no period begins at; doing it again undoes it."""
    return -1 - period_start_ms


def gathered(
    counters: Mapping[str, Counter], shards: Mapping[int, Shard]
) -> tuple[dict[str, Counter], dict[int, Shard]]:
    """The counters, each as a whole; and the shards with what rests."""
    whole = dict(counters)
    rest = {
        name: Part(
            used=counter.used,
            period_start_ms=rested(counter.period_start_ms),
            base=counter.used,
            number=0,
            layout="",
        )
        for name, counter in counters.items()
        if counter.period_start_ms < 0
    }
    if not rest:
        return whole, dict(shards)
    every = {REST: Shard(version=0, parts=rest), **shards}
    for name, resting_part in rest.items():
        found = [shard.parts[name] for shard in every.values() if name in shard.parts]
        counted = [part.period_start_ms for part in found if part.number]
        period = max(counted, default=resting_part.period_start_ms)
        used = sum(part.used for part in found if part.period_start_ms == period)
        whole[name] = Counter(used, period)
    return whole, every
