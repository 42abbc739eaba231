"""Events: each is counted by every meter that looks at it, in one step with its key; or by none, with an error.

Sums and counts are added blindly. What needs the value that is there (the highest, lowest, latest, and what goes up
and down) is replaced as it was seen. A value that is counted once in a period leaves a record of itself.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from chalicelib.domain.counting import Gauge, adding, gauge_of, setting
from chalicelib.domain.decisions import Decision
from chalicelib.domain.errors import ArchivedError, invalid
from chalicelib.domain.features import Aggregation, Feature, Meter, UsageKind
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.metering import Properties, amount_in, looks_at, member_in
from chalicelib.domain.snapshot_documents import epoch_ms
from chalicelib.domain.usage import Count, CountHour, CountUsage, UsageChange
from chalicelib.domain.usage_charges import ChargeableUsage
from chalicelib.domain.usage_records import KEPT_FOR, UniqueValue, UsageKey
from chalicelib.ports import Absent, Ports, Put, Write
from chalicelib.services.count_once import Claim, Counting, Seen, count_once, fingerprint_of
from chalicelib.services.known_features import known_features
from chalicelib.services.report_usage import STATE, after_counting, hour_of, require_timely
from chalicelib.services.usage_thresholds import Standing

# Each takes up to four of a transaction's hundred writes.
MAX_METERS: Final = 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageEvent:
    """Something that happened in the application; `at` None is now."""

    customer_id: CustomerId
    name: str
    key: str
    properties: Properties
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An event that was taken, and what it changed: by feature, how much it added to its usage of the period."""

    id: str
    event: UsageEvent
    at: datetime
    recorded_at: datetime
    counted: Mapping[str, int]
    is_replay: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """What an event does to one feature."""

    counted: int = 0
    changes: tuple[UsageChange, ...] = ()
    hour: CountHour | None = None
    writes: tuple[Write, ...] = ()
    standing: Standing | None = None
    charged: int | None = None
    """What a provider adds up, or takes the latest of; None: nothing of it is charged."""


def record_event(ports: Ports, event: UsageEvent) -> Recorded:
    """The event is counted by all meters that look at it, once for each key.

    Raises:
        NotFoundError: There is no such customer.
        ArchivedError: The customer is archived.
        InvalidError: The time can't be, or a property is not what a meter needs.
        IdempotencyKeyReusedError: The key was used for another request.
    """
    now = ports.clock.now()
    at = event.at or now
    require_timely(at, now)
    concerned = [
        feature
        for _, feature in sorted(known_features(ports).items())
        if feature.meter is not None and looks_at(feature.meter, event.name, event.properties)
    ]
    if len(concerned) > MAX_METERS:
        detail = f"More than {MAX_METERS} meters look at this event."
        raise invalid("event_name", "too_many_meters", detail)
    claim = Claim(
        customer_id=event.customer_id,
        key=event.key,
        kind=UsageKey.EVENT,
        fingerprint=fingerprint_of(event.name, event.properties, event.at),
        at=at,
    )
    counted = count_once(ports, claim, lambda seen: _attempt(ports, seen, concerned, event))
    if counted.record is None:
        raise AssertionError("an event is never denied")
    return Recorded(
        id=claim.id,
        event=event,
        at=counted.record.at,
        recorded_at=counted.record.recorded_at,
        counted=json.loads(counted.answer),
        is_replay=counted.is_replay,
    )


def _attempt(ports: Ports, seen: Seen, concerned: list[Feature], event: UsageEvent) -> Counting:
    if seen.document["customer_status"] != "active":
        raise ArchivedError(f"The customer {event.customer_id!r} is archived.")
    shares = {
        feature.id: share
        for feature in concerned
        if (share := _share(ports, seen, feature, event)) is not None
    }
    changes = tuple(change for share in shares.values() for change in share.changes)
    counts: list[Count] = [share.hour for share in shares.values() if share.hour is not None]
    if changes:
        counts.append(CountUsage(customer_id=seen.customer_id, changes=changes))
    return Counting(
        answer=json.dumps({name: share.counted for name, share in shares.items()}),
        counts=tuple(counts),
        writes=tuple(write for share in shares.values() for write in share.writes),
        counted=sum(share.counted for share in shares.values()),
        standings=tuple(share.standing for share in shares.values() if share.standing is not None),
        charged=tuple(
            ChargeableUsage(
                feature=feature,
                counter=feature.id,
                delta=share.charged,
                value=share.charged,
                at=event.at or seen.now,
            )
            for feature in concerned
            if (share := shares.get(feature.id)) is not None and share.charged is not None
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where an event falls: in the present period, or in one that is over."""

    seen: Seen
    gauge: Gauge
    at_ms: int
    is_late: bool

    def hour(self, *, delta: int = 0, value: int | None = None) -> CountHour:
        return CountHour(
            customer_id=self.seen.customer_id,
            counter=self.gauge.name,
            hour_ms=hour_of(self.at_ms),
            delta=delta,
            value=value,
        )


def _share(ports: Ports, seen: Seen, feature: Feature, event: UsageEvent) -> _Share | None:
    """What the event does to the feature; None if it says nothing to its meter."""
    state, now_ms = seen.decide(feature.id, STATE)
    share = _measured(ports, seen, feature, event, state, now_ms)
    if share is None or not share.changes:
        return share
    after = after_counting(state, share.counted)
    return replace(share, standing=Standing(counter=feature.id, state=after))


def _measured(
    ports: Ports, seen: Seen, feature: Feature, event: UsageEvent, state: Decision, now_ms: int
) -> _Share | None:
    meter = feature.meter
    if meter is None:
        return None
    start = state.period_start_ms or 0
    at_ms = now_ms if event.at is None else epoch_ms(event.at)
    place = _Place(
        seen=seen,
        gauge=gauge_of(seen.counters, seen.holds, feature.id, start, now_ms),
        at_ms=at_ms,
        is_late=at_ms < start,
    )
    if meter.aggregation is Aggregation.UNIQUE:
        member = member_in(meter, event.name, event.properties)
        return None if member is None else _unique(ports, place, state, member)
    amount = amount_in(meter, event.properties)
    if amount is None:
        return None
    if meter.aggregation in (Aggregation.SUM, Aggregation.COUNT):
        return _sum(place, feature, amount)
    if amount < 0:
        raise invalid(f"properties.{meter.property}", "below_zero", "Usage is never below none.")
    if meter.aggregation is Aggregation.LATEST:
        return _latest(ports, place, amount)
    return _extreme(ports, place, meter, amount)


def _sum(place: _Place, feature: Feature, amount: int) -> _Share:
    gauge = place.gauge
    if feature.usage_kind is not UsageKind.FLUCTUATING:
        if amount < 0:
            detail = "Only the usage of a fluctuating feature goes down again."
            raise invalid(_property(feature.meter), "only_grows", detail)
        hour = place.hour(delta=amount)
        if place.is_late:
            return _Share(hour=hour, charged=amount)
        changes = adding(gauge, amount)
        return _Share(counted=amount, changes=changes, hour=hour, charged=amount)
    if place.is_late:
        return _Share()
    used = gauge.used + amount
    if used < 0:
        raise invalid(_property(feature.meter), "below_zero", "Usage is never below none.")
    return _Share(
        counted=amount,
        changes=setting(gauge, used),
        hour=place.hour(value=used),
        charged=amount,
    )


def _unique(ports: Ports, place: _Place, state: Decision, member: str) -> _Share:
    gauge = place.gauge
    start, end = gauge.period_start_ms, state.period_end_ms
    if place.is_late:
        then, _ = place.seen.at(place.at_ms).decide(gauge.name, STATE)
        start, end = then.period_start_ms or 0, then.period_end_ms
    value = UniqueValue(
        customer_id=place.seen.customer_id,
        counter=gauge.name,
        period_start_ms=start,
        value=hashlib.sha256(member.encode("utf-8", "surrogatepass")).hexdigest(),
        expires_at=None if end is None else _moment(end) + KEPT_FOR,
    )
    if ports.store.get(UniqueValue, *value.identity) is not None:
        return _Share()
    hour = place.hour(delta=1)
    writes = (Put(value, Absent()),)
    if place.is_late:
        return _Share(hour=hour, writes=writes)
    return _Share(counted=1, changes=adding(gauge, 1), hour=hour, writes=writes)


def _latest(ports: Ports, place: _Place, amount: int) -> _Share:
    gauge = place.gauge
    known = gauge.stored.at_ms if gauge.stored is not None and gauge.is_current else -1
    if place.is_late or place.at_ms < known:
        # What was latest in its own hour is not known any more: an hour that has a value keeps it.
        hour = _exactly(ports, place, lambda held: amount if held is None else held)
        return _Share(hour=hour, charged=amount)
    return _Share(
        counted=amount - gauge.used,
        changes=setting(gauge, amount, at_ms=place.at_ms),
        hour=place.hour(value=amount),
        charged=amount,
    )


def _extreme(ports: Ports, place: _Place, meter: Meter, amount: int) -> _Share:
    """The highest or the lowest, of the period and of its hour."""
    choose = max if meter.aggregation is Aggregation.MAX else min
    hour = _exactly(ports, place, lambda held: amount if held is None else choose(held, amount))
    gauge = place.gauge
    used = choose(gauge.used, amount) if gauge.is_current else amount
    if place.is_late or (gauge.is_current and used == gauge.used):
        return _Share(hour=hour)
    return _Share(counted=used - gauge.used, changes=setting(gauge, used), hour=hour)


def _exactly(ports: Ports, place: _Place, choose: Callable[[int | None], int]) -> CountHour | None:
    """The hour with another value; None if it is the one that it has."""
    hour = hour_of(place.at_ms)
    known = ports.usage.hours(place.seen.customer_id, place.gauge.name, hour, hour)
    held = known.get(hour)
    value = choose(held)
    if value == held:
        return None
    return CountHour(
        customer_id=place.seen.customer_id,
        counter=place.gauge.name,
        hour_ms=hour,
        value=value,
        is_exact=True,
        seen=held,
    )


def _property(meter: Meter | None) -> str:
    return f"properties.{meter.property}"[:200] if meter is not None else "properties"


def _moment(at_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at_ms)
