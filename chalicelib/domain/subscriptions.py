"""Subscriptions: what ties a customer to versions of a plan and its add-ons, and which status gives access."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from chalicelib.domain.ids import (
    CustomerId,
    FeatureId,
    PackageId,
    ProductId,
    SubscriptionId,
    derived_id,
)
from chalicelib.domain.prices import BillingPeriod


class SubscriptionStatus(StrEnum):
    """Where a subscription is in its life."""

    PAYMENT_PENDING = "payment_pending"
    IN_TRIAL = "in_trial"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    CANCELED = "canceled"
    EXPIRED = "expired"
    NOT_STARTED = "not_started"


# Past due keeps access while the provider still tries to collect: it ends the subscription itself when it gives up.
GIVING_ACCESS: Final = frozenset(
    {SubscriptionStatus.IN_TRIAL, SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE}
)
ENDED: Final = frozenset({SubscriptionStatus.CANCELED, SubscriptionStatus.EXPIRED})


Holding = tuple[ProductId, str | None]
"""A product, for one resource or for the customer as a whole: what a customer has one live subscription of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribedAddon:
    """An add-on of a subscription."""

    id: PackageId
    version: int
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledChange:
    """What the subscription becomes at `at`: time alone brings it about."""

    at: datetime
    plan_id: PackageId
    plan_version: int
    addons: tuple[SubscribedAddon, ...] = ()
    quantities: Mapping[FeatureId, int] = field(default_factory=dict)
    billing_period: BillingPeriod | None = None
    interval_count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Successor:
    """What follows a subscription that was given up for a plan nobody bills."""

    plan_id: PackageId
    plan_version: int
    addons: tuple[SubscribedAddon, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One customer's hold on one product. `provider` None: nothing is collected for it.

    One that nobody bills and that starts later has a `started_at` to come. `past_due_since` is set while the status
    is `past_due`: when the invoice that is not paid was due. `successor` is what the customer has of the product once
    this one has ended, for nothing: its provider does not know of it. With a `resource_id` what it gives is that
    resource's (a workspace, a project) and not the whole customer's.
    """

    id: SubscriptionId
    customer_id: CustomerId
    product_id: ProductId
    resource_id: str | None = None
    plan_id: PackageId
    plan_version: int
    addons: tuple[SubscribedAddon, ...] = ()
    quantities: Mapping[FeatureId, int] = field(default_factory=dict)
    billing_period: BillingPeriod | None = None
    interval_count: int = 1
    coupon_id: str | None = None
    currency: str | None = None
    status: SubscriptionStatus
    started_at: datetime
    current_period_start: datetime | None = None
    current_period_end: datetime | None = None
    trial_end: datetime | None = None
    cancel_at: datetime | None = None
    ended_at: datetime | None = None
    past_due_since: datetime | None = None
    scheduled_change: ScheduledChange | None = None
    successor: Successor | None = None
    provider: str | None = None
    billing_id: str | None = None
    billing_url: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    version: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one subscription from another, inside its customer."""
        return (self.customer_id, self.id)

    @property
    def holding(self) -> Holding:
        """What it is the customer's one live subscription of."""
        return (self.product_id, self.resource_id)

    @property
    def _unbilled_trial_end(self) -> datetime | None:
        return self.trial_end if self.is_unbilled_trial else None

    @property
    def is_unbilled_trial(self) -> bool:
        """Whether it is a trial that no provider knows of: it began without a payment method, and time ends it."""
        return (
            self.provider is None
            and self.status is SubscriptionStatus.IN_TRIAL
            and self.trial_end is not None
        )

    def at(self, now: datetime) -> "Subscription":
        """The subscription as it is at this instant. What a provider bills is as the provider says; else time tells."""
        if self.provider is not None or self.status in ENDED:
            return self
        if now < self.started_at:
            return replace(self, status=SubscriptionStatus.NOT_STARTED)
        ends = [end for end in (self.cancel_at, self._unbilled_trial_end) if end is not None]
        if ends and now >= min(ends):
            end = min(ends)
            is_canceled = end == self.cancel_at
            status = SubscriptionStatus.CANCELED if is_canceled else SubscriptionStatus.EXPIRED
            return replace(self, status=status, ended_at=end, scheduled_change=None)
        change = self.scheduled_change
        return self if change is None or now < change.at else self.changed_to(change)

    def changed_to(self, change: ScheduledChange) -> "Subscription":
        """The subscription once the change is made; nothing waits any more."""
        return replace(
            self,
            plan_id=change.plan_id,
            plan_version=change.plan_version,
            addons=change.addons,
            quantities=change.quantities,
            billing_period=change.billing_period,
            interval_count=change.interval_count,
            scheduled_change=None,
        )

    @property
    def coming_change(self) -> ScheduledChange | None:
        """What the customer has of the product after this: a change that waits, or what follows a coming end."""
        if self.successor is None or self.cancel_at is None:
            return self.scheduled_change
        following = self.successor
        return ScheduledChange(
            at=self.cancel_at,
            plan_id=following.plan_id,
            plan_version=following.plan_version,
            addons=following.addons,
        )

    @property
    def is_live(self) -> bool:
        """Whether it still binds the customer: no second one of the product may be started beside it."""
        return self.status not in ENDED


def succeeded(ended: Subscription, at: datetime) -> Subscription | None:
    """What follows the subscription that has ended, from that instant; always under the same id. None: nothing does."""
    following = ended.successor
    if following is None:
        return None
    return Subscription(
        id=SubscriptionId(derived_id("subs_", "successor", ended.id)),
        customer_id=ended.customer_id,
        product_id=ended.product_id,
        resource_id=ended.resource_id,
        plan_id=following.plan_id,
        plan_version=following.plan_version,
        addons=following.addons,
        status=SubscriptionStatus.ACTIVE,
        started_at=at,
        metadata=ended.metadata,
    )


def with_coming(held: Iterable[Subscription]) -> tuple[Subscription, ...]:
    """The subscriptions, and what will follow those that are about to end."""
    subscriptions = tuple(held)
    coming = (
        succeeded(one, one.cancel_at)
        for one in subscriptions
        if one.is_live and one.cancel_at is not None
    )
    return (*subscriptions, *(one for one in coming if one is not None))


def overtaken(held: Iterable[Subscription]) -> tuple[Subscription, ...]:
    """The live subscriptions that nobody bills of what the customer has by now from a provider."""
    subscriptions = tuple(held)
    billed = {
        one.holding
        for one in subscriptions
        if one.provider is not None and one.status in GIVING_ACCESS
    }
    return tuple(
        one
        for one in subscriptions
        if one.provider is None and one.is_live and one.holding in billed
    )
