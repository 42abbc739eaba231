"""Checkout sessions: at most one open for each customer and product.

A customer who is subscribed without a payment page holds the same slot for the moment that takes, so that no two
ways to the same product can both be gone to their end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from chalicelib.domain.billing import CheckoutDiscount, CheckoutMode, CheckoutStatus
from chalicelib.domain.ids import CustomerId, FeatureId, PackageId, ProductId, SubscriptionId
from chalicelib.domain.prices import BillingPeriod
from chalicelib.domain.subscriptions import SubscribedAddon


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutSession:
    """A customer's attempt to pay for a plan; `subscription_id` is what the subscription will be called if it is paid.

    `terms` digests what was asked for: the same terms again get the same session back. `billing_id`, `url` and
    `client_secret` are None from the claim of the slot until the provider has opened its own session. `is_direct`:
    there is no session to be paid, and `expires_at` is when whoever claimed the slot can't be at work any more.
    """

    id: str
    customer_id: CustomerId
    product_id: ProductId
    resource_id: str | None = None
    plan_id: PackageId
    plan_version: int
    addons: tuple[SubscribedAddon, ...] = ()
    unbilled_addons: Mapping[PackageId, int] = field(default_factory=dict)
    quantities: Mapping[FeatureId, int] = field(default_factory=dict)
    trial_days: int | None = None
    coupon_id: str | None = None
    discount: CheckoutDiscount | None = None
    billing_period: BillingPeriod
    interval_count: int = 1
    currency: str
    subscription_id: SubscriptionId
    terms: str
    ui_mode: CheckoutMode = CheckoutMode.HOSTED
    success_url: str | None = None
    cancel_url: str | None = None
    return_url: str | None = None
    provider: str
    is_direct: bool = False
    billing_id: str | None = None
    url: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    status: CheckoutStatus = CheckoutStatus.OPEN
    expires_at: datetime
    created_at: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one attempt's slot from another: the customer and the product."""
        return (self.customer_id, self.product_id)


def vacant_slot(customer_id: CustomerId, product_id: ProductId) -> CheckoutSession:
    """A slot by its name alone: what conditions say of a slot that nobody has used yet. Never stored."""
    never = datetime.min.replace(tzinfo=UTC)
    return CheckoutSession(
        id="",
        customer_id=customer_id,
        product_id=product_id,
        plan_id=PackageId(""),
        plan_version=0,
        billing_period=BillingPeriod.MONTH,
        currency="",
        subscription_id=SubscriptionId(""),
        terms="",
        provider="",
        expires_at=never,
        created_at=never,
    )
