"""Reports of usage: what was used is counted, whatever the limit. A report says what has happened; it is no gate.

What goes up and down is set exactly, and its hours remember the value; all else is added up.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from chalicelib.domain.counting import Gauge, adding, gauge_of, setting
from chalicelib.domain.decisions import Decision, DeniedReason, Question
from chalicelib.domain.errors import (
    ArchivedError,
    FeatureNotMeteredError,
    NotFoundError,
    UsageReportedByEventsError,
    invalid,
)
from chalicelib.domain.features import Feature, FeatureType, UsageKind
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshot_documents import epoch_ms
from chalicelib.domain.usage import CountHour, CountUsage, UsageChange
from chalicelib.domain.usage_answers import from_decision, to_decision
from chalicelib.domain.usage_charges import ChargeableUsage
from chalicelib.domain.usage_records import NEWEST, OLDEST, UsageKey
from chalicelib.domain.usage_scopes import counter_name
from chalicelib.ports import Ports
from chalicelib.services.count_once import Claim, Counting, Seen, count_once, fingerprint_of
from chalicelib.services.count_spread import Shared, counted_in_shards, refuse_spread
from chalicelib.services.known_features import find_feature
from chalicelib.services.usage_thresholds import Standing

HOUR_MS: Final = 3_600_000
STATE: Final = Question(usage=0)


class UpdateBehavior(StrEnum):
    """Whether a value is more usage or all of it."""

    DELTA = "delta"
    SET = "set"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """Usage as the application reports it; `at` None is now."""

    customer_id: CustomerId
    feature_id: str
    value: int
    behavior: UpdateBehavior
    key: str
    at: datetime | None = None
    resource_id: str | None = None

    @property
    def counter(self) -> str:
        """What the counter is called."""
        return counter_name(self.feature_id, self.resource_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A report that was counted, and where the customer stood after it."""

    id: str
    report: UsageReport
    at: datetime
    recorded_at: datetime
    state: Decision
    is_replay: bool


def report_usage(ports: Ports, report: UsageReport) -> Reported:
    """The usage is counted, once for each key.

    Raises:
        NotFoundError: There is no such customer or feature.
        FeatureNotMeteredError: The feature has no usage.
        UsageReportedByEventsError: The feature has a meter, which computes its usage from events.
        ArchivedError: The customer is archived.
        InvalidError: The value or the time can't be.
        IdempotencyKeyReusedError: The key was used for another request.
    """
    now = ports.clock.now()
    feature = reportable_feature(ports, report.feature_id)
    at = report.at or now
    require_timely(at, now)
    claim = claim_of(report, at)
    counted = count_once(ports, claim, lambda seen: _attempt(seen, feature, report))
    if counted.record is None:
        raise AssertionError("a report is never denied")
    state, _ = to_decision(counted.answer)
    return Reported(
        id=claim.id,
        report=report,
        at=counted.record.at,
        recorded_at=counted.record.recorded_at,
        state=state,
        is_replay=counted.is_replay,
    )


def claim_of(report: UsageReport, at: datetime) -> Claim:
    """What the report's key stands for."""
    return Claim(
        customer_id=report.customer_id,
        key=report.key,
        kind=UsageKey.REPORT,
        fingerprint=fingerprint_of(report.counter, report.value, report.behavior, report.at),
        at=at,
    )


def reportable_feature(ports: Ports, feature_id: str) -> Feature:
    """The feature, if the application itself counts its usage."""
    feature = find_feature(ports, feature_id)
    if feature is None:
        raise NotFoundError("feature", feature_id)
    if feature.type is not FeatureType.METERED:
        raise FeatureNotMeteredError(
            f"The feature {feature_id!r} is {feature.type}: it has no usage.", param="feature_id"
        )
    if feature.meter is not None:
        raise UsageReportedByEventsError(
            f"The usage of {feature_id!r} is computed from events: send those.", param="feature_id"
        )
    return feature


def require_timely(at: datetime, now: datetime) -> None:
    """The time is one that usage may still, and already, have."""
    if at < now - OLDEST:
        raise invalid(
            "timestamp", "too_old", f"Usage is reported within {OLDEST.days} days of when it was."
        )
    if at > now + NEWEST:
        raise invalid("timestamp", "in_future", "Usage is reported when it was, not before.")


def state_of(seen: Seen, report: UsageReport) -> tuple[Decision, int]:
    """Where the counter stands, and at which instant."""
    question = replace(STATE, resource_id=report.resource_id)
    # Usage makes a resource known: it counts in the period that it is in from then on.
    return seen.knowing(report.resource_id).decide(report.feature_id, question)


def _attempt(seen: Seen, feature: Feature, report: UsageReport) -> Counting:
    state, now_ms = state_of(seen, report)
    if state.denied_reason is DeniedReason.CUSTOMER_IS_ARCHIVED:
        raise ArchivedError(f"The customer {report.customer_id!r} is archived.")
    at_ms = now_ms if report.at is None else epoch_ms(report.at)
    start = state.period_start_ms or 0
    gauge = gauge_of(seen.counters, seen.holds, report.counter, start, now_ms)
    hour = hour_of(at_ms)
    if at_ms < start:
        return _late(seen, feature, report, state, hour)
    shared: Shared | None = None
    if report.behavior is UpdateBehavior.SET:
        refuse_spread(seen, report.counter, "report what is more, not all of it")
    elif report.value >= 0:
        shared = counted_in_shards(
            seen, state, gauge.name, report.value, hour, report.key, is_gated=False
        )
    if shared is not None and shared.instead is not None:
        return shared.instead
    if feature.usage_kind is UsageKind.FLUCTUATING:
        counting = _fluctuating(seen, gauge, report, state, hour)
        # Of what goes up and down the value that was set last counts, whatever time it was set for.
        at = seen.now
    else:
        counting = _incremental(seen, gauge, report, state, hour)
        at = report.at or seen.now
    if shared is not None:
        counting = replace(counting, counts=shared.counts)
    used = ChargeableUsage(
        feature=feature,
        counter=gauge.name,
        delta=counting.counted,
        value=gauge.used + counting.counted,
        at=at,
    )
    return replace(counting, charged=(used,))


def _incremental(
    seen: Seen, gauge: Gauge, report: UsageReport, state: Decision, hour_ms: int
) -> Counting:
    changes: tuple[UsageChange, ...]
    if report.behavior is UpdateBehavior.SET:
        delta = report.value - gauge.used
        if delta < 0:
            raise invalid("value", "only_grows", f"{gauge.used} were used: usage only grows.")
        changes = setting(gauge, report.value)
    else:
        delta = report.value
        if delta < 0:
            raise invalid(
                "value", "only_grows", "Only the usage of a fluctuating feature goes down again."
            )
        changes = adding(gauge, delta)
    hour = CountHour(customer_id=seen.customer_id, counter=gauge.name, hour_ms=hour_ms, delta=delta)
    return _counting(seen, gauge, state, changes, hour, delta)


def _fluctuating(
    seen: Seen, gauge: Gauge, report: UsageReport, state: Decision, hour_ms: int
) -> Counting:
    is_set = report.behavior is UpdateBehavior.SET
    used = report.value if is_set else gauge.used + report.value
    if used < 0:
        detail = f"{gauge.used} are used: less than none can't be."
        raise invalid("value", "below_zero", detail)
    hour = CountHour(customer_id=seen.customer_id, counter=gauge.name, hour_ms=hour_ms, value=used)
    return _counting(seen, gauge, state, setting(gauge, used), hour, used - gauge.used)


def _late(
    seen: Seen, feature: Feature, report: UsageReport, state: Decision, hour_ms: int
) -> Counting:
    """Usage of a period that is over: its hour remembers it, today's counter has nothing to do with it."""
    if feature.usage_kind is UsageKind.FLUCTUATING or report.behavior is UpdateBehavior.SET:
        detail = "Only usage that adds up can be reported of a period that is over."
        raise invalid("timestamp", "period_is_over", detail)
    if report.value < 0:
        raise invalid("value", "only_grows", "Only usage of a fluctuating feature goes down again.")
    hour = CountHour(
        customer_id=seen.customer_id, counter=report.counter, hour_ms=hour_ms, delta=report.value
    )
    answer = from_decision(state, seen.document["version"])
    used = ChargeableUsage(
        feature=feature,
        counter=report.counter,
        delta=report.value,
        value=report.value,
        at=report.at or seen.now,
    )
    return Counting(answer=answer, counts=(hour,), counter=report.counter, charged=(used,))


def _counting(
    seen: Seen,
    gauge: Gauge,
    state: Decision,
    changes: tuple[UsageChange, ...],
    hour: CountHour,
    delta: int,
) -> Counting:
    after = after_counting(state, delta)
    return Counting(
        answer=from_decision(after, seen.document["version"]),
        counts=(CountUsage(customer_id=seen.customer_id, changes=changes), hour),
        counter=gauge.name,
        counted=delta,
        standings=(Standing(counter=gauge.name, state=after),),
    )


def after_counting(state: Decision, delta: int) -> Decision:
    """Where the customer stands when so much more is counted."""
    if state.current_usage is None:
        return state
    return replace(state, current_usage=state.current_usage + delta)


def hour_of(at_ms: int) -> int:
    """The beginning of the hour."""
    return at_ms - at_ms % HOUR_MS
