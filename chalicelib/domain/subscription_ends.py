"""When a subscription that is given up ends, and which of its states let it be paused, resumed or tried for longer.

Pure: what each operation means. Who carries it out is not decided here.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from chalicelib.domain.errors import WrongStateError, invalid
from chalicelib.domain.subscriptions import Subscription, SubscriptionStatus

# Providers take no trial that ends later (docs.stripe.com/api/subscriptions/update, `trial_end`: two years).
LONGEST_TRIAL: Final = timedelta(days=730)
# Providers take no end beyond this, and nobody plans further.
FURTHEST_END: Final = timedelta(days=5 * 365)


class When(StrEnum):
    """When a subscription is to end."""

    IMMEDIATE = "immediate"
    END_OF_PERIOD = "end_of_period"
    DATE = "date"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The wish that a subscription ends; `at` belongs to `date` alone."""

    when: When
    at: datetime | None = None


def end_of(wish: Ending, period_end: datetime | None, now: datetime) -> datetime | None:
    """The instant at which the subscription ends; None: now. Raises `InvalidError`."""
    if (wish.when is When.DATE) != (wish.at is not None):
        detail = "`at` says when a subscription ends on a date, and goes with nothing else."
        raise invalid("at", "required" if wish.at is None else "not_allowed", detail)
    if wish.when is When.IMMEDIATE:
        return None
    if wish.when is When.END_OF_PERIOD:
        if period_end is None:
            detail = "The subscription has no billing periods: end it now, or at a date."
            raise invalid("effective", "no_period", detail)
        return period_end
    at = wish.at
    if at is None or not now < at <= now + FURTHEST_END:
        detail = f"The end lies in the future, at most {FURTHEST_END.days} days from now."
        raise invalid("at", "out_of_range", detail)
    return at.replace(microsecond=0)


def ended(held: Subscription, at: datetime | None, now: datetime) -> Subscription:
    """The subscription that nobody bills, ended now or marked to end later."""
    if at is not None:
        change = held.scheduled_change
        dropped = change is not None and change.at >= at
        return replace(held, cancel_at=at, scheduled_change=None if dropped else change)
    return replace(
        held,
        status=SubscriptionStatus.CANCELED,
        cancel_at=None,
        ended_at=now.replace(microsecond=0),
        scheduled_change=None,
    )


def resumed(held: Subscription) -> Subscription:
    """The subscription that nobody bills, with no end any more and not paused."""
    status = SubscriptionStatus.ACTIVE if is_paused(held) else held.status
    return replace(held, status=status, cancel_at=None)


def paused(held: Subscription) -> Subscription:
    """The subscription that nobody bills, paused; raises `WrongStateError`."""
    refuse_unpausable(held)
    return replace(held, status=SubscriptionStatus.PAUSED)


def is_paused(held: Subscription) -> bool:
    """Whether it rests."""
    return held.status is SubscriptionStatus.PAUSED


def refuse_unpausable(held: Subscription) -> None:
    """Nothing, if what the subscription gives can be interrupted."""
    if held.status not in (SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE):
        detail = f"A subscription that is {held.status.replace('_', ' ')} can't be paused."
        raise WrongStateError(detail)


def longer_trial(held: Subscription, until: datetime, now: datetime) -> datetime:
    """The trial's new end; raises `WrongStateError` without a running trial and `InvalidError` out of bounds."""
    if held.status is not SubscriptionStatus.IN_TRIAL or held.trial_end is None:
        raise WrongStateError("The subscription is in no trial.")
    until = until.replace(microsecond=0)
    if until == held.trial_end:
        return until
    latest = held.started_at + LONGEST_TRIAL
    if not max(held.trial_end, now) < until <= latest:
        detail = f"The trial's end moves back, to {latest:%Y-%m-%dT%H:%M:%SZ} at most."
        raise invalid("trial_end", "out_of_range", detail)
    return until
