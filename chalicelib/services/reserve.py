"""Reserving: a part of the limit is kept for work that has begun, and then used, given back, or free by itself.

What is reserved is counted with the check, like what is consumed, and each reservation stands beside the counter with
the time it ends. Readers take away what has ended, and the next write strikes it out: an end needs no job. A
reservation belongs to the period it was made in; when that is over, using it no longer changes the counter.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from chalicelib.domain.counting import gauge_of, holding, setting_to_settle, settling
from chalicelib.domain.decisions import Decision, DeniedReason
from chalicelib.domain.errors import (
    IdempotencyKeyReusedError,
    InUseError,
    NotFoundError,
    ReservationExpiredError,
    ReservationSettledError,
    StoreConflictError,
    StoreUnavailableError,
    invalid,
)
from chalicelib.domain.features import Feature, UsageKind
from chalicelib.domain.ids import derived_id
from chalicelib.domain.snapshot_documents import epoch_ms
from chalicelib.domain.usage import Count, CountHour, CountUsage, Hold
from chalicelib.domain.usage_answers import from_decision, to_decision
from chalicelib.domain.usage_charges import ChargeableUsage
from chalicelib.domain.usage_records import (
    Reservation,
    ReservationStatus,
    UsageKey,
)
from chalicelib.domain.usage_scopes import counter_name
from chalicelib.ports import Absent, AtRevision, Ports, Put
from chalicelib.services.check_access import Checked
from chalicelib.services.consume import (
    Consumption,
    consumable_feature,
    denial,
    fences,
    hard_limit,
)
from chalicelib.services.count_once import Claim, Counting, Seen, count_once, fingerprint_of
from chalicelib.services.count_spread import refuse_spread
from chalicelib.services.known_features import find_feature
from chalicelib.services.report_usage import after_counting, hour_of

MAX_SECONDS: Final = 24 * 3600
# Each lengthens what every check of the customer reads by a line, and whoever counts strikes out all that have ended.
MAX_OPEN: Final = 100
_TRIES: Final = 10
_WAIT_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """The check's answer; with a yes, the reservation."""

    checked: Checked
    reservation: Reservation | None


def reserve(ports: Ports, wanted: Consumption, ttl_seconds: int) -> Reserved:
    """The amount is reserved for so long, if the limit allows it; once for each key.

    Raises:
        UsageReportedByEventsError: The feature has a meter, which computes its usage from events.
        IdempotencyKeyReusedError: The key was used for another request.
        InUseError: The customer has as many reservations as it can.
    """
    feature = consumable_feature(ports, wanted.feature_id)
    reservation_id = derived_id("resv_", wanted.customer_id, wanted.key)
    claim = Claim(
        customer_id=wanted.customer_id,
        key=wanted.key,
        kind=UsageKey.RESERVE,
        fingerprint=fingerprint_of(
            wanted.feature_id, wanted.resource_id, wanted.amount, ttl_seconds
        ),
        at=ports.clock.now(),
    )

    def attempt(seen: Seen) -> Counting:
        ends = seen.now + timedelta(seconds=ttl_seconds)
        return _attempt(seen, feature, wanted, reservation_id, ends)

    try:
        counted = count_once(ports, claim, attempt)
    except NotFoundError:  # of the customer: the check says it in its own words
        unknown = Checked(Decision(DeniedReason.CUSTOMER_NOT_FOUND), None)
        return Reserved(checked=unknown, reservation=None)
    checked = Checked(*to_decision(counted.answer))
    if counted.record is None:
        return Reserved(checked=checked, reservation=None)
    return Reserved(checked=checked, reservation=find_reservation(ports, reservation_id))


def _attempt(
    seen: Seen,
    feature: Feature | None,
    wanted: Consumption,
    reservation_id: str,
    ends: datetime,
) -> Counting:
    decision, now_ms = seen.decide(wanted.feature_id, wanted.question)
    version = seen.document["version"]
    if not decision.has_access or feature is None:
        return denial(decision, feature, version)
    if sum(hold.expires_ms > now_ms for hold in seen.holds.values()) >= MAX_OPEN:
        raise InUseError(f"A customer has at most {MAX_OPEN} reservations at a time.")
    name = counter_name(feature.id, wanted.resource_id)
    refuse_spread(seen, name, "nothing of it can be reserved")
    start = decision.period_start_ms or 0
    gauge = gauge_of(seen.counters, seen.holds, name, start, now_ms)
    reservation = Reservation(
        id=reservation_id,
        customer_id=seen.customer_id,
        feature_id=feature.id,
        counter=name,
        amount=wanted.amount,
        period_start_ms=start,
        status=ReservationStatus.OPEN,
        created_at=seen.now,
        expires_at=ends,
    )
    changes = holding(gauge, reservation_id, _hold(reservation), at_most=hard_limit(decision))
    return Counting(
        answer=from_decision(after_counting(decision, wanted.amount), version),
        counts=(CountUsage(customer_id=seen.customer_id, changes=changes),),
        writes=(Put(reservation, Absent()), *fences(seen, decision)),
        counter=name,
    )


def find_reservation(ports: Ports, reservation_id: str) -> Reservation:
    """The reservation; raises `NotFoundError`."""
    found = ports.store.get(Reservation, reservation_id)
    if found is None:
        raise NotFoundError("reservation", reservation_id)
    return found


def commit_reservation(ports: Ports, reservation_id: str, amount: int | None = None) -> Reservation:
    """So much of the reservation (all of it, unless said) was used; the rest is free again. Repeating changes nothing.

    Raises:
        NotFoundError: There is no such reservation.
        ReservationExpiredError: It has ended before.
        ReservationSettledError: It was released, or committed with another amount.
        InvalidError: More was used than was reserved.
    """
    held = find_reservation(ports, reservation_id)
    used = held.amount if amount is None else amount
    if used > held.amount:
        raise invalid("amount", "out_of_range", f"{held.amount} were reserved.")
    feature = find_feature(ports, held.feature_id)
    claim = Claim(
        customer_id=held.customer_id,
        key=held.id,
        kind=UsageKey.COMMIT,
        fingerprint=fingerprint_of(used),
        at=ports.clock.now(),
    )

    def attempt(seen: Seen) -> Counting:
        now = find_reservation(ports, reservation_id)
        _require_open(now, seen)
        return _committing(seen, feature, now, used)

    try:
        count_once(ports, claim, attempt)
    except IdempotencyKeyReusedError as error:
        raise ReservationSettledError("It was committed with another amount.") from error
    return find_reservation(ports, reservation_id)


def _committing(seen: Seen, feature: Feature | None, held: Reservation, used: int) -> Counting:
    hold, stored = _hold(held), seen.counters.get(held.counter)
    at_ms = seen.now_ms
    is_over = stored is None or stored.period_start_ms != held.period_start_ms
    hour = CountHour(
        customer_id=held.customer_id,
        counter=held.counter,
        hour_ms=hour_of(epoch_ms(held.created_at) if is_over else at_ms),
        delta=used,
    )
    counts: list[Count] = []
    total: int | None = used
    if feature is not None and feature.usage_kind is UsageKind.FLUCTUATING:
        changes, total = setting_to_settle(stored, held.id, hold, used)
        if total is not None:
            counts.append(replace(hour, delta=0, value=total))
    else:
        changes = settling(stored, held.id, hold, used)
        counts.append(hour)
    charged: tuple[ChargeableUsage, ...] = ()
    # What goes up and down in a period that is over says nothing of what is used now.
    if feature is not None and total is not None:
        one = ChargeableUsage(
            feature=feature, counter=held.counter, delta=used, value=total, at=seen.now
        )
        charged = (one,)
    settled = replace(
        held,
        status=ReservationStatus.COMMITTED,
        committed=used,
        revision=held.revision + 1,
    )
    return Counting(
        answer="",
        counts=(CountUsage(customer_id=held.customer_id, changes=changes), *counts),
        writes=(Put(settled, AtRevision(number=held.revision)),),
        counter=held.counter,
        counted=0 if is_over else used,
        charged=charged,
    )


def release_reservation(ports: Ports, reservation_id: str) -> Reservation:
    """Nothing of the reservation was used, and it is free again; so it is if it had ended. Repeating changes nothing.

    Raises:
        NotFoundError: There is no such reservation.
        ReservationSettledError: It was committed.
    """
    for _ in range(_TRIES):
        held = find_reservation(ports, reservation_id)
        if held.status is ReservationStatus.RELEASED:
            return held
        if held.status is ReservationStatus.COMMITTED:
            raise ReservationSettledError("The reservation was committed.")
        try:
            return _release(ports, held)
        except StoreConflictError:
            ports.clock.sleep(_WAIT_SECONDS)
    raise StoreUnavailableError("Too many count for this customer at once.")


def _release(ports: Ports, held: Reservation) -> Reservation:
    hot = ports.snapshots.read(held.customer_id, consistent=True)
    released = replace(held, status=ReservationStatus.RELEASED, revision=held.revision + 1)
    put = Put(released, AtRevision(number=held.revision))
    hold = None if hot is None else hot.holds.get(held.id)
    if hot is None or hold is None:  # it has ended, and its place was used by somebody else
        ports.store.commit(put)
        return released
    changes = settling(hot.usage.get(held.counter), held.id, hold, 0)
    ports.usage.commit([CountUsage(customer_id=held.customer_id, changes=changes)], put)
    return released


def _require_open(held: Reservation, seen: Seen) -> None:
    if held.status is not ReservationStatus.OPEN:
        raise ReservationSettledError(f"The reservation is {held.status} already.")
    if held.expires_at <= seen.now or held.id not in seen.holds:
        raise ReservationExpiredError("The reservation has expired; what it held is free again.")


def _hold(held: Reservation) -> Hold:
    return Hold(
        counter=held.counter,
        amount=held.amount,
        period_start_ms=held.period_start_ms,
        expires_ms=epoch_ms(held.expires_at),
    )
