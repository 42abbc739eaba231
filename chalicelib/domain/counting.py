"""Which changes count a report: pure arithmetic on what was read of the customer's usage.

The period is part of each change: a counter of another period is replaced, in the same conditional step that counts,
so that nothing has to run when a period ends. What is needed exactly (what goes up and down, what has a highest or a
latest value) is replaced as it was seen; all else is added blindly, with the limit as the condition.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from chalicelib.domain.decisions import Decision, Question, decide
from chalicelib.domain.snapshot_documents import SnapshotDocument
from chalicelib.domain.usage import Add, Counter, Drop, Hold, Keep, Replace, UsageChange, usage_at
from chalicelib.domain.usage_scopes import counter_name

# Clocks of different machines differ by less.
MAX_SKEW_MS: Final = 5 * 60 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """Where a counter stands in a period: what is stored, perhaps of another one, and what has expired of it."""

    name: str
    period_start_ms: int
    stored: Counter | None
    expired: tuple[tuple[str, Hold], ...] = ()

    @property
    def is_current(self) -> bool:
        """Whether the stored counter is of this period."""
        return self.stored is not None and self.stored.period_start_ms == self.period_start_ms

    @property
    def reclaimed(self) -> int:
        """Units that expired reservations have left in the counter of this period."""
        return sum(
            hold.amount
            for _, hold in self.expired
            if self.is_current and hold.period_start_ms == self.period_start_ms
        )

    @property
    def held(self) -> int:
        """Units that reservations hold now."""
        if self.stored is None or not self.is_current:
            return 0
        return self.stored.held - self.reclaimed

    @property
    def used(self) -> int:
        """Units that were used in this period, without reservations."""
        if self.stored is None or not self.is_current:
            return 0
        return self.stored.used - self.stored.held


def gauge_of(
    counters: Mapping[str, Counter],
    holds: Mapping[str, Hold],
    name: str,
    period_start_ms: int,
    now_ms: int,
) -> Gauge:
    """Where this counter stands."""
    expired = [
        (reservation_id, hold)
        for reservation_id, hold in sorted(holds.items())
        if hold.counter == name and hold.expires_ms <= now_ms
    ]
    return Gauge(
        name=name,
        period_start_ms=period_start_ms,
        stored=counters.get(name),
        expired=tuple(expired),
    )


def adding(gauge: Gauge, delta: int, *, at_most: int | None = None) -> tuple[UsageChange, ...]:
    """Count `delta` more, whoever else counts at the same time; `at_most` bounds the sum with all reservations."""
    if not gauge.is_current:
        return setting(gauge, delta)
    add = Add(
        counter=gauge.name,
        period_start_ms=gauge.period_start_ms,
        delta=delta - gauge.reclaimed,
        held=-gauge.reclaimed,
        at_most=at_most,
    )
    return (add, *_drops(gauge))


def setting(gauge: Gauge, used: int, *, at_ms: int = 0) -> tuple[UsageChange, ...]:
    """Let `used` be what was used in this period, if nobody else has counted since it was read."""
    becomes = Counter(
        used=used + gauge.held,
        period_start_ms=gauge.period_start_ms,
        held=gauge.held,
        at_ms=at_ms,
    )
    return (Replace(counter=gauge.name, seen=gauge.stored, becomes=becomes), *_drops(gauge))


def holding(
    gauge: Gauge, reservation_id: str, hold: Hold, *, at_most: int | None
) -> tuple[UsageChange, ...]:
    """Count what is reserved, and write down until when."""
    keep = Keep(reservation_id=reservation_id, hold=hold)
    if not gauge.is_current:
        becomes = Counter(used=hold.amount, period_start_ms=gauge.period_start_ms, held=hold.amount)
        replaced = Replace(counter=gauge.name, seen=gauge.stored, becomes=becomes)
        return (replaced, keep, *_drops(gauge))
    add = Add(
        counter=gauge.name,
        period_start_ms=gauge.period_start_ms,
        delta=hold.amount - gauge.reclaimed,
        held=hold.amount - gauge.reclaimed,
        at_most=at_most,
    )
    return (add, keep, *_drops(gauge))


def settling(
    counter: Counter | None, reservation_id: str, hold: Hold, used: int
) -> tuple[UsageChange, ...]:
    """So much of the reservation was used, and the rest is free again.

    If the period it was made in is over, its counter is gone, and only the reservation is struck out.
    """
    drop = Drop(reservation_id=reservation_id, hold=hold)
    if counter is None or counter.period_start_ms != hold.period_start_ms:
        return (drop,)
    add = Add(
        counter=hold.counter,
        period_start_ms=hold.period_start_ms,
        delta=used - hold.amount,
        held=-hold.amount,
    )
    return (add, drop)


def standing(
    document: SnapshotDocument,
    counters: Mapping[str, Counter],
    holds: Mapping[str, Hold],
    feature_id: str,
    question: Question,
    now_ms: int,
) -> tuple[Decision, int]:
    """The decision, and the instant it is made for.

    That is now, unless the counter is already in the next period: then another machine's clock is ahead of ours, and
    to go by ours would count in a period that is over.
    """
    decision = decide(document, usage_at(counters, holds, now_ms), feature_id, question, now_ms)
    stored = counters.get(counter_name(feature_id, question.resource_id))
    begun = decision.period_start_ms
    if begun is None or stored is None:
        return decision, now_ms
    ahead_ms = stored.period_start_ms
    if now_ms < ahead_ms <= now_ms + MAX_SKEW_MS:
        usage = usage_at(counters, holds, ahead_ms)
        later = decide(document, usage, feature_id, question, ahead_ms)
        # Not so if periods are reckoned otherwise since.
        if later.period_start_ms == ahead_ms:
            return later, ahead_ms
    return decision, now_ms


def setting_to_settle(
    counter: Counter | None, reservation_id: str, hold: Hold, used: int
) -> tuple[tuple[UsageChange, ...], int | None]:
    """The same for what goes up and down, and how much is used then; None if the reservation's period is over."""
    drop = Drop(reservation_id=reservation_id, hold=hold)
    if counter is None or counter.period_start_ms != hold.period_start_ms:
        return (drop,), None
    becomes = replace(
        counter, used=counter.used - hold.amount + used, held=counter.held - hold.amount
    )
    change = Replace(counter=hold.counter, seen=counter, becomes=becomes)
    return (change, drop), becomes.used - becomes.held


def _drops(gauge: Gauge) -> tuple[Drop, ...]:
    return tuple(Drop(reservation_id=held_by, hold=hold) for held_by, hold in gauge.expired)
