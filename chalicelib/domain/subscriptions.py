"""Subscriptions: what ties a customer to versions of a plan and its add-ons, and which status gives access."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from chalicelib.domain.ids import CustomerId, FeatureId, PackageId, ProductId, SubscriptionId
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribedAddon:
    """An add-on of a subscription."""

    id: PackageId
    version: int
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One customer's hold on one product. `provider` None: nothing is collected for it."""

    id: SubscriptionId
    customer_id: CustomerId
    product_id: ProductId
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
    def is_unbilled_trial(self) -> bool:
        """Whether it is a trial that no provider knows of: it began without a payment method, and time ends it."""
        return (
            self.provider is None
            and self.status is SubscriptionStatus.IN_TRIAL
            and self.trial_end is not None
        )

    def at(self, now: datetime) -> "Subscription":
        """The subscription as it is at this instant: a trial that no provider ends has ended by itself."""
        if self.is_unbilled_trial and self.trial_end is not None and now >= self.trial_end:
            return replace(self, status=SubscriptionStatus.EXPIRED, ended_at=self.trial_end)
        return self

    @property
    def is_live(self) -> bool:
        """Whether it still binds the customer: no second one of the product may be started beside it."""
        return self.status not in ENDED


def overtaken_trials(held: Iterable[Subscription]) -> tuple[Subscription, ...]:
    """The trials that nobody bills whose product the customer has by now from a provider."""
    subscriptions = tuple(held)
    billed = {
        one.product_id
        for one in subscriptions
        if one.provider is not None and one.status in GIVING_ACCESS
    }
    return tuple(one for one in subscriptions if one.is_unbilled_trial and one.product_id in billed)
