"""Consuming: check and count in one step, so that no two who ask at once are both given what is left for one.

Under a hard limit the commit depends on the counter (with the limit as its bound), on the period that it is of, and
on the snapshot that the limit was read from. Whichever of them moves, the question is asked again.
"""

from dataclasses import dataclass, replace
from typing import Final

from chalicelib.domain.counting import adding, gauge_of, setting
from chalicelib.domain.decisions import Decision, DeniedReason, Question
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.features import Feature, FeatureType, UsageKind
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.usage import CountHour, CountUsage
from chalicelib.domain.usage_answers import from_decision, to_decision
from chalicelib.domain.usage_charges import ChargeableUsage
from chalicelib.domain.usage_records import UsageKey
from chalicelib.domain.usage_scopes import counter_name
from chalicelib.ports import Ports, Write
from chalicelib.services.check_access import Checked, with_type
from chalicelib.services.count_once import Claim, Counting, Seen, count_once, fingerprint_of
from chalicelib.services.count_spread import Shared, counted_in_shards
from chalicelib.services.known_features import find_feature
from chalicelib.services.report_usage import after_counting, hour_of, reportable_feature
from chalicelib.services.usage_thresholds import Standing

_OVER: Final = DeniedReason.REQUESTED_USAGE_EXCEEDING_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumption:
    """So much is about to be used."""

    customer_id: CustomerId
    feature_id: str
    amount: int
    key: str
    resource_id: str | None = None

    @property
    def question(self) -> Question:
        """What is asked of the check."""
        return Question(usage=self.amount, resource_id=self.resource_id)


def consume(ports: Ports, wanted: Consumption) -> Checked:
    """Yes, and it is counted; or a no with its reason, and nothing is. Once for each key; a no is not remembered.

    Raises:
        UsageReportedByEventsError: The feature has a meter, which computes its usage from events.
        IdempotencyKeyReusedError: The key was used for another request.
    """
    feature = consumable_feature(ports, wanted.feature_id)
    claim = Claim(
        customer_id=wanted.customer_id,
        key=wanted.key,
        kind=UsageKey.CONSUME,
        fingerprint=fingerprint_of(wanted.feature_id, wanted.resource_id, wanted.amount),
        at=ports.clock.now(),
    )
    try:
        counted = count_once(ports, claim, lambda seen: _attempt(seen, feature, wanted))
    except NotFoundError:  # of the customer: the check says it in its own words
        return Checked(Decision(DeniedReason.CUSTOMER_NOT_FOUND), None)
    return Checked(*to_decision(counted.answer))


def consumable_feature(ports: Ports, feature_id: str) -> Feature | None:
    """The feature, or None if there is none; raises `UsageReportedByEventsError`."""
    feature = find_feature(ports, feature_id)
    if feature is not None and feature.type is FeatureType.METERED:
        reportable_feature(ports, feature_id)
    return feature


def _attempt(seen: Seen, feature: Feature | None, wanted: Consumption) -> Counting:
    decision, now_ms = seen.decide(wanted.feature_id, wanted.question)
    version = seen.document["version"]
    if feature is None:
        return denial(decision, feature, version)
    name = counter_name(feature.id, wanted.resource_id)
    shared: Shared | None = None
    if decision.has_access or decision.denied_reason is _OVER:
        amount = wanted.amount if decision.has_access else 0
        shared = counted_in_shards(
            seen, decision, name, amount, hour_of(now_ms), wanted.key, is_gated=True
        )
    if shared is not None and shared.instead is not None:
        return shared.instead
    if not decision.has_access:
        return denial(decision, feature, version)
    gauge = gauge_of(seen.counters, seen.holds, name, decision.period_start_ms or 0, now_ms)
    hour = CountHour(
        customer_id=seen.customer_id,
        counter=gauge.name,
        hour_ms=hour_of(now_ms),
        delta=wanted.amount,
    )
    if feature.usage_kind is UsageKind.FLUCTUATING:
        used = gauge.used + wanted.amount
        changes = setting(gauge, used)
        hour = replace(hour, delta=0, value=used)
    else:
        changes = adding(gauge, wanted.amount, at_most=hard_limit(decision))
    in_one = CountUsage(customer_id=seen.customer_id, changes=changes), hour
    after = after_counting(decision, wanted.amount)
    return Counting(
        answer=from_decision(after, version),
        standings=(Standing(counter=name, state=after),),
        counts=in_one if shared is None else shared.counts,
        # Shards have the snapshot's version themselves.
        writes=fences(seen, decision) if shared is None else (),
        counter=gauge.name,
        counted=wanted.amount,
        charged=(
            ChargeableUsage(
                feature=feature,
                counter=gauge.name,
                delta=wanted.amount,
                value=gauge.used + wanted.amount,
                at=seen.now,
            ),
        ),
    )


def hard_limit(decision: Decision) -> int | None:
    """The limit that nothing is counted over."""
    return None if decision.has_soft_limit else decision.usage_limit


def fences(seen: Seen, decision: Decision) -> tuple[Write, ...]:
    """What a count under a hard limit depends on beside the counter."""
    return () if hard_limit(decision) is None else (seen.fence,)


def denial(decision: Decision, feature: Feature | None, version: int) -> Counting:
    """A no that leaves nothing."""
    known = with_type(decision, None if feature is None else feature.type)
    return Counting(answer=from_decision(known, version), is_denial=True)
