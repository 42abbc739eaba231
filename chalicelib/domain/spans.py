"""From when until when a subscription gives what: the one reading of its status, its ends and what is scheduled.

What only time decides is part of it, so that a snapshot stays right without anybody touching it. See
infra/docs/subscription-statuses.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from chalicelib.domain.ids import FeatureId, PackageId
from chalicelib.domain.plans import PackageKind
from chalicelib.domain.subscriptions import (
    GIVING_ACCESS,
    SubscribedAddon,
    Subscription,
    SubscriptionStatus,
)

VersionKey = tuple[PackageKind, PackageId, int]

_TRIED_OR_TO_BE: Final = frozenset({SubscriptionStatus.IN_TRIAL, SubscriptionStatus.NOT_STARTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What a subscription gives from `start` until `end` (half open; None: for as long as nothing changes)."""

    plan: VersionKey
    addons: tuple[SubscribedAddon, ...]
    quantities: Mapping[FeatureId, int]
    start: datetime
    end: datetime | None

    @property
    def packages(self) -> tuple[tuple[VersionKey, int], ...]:
        """The plan and the add-ons by their ids, each with how often it is held."""
        addons = sorted(self.addons, key=lambda held: held.id)
        return (
            (self.plan, 1),
            *(((PackageKind.ADDON, one.id, one.version), one.quantity) for one in addons),
        )


def spans(subscription: Subscription, grace_days: int | None = None) -> Iterator[Span]:
    """The spans one after the other; none if the subscription gives nothing, now or by itself later.

    `grace_days` is how long its plan gives access while a payment is late; None: until the provider gives up.
    """
    if not _gives(subscription):
        return
    end = _end(subscription, grace_days)
    change = subscription.scheduled_change
    now_held = subscription
    start = subscription.started_at
    if change is not None and (end is None or change.at < end):
        if start < change.at:
            yield _span(now_held, start, change.at)
        now_held, start = subscription.changed_to(change), max(start, change.at)
    if end is None or start < end:
        yield _span(now_held, start, end)


def _gives(subscription: Subscription) -> bool:
    status = subscription.status
    # Nobody has to start what nobody bills: time does.
    starts_by_itself = status is SubscriptionStatus.NOT_STARTED and subscription.provider is None
    return status in GIVING_ACCESS or starts_by_itself


def _end(subscription: Subscription, grace_days: int | None) -> datetime | None:
    ends = [subscription.cancel_at]
    if subscription.provider is None and subscription.status in _TRIED_OR_TO_BE:
        ends.append(subscription.trial_end)
    if subscription.status is SubscriptionStatus.PAST_DUE and grace_days is not None:
        # An invoice is due when its period begins, unless the provider says otherwise.
        late_since = subscription.past_due_since or subscription.current_period_start
        if late_since is not None:
            ends.append(late_since + timedelta(days=grace_days))
    return min((end for end in ends if end is not None), default=None)


def _span(held: Subscription, start: datetime, end: datetime | None) -> Span:
    return Span(
        plan=(PackageKind.PLAN, held.plan_id, held.plan_version),
        addons=held.addons,
        quantities=held.quantities,
        start=start,
        end=end,
    )
