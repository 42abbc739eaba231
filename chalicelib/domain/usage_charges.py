"""Usage that a provider has to hear of, because it charges for it: the outbox row of a counted report."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from chalicelib.domain.features import Feature
from chalicelib.domain.ids import CustomerId, FeatureId, derived_id
from chalicelib.domain.meters import MeteredUsage, MeterFormula, event_name, formula_of

# For a day providers take a report of the same id once. Who does not know whether it was taken can ask again so long.
CERTAIN_FOR: Final = timedelta(hours=23)
# Older usage no provider takes any more.
GIVE_UP_AFTER: Final = timedelta(days=35)
_LONGEST_WAIT_DOUBLINGS: Final = 8
_TOO_LATE: Final = (
    "It is too late to report it, or to report it once more without knowing of the first time."
)


class ChargeStatus(StrEnum):
    """Whether the provider has heard of the usage."""

    PENDING = "pending"
    REPORTED = "reported"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageCharge:
    """What one provider has to hear of one report. `id` is what it is known by there.

    `uncertain_since` is when the first of those tries began of which nobody knows what became.
    """

    id: str
    provider: str
    customer_id: CustomerId
    feature_id: FeatureId
    event_name: str
    value: int
    at: datetime
    status: ChargeStatus = ChargeStatus.PENDING
    attempts: int = 0
    error: str | None = None
    uncertain_since: datetime | None = None
    created_at: datetime
    updated_at: datetime
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one charge from another."""
        return (self.id,)

    @property
    def is_given_up(self) -> bool:
        """Whether nobody tries again by himself, and it says so."""
        return self.status is ChargeStatus.FAILED and self.error == _TOO_LATE

    def is_due_at(self, now: datetime) -> bool:
        """Whether it is to be tried now: at once, and then ever more rarely."""
        if not self.attempts:
            return True
        doublings = min(self.attempts - 1, _LONGEST_WAIT_DOUBLINGS)
        return now - self.updated_at >= timedelta(minutes=2**doublings)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeableUsage:
    """Usage that was counted: so much more, or all that is used now."""

    feature: Feature
    counter: str
    delta: int
    value: int
    at: datetime


def charges_of(
    used: ChargeableUsage,
    record_id: str,
    customer_id: CustomerId,
    providers: Iterable[str],
    environment: str,
    now: datetime,
) -> tuple[UsageCharge, ...]:
    """What these providers have to hear; nothing, if it adds nothing to what they add up."""
    formula = formula_of(used.feature)
    value = used.value if formula is MeterFormula.LAST else used.delta
    if formula is None or (value == 0 and formula is not MeterFormula.LAST):
        return ()
    return tuple(
        UsageCharge(
            id=derived_id("chg_", record_id, used.counter, provider),
            provider=provider,
            customer_id=customer_id,
            feature_id=used.feature.id,
            event_name=event_name(environment, used.feature),
            value=value,
            at=used.at,
            created_at=now,
            updated_at=now,
        )
        for provider in sorted(providers)
    )


def tried(charge: UsageCharge, now: datetime) -> UsageCharge:
    """The charge when it is about to be tried: from now on it may have been taken."""
    return replace(
        charge,
        attempts=charge.attempts + 1,
        uncertain_since=charge.uncertain_since or now,
        updated_at=now,
        revision=charge.revision + 1,
    )


def settled(
    charge: UsageCharge, status: ChargeStatus, now: datetime, error: str | None = None
) -> UsageCharge:
    """The charge after the provider's answer."""
    is_reported = status is ChargeStatus.REPORTED
    return replace(
        charge,
        status=status,
        error=error,
        uncertain_since=None if is_reported else _uncertain_after_refusal(charge),
        updated_at=now,
        revision=charge.revision + 1,
    )


def given_up(charge: UsageCharge, now: datetime) -> UsageCharge:
    """The charge when it is too late to tell it again: people have to look."""
    return replace(waiting(charge, now, _TOO_LATE), status=ChargeStatus.FAILED)


def waiting(charge: UsageCharge, now: datetime, error: str) -> UsageCharge:
    """The charge when the provider gave no answer that helps."""
    return replace(charge, error=error, updated_at=now, revision=charge.revision + 1)


def turned_away(charge: UsageCharge, now: datetime, error: str) -> UsageCharge:
    """The charge that was just tried, when the provider surely did not take it and will be asked again."""
    waits = waiting(charge, now, error)
    return replace(waits, uncertain_since=_uncertain_after_refusal(charge))


def _uncertain_after_refusal(attempt: UsageCharge) -> datetime | None:
    """Since when it is uncertain, once this try is known to have been refused.

    A refusal makes its own try certain. What became of an earlier one it does not tell: that one may have been taken,
    and what refuses now (no account, no right, no meter) may do so before anybody looks whether the id is there. The
    quick repetitions inside of one call are one try: they would have to straddle the moment at which access ended.
    """
    began_with_this_try = attempt.uncertain_since == attempt.updated_at
    return None if began_with_this_try else attempt.uncertain_since


def metered_usage(charge: UsageCharge, customer_billing_id: str) -> MeteredUsage:
    """What the provider is told."""
    return MeteredUsage(
        id=charge.id,
        event_name=charge.event_name,
        customer_billing_id=customer_billing_id,
        value=charge.value,
        at=charge.at,
    )
