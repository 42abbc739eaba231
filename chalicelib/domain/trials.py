"""Trials: which ones can be offered, how long they last, and who had one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from chalicelib.domain.billing_periods import months_later
from chalicelib.domain.ids import CustomerId, ProductId, SubscriptionId
from chalicelib.domain.plans import PackageContent, PricingType, Trial, TrialEnd, TrialUnit

# Stripe's bound of a trial: 730 days (docs.stripe.com/billing/subscriptions/trials).
_LONGEST: Final = {TrialUnit.DAY: 730, TrialUnit.MONTH: 23}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialUse:
    """The customer's one trial of the product: written with the subscription that began with it."""

    customer_id: CustomerId
    product_id: ProductId
    subscription_id: SubscriptionId
    started_at: datetime

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one use from another."""
        return (self.customer_id, self.product_id)


def trial_refusals(content: PackageContent) -> Iterable[tuple[str, str, str]]:
    """The field's path, a code and a sentence for whatever keeps the trial from being offered."""
    trial = content.trial
    if trial is None:
        return
    if content.pricing_type is not PricingType.PAID:
        detail = f"A {content.pricing_type} plan has nothing to try before it is paid."
        yield "trial", "not_allowed", detail
    if not 1 <= trial.duration <= _LONGEST[trial.unit]:
        detail = f"A trial lasts at most {_LONGEST[trial.unit]} {trial.unit}s."
        yield "trial.duration", "out_of_range", detail
    if trial.payment_method_required and trial.end_behavior is TrialEnd.CANCEL_SUBSCRIPTION:
        detail = "Who gives a payment method is charged when the trial ends: it converts to paid."
        yield "trial.end_behavior", "not_allowed", detail


def trial_end(trial: Trial, start: datetime) -> datetime:
    """When a trial that starts then is over. Months end on the same day, or the month's last where that is earlier."""
    if trial.unit is TrialUnit.DAY:
        return start + timedelta(days=trial.duration)
    return months_later(start, trial.duration)


def trial_days(trial: Trial, start: datetime) -> int:
    """The same in whole days, as providers count it."""
    return (trial_end(trial, start) - start).days
