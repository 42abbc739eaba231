"""Counting usage: read, decide, commit on condition; again if somebody was first; and each key only once.

The record of the key is in the transaction of the count. So a report whose answer was lost is found by its
repetition, and of two that are sent at once one counts.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from chalicelib.domain.counting import standing
from chalicelib.domain.decisions import Decision, Question
from chalicelib.domain.errors import (
    DomainError,
    IdempotencyKeyReusedError,
    NotFoundError,
    StoreConflictError,
    StoreUnavailableError,
)
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshot_documents import SnapshotDocument, document_of, epoch_ms
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.usage import Count, Counter, Hold, Shard
from chalicelib.domain.usage_charges import ChargeableUsage, charges_of
from chalicelib.domain.usage_records import KEPT_FOR, UsageKey, UsageRecord, record_id
from chalicelib.domain.usage_scopes import counted_by
from chalicelib.ports import Absent, AtRevision, Ports, Put, Require, Write
from chalicelib.services.outbound import hurry
from chalicelib.services.usage_thresholds import Standing, reached

_FIRST_WAIT_SECONDS: Final = 0.01
_LONGEST_WAIT_SECONDS: Final = 0.3
_TRIES: Final = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What is to be counted once: a key of the customer, and the request that it stands for."""

    customer_id: CustomerId
    key: str
    kind: UsageKey
    fingerprint: str
    at: datetime

    @property
    def id(self) -> str:
        """The id of the record."""
        return record_id(self.customer_id, self.kind, self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one read told of the customer."""

    customer_id: CustomerId
    document: SnapshotDocument
    counters: Mapping[str, Counter]
    holds: Mapping[str, Hold]
    now: datetime
    now_ms: int
    shards: Mapping[int, Shard] = field(default_factory=dict)

    def knowing(self, resource_id: str | None) -> "Seen":
        """The same, as if something had been held for the resource before."""
        if resource_id is None:
            return self
        known = [*self.document.get("resources", ()), resource_id]
        return replace(self, document={**self.document, "resources": known})

    def decide(self, feature_id: str, question: Question) -> tuple[Decision, int]:
        """The decision, and the instant that it is made for."""
        return standing(self.document, self.counters, self.holds, feature_id, question, self.now_ms)

    def at(self, now_ms: int) -> "Seen":
        """The same at another instant."""
        return replace(self, now_ms=now_ms)

    @property
    def fence(self) -> Require:
        """The customer's limits are still those that were read."""
        version = self.document["version"]
        snapshot = Snapshot(customer_id=self.customer_id, version=version, document="")
        return Require(snapshot, AtRevision(number=version))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """What is to be done, and answered when it is. Without `counts` and `writes` it is a no: nothing is written."""

    answer: str
    counts: tuple[Count, ...] = ()
    writes: tuple[Write, ...] = ()
    counter: str | None = None
    counted: int = 0
    charged: tuple[ChargeableUsage, ...] = ()
    standings: tuple[Standing, ...] = ()
    is_denial: bool = False
    before: tuple[Count, ...] | None = None
    """What has to be done (perhaps nothing) before the customer is read and the question is asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The answer, and the record it stands in (None for a no)."""

    answer: str
    record: UsageRecord | None
    is_replay: bool = False


def count_once(ports: Ports, claim: Claim, attempt: Callable[[Seen], Counting]) -> Counted:
    """What `attempt` wants is counted and answered, or was under this key before. A no and an error leave nothing.

    Raises:
        NotFoundError: There is no such customer.
        IdempotencyKeyReusedError: The key stands for another request.
        StoreUnavailableError: Too many count for the customer at this moment.
    """
    for wait in _waits(ports):
        seen = read_usage(ports, claim.customer_id)
        try:
            wanted = attempt(seen)
        except DomainError:
            earlier = _earlier(ports, claim)
            if earlier is not None:
                return earlier
            raise
        if wanted.before is not None:
            _prepare(ports, wanted.before, wait)
            continue
        if wanted.is_denial:
            return _earlier(ports, claim) or Counted(answer=wanted.answer, record=None)
        try:
            [record] = count_all(ports, seen, [(claim, wanted)])
        except StoreConflictError:
            earlier = _earlier(ports, claim)
            if earlier is not None:
                return earlier
            ports.clock.sleep(wait)
            continue
        return Counted(answer=wanted.answer, record=record)
    raise StoreUnavailableError("Too many count for this customer at once.")


def count_all(
    ports: Ports, seen: Seen, wanted: Sequence[tuple[Claim, Counting]]
) -> list[UsageRecord]:
    """All of it is counted in one step, with its records; raises `StoreConflictError` if one condition fails."""
    records = [_record(claim, counting, seen.now) for claim, counting in wanted]
    told = [
        event
        for _, counting in wanted
        for standing in counting.standings
        for event in reached(ports, seen.customer_id, standing, seen.now)
    ]
    ports.usage.commit(
        [count for _, counting in wanted for count in counting.counts],
        *(Put(record, Absent()) for record in records),
        *(write for _, counting in wanted for write in counting.writes),
        *(write for claim, counting in wanted for write in _charges(ports, seen, claim, counting)),
        *(Put(event, Absent()) for event in told),
    )
    hurry(ports, told)
    return records


def fingerprint_of(*parts: object) -> str:
    """The request as text: the same request gives the same."""
    return json.dumps(parts, sort_keys=True, default=str)


def read_usage(ports: Ports, customer_id: CustomerId) -> Seen:
    """What one request tells of the customer; raises `NotFoundError`."""
    hot = ports.snapshots.read(customer_id, consistent=True)
    if hot is None:
        raise NotFoundError("customer", customer_id)
    now = ports.clock.now()
    return Seen(
        customer_id=customer_id,
        document=document_of(hot.document),
        counters=hot.usage,
        holds=hot.holds,
        shards=hot.shards,
        now=now,
        now_ms=epoch_ms(now),
    )


def _prepare(ports: Ports, before: Sequence[Count], wait: float) -> None:
    try:
        if before:
            ports.usage.commit(before)
            return
    except StoreConflictError:
        pass  # somebody else has done it, or the customer has changed
    ports.clock.sleep(wait)


def _charges(ports: Ports, seen: Seen, claim: Claim, wanted: Counting) -> Iterator[Write]:
    """What providers have to hear of it, if any charges for it."""
    charged = seen.document.get("charged", {})
    for used in wanted.charged:
        providers = [name for name, counters in charged.items() if _is_charged(used, counters)]
        for charge in charges_of(
            used, claim.id, claim.customer_id, providers, ports.environment.name, seen.now
        ):
            yield Put(charge, Absent())


def _is_charged(used: ChargeableUsage, counters: Collection[str]) -> bool:
    if used.feature.meter is not None:  # events name no resource
        return any(counted_by(name)[0] == used.feature.id for name in counters)
    return used.feature.id in counters or used.counter in counters


def _record(claim: Claim, wanted: Counting, now: datetime) -> UsageRecord:
    return UsageRecord(
        id=claim.id,
        customer_id=claim.customer_id,
        kind=claim.kind,
        fingerprint=claim.fingerprint,
        counter=wanted.counter,
        counted=wanted.counted,
        at=claim.at,
        recorded_at=now,
        expires_at=now + KEPT_FOR,
        answer=wanted.answer,
    )


def _earlier(ports: Ports, claim: Claim) -> Counted | None:
    """What was counted under the key before."""
    found = ports.store.get(UsageRecord, claim.id)
    if found is None:
        return None
    if (found.kind, found.fingerprint) != (claim.kind, claim.fingerprint):
        raise IdempotencyKeyReusedError(
            "This idempotency key was used for another request.", param="idempotency_key"
        )
    return Counted(answer=found.answer, record=found, is_replay=True)


def _waits(ports: Ports) -> Iterator[float]:
    """Growing pauses; the clock's microseconds keep those who met once from meeting again."""
    for tried in range(_TRIES):
        jitter = ports.clock.now().microsecond / 1_000_000
        yield min(_FIRST_WAIT_SECONDS * 2**tried, _LONGEST_WAIT_SECONDS) * (0.5 + jitter)
