"""Stripe as a billing provider: the port's methods, each done in the module of its noun."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import stripe

from chalicelib.adapters.billing.stripe.catalog import StripeCatalog
from chalicelib.adapters.billing.stripe.checkout import StripeCheckout
from chalicelib.adapters.billing.stripe.connection import (
    STRIPE_API_BASE,
    Connection,
    Patience,
)
from chalicelib.adapters.billing.stripe.coupons import StripeCoupons
from chalicelib.adapters.billing.stripe.customers import StripeCustomers
from chalicelib.adapters.billing.stripe.discounts import StripeDiscounts
from chalicelib.adapters.billing.stripe.foreign import ForeignObjects
from chalicelib.adapters.billing.stripe.history import StripeHistory
from chalicelib.adapters.billing.stripe.lifecycle import StripeLifecycle
from chalicelib.adapters.billing.stripe.meters import StripeMeters
from chalicelib.adapters.billing.stripe.moves import StripeMoves
from chalicelib.adapters.billing.stripe.portal import StripePortal
from chalicelib.adapters.billing.stripe.previews import StripePreviews
from chalicelib.adapters.billing.stripe.refunds import StripeRefunds
from chalicelib.adapters.billing.stripe.throttle import Throttle
from chalicelib.domain.billing import (
    CatalogStep,
    ChangePreview,
    CheckoutDiscount,
    CheckoutRequest,
    ListedCustomers,
    ObservedProduct,
    ProviderCheckout,
    ProviderCustomer,
    ProviderEvents,
    ProviderSubscription,
    ProviderSubscriptions,
    RefundedPayment,
)
from chalicelib.domain.coupons import CouponStep, ObservedCoupon
from chalicelib.domain.customers import Customer
from chalicelib.domain.foreign_catalog import ForeignCatalog
from chalicelib.domain.meters import MeteredUsage, MeterStep, ObservedMeter
from chalicelib.domain.price_moves import ItemMove, Proration
from chalicelib.ports import Clock


class StripeProvider:
    """A `CheckoutProvider`. What each method promises stands with the port."""

    def __init__(
        self,
        *,
        api_key: str,
        clock: Clock,
        api_base: str = STRIPE_API_BASE,
        http_client: stripe.HTTPClient | None = None,
        throttle: Throttle | None = None,
        patience: Patience | None = None,
        account_id: str | None = None,
        on_key_rejected: Callable[[], None] | None = None,
    ) -> None:
        """No request is made. `api_base` may be another server that speaks Stripe's API.

        With `account_id` everything is done on behalf of that connected account. `on_key_rejected` is called each time
        that Stripe does not take the key.
        """
        connection = Connection(
            api_key=api_key,
            api_base=api_base,
            clock=clock,
            http_client=http_client,
            throttle=throttle,
            patience=patience,
            account_id=account_id,
            on_key_rejected=on_key_rejected,
        )
        self.api_base = api_base
        self._meters = StripeMeters(connection)
        self._coupons = StripeCoupons(connection)
        self._page_url = connection.page_url
        self._catalog = StripeCatalog(connection, self._meters)
        self._customers = StripeCustomers(connection)
        self._checkout = StripeCheckout(connection)
        self._foreign = ForeignObjects(connection)
        self._history = StripeHistory(connection)
        self._moves = StripeMoves(connection, self._customers)
        self._lifecycle = StripeLifecycle(connection, self._customers, self._moves)
        self._discounts = StripeDiscounts(connection, self._customers, self._moves)
        self._refunds = StripeRefunds(connection, self._customers)
        self._portal = StripePortal(connection)
        self._previews = StripePreviews(connection, self._customers)

    @property
    def name(self) -> str:
        """The provider's name in links."""
        return "stripe"

    def product_url(self, billing_id: str) -> str | None:
        """The product's page in Stripe's dashboard."""
        return self._catalog.product_url(billing_id)

    def price_url(self, billing_id: str) -> str | None:
        """The price's page in Stripe's dashboard."""
        return self._catalog.price_url(billing_id)

    def observe_product(self, product_key: str) -> ObservedProduct | None:
        """See `BillingProvider`."""
        return self._catalog.observe(product_key)

    def apply(self, step: CatalogStep, idempotency_key: str) -> str:
        """See `BillingProvider`."""
        return self._catalog.apply(step, idempotency_key)

    def observe_meters(self, event_names: frozenset[str]) -> Mapping[str, ObservedMeter]:
        """See `UsageCharging`."""
        return self._meters.observe(event_names)

    def apply_meter(self, step: MeterStep) -> str:
        """See `UsageCharging`."""
        return self._meters.apply(step)

    def report_usage(self, usage: MeteredUsage) -> None:
        """See `UsageCharging`."""
        self._meters.report(usage)

    def coupon_url(self, billing_id: str) -> str | None:
        """The coupon's page in Stripe's dashboard."""
        return self._page_url(f"coupons/{billing_id}")

    def observe_coupon(self, key: str) -> ObservedCoupon | None:
        """See `Discounting`."""
        return self._coupons.observe(key)

    def apply_coupon(self, step: CouponStep) -> str:
        """See `Discounting`."""
        return self._coupons.apply(step)

    def foreign_catalog(self) -> ForeignCatalog:
        """See `CatalogSource`."""
        return self._foreign.catalog()

    def past_events(self, since: datetime, cursor: str | None) -> ProviderEvents:
        """See `EventHistory`."""
        return self._history.past(since, cursor)

    def refund_last_payment(self, billing_id: str, idempotency_key: str) -> RefundedPayment:
        """See `Refunding`."""
        return self._refunds.refund_last(billing_id, idempotency_key)

    def ensure_customer(
        self, metadata: Mapping[str, str], idempotency_key: str
    ) -> ProviderCustomer:
        """See `BillingProvider`."""
        return self._customers.ensure(metadata, idempotency_key)

    def update_customer(self, billing_id: str, customer: Customer) -> None:
        """See `BillingProvider`."""
        self._customers.update(billing_id, customer)

    def get_customer(self, billing_id: str) -> ProviderCustomer | None:
        """See `BillingProvider`."""
        return self._customers.get(billing_id)

    def list_customers(self, cursor: str | None, limit: int) -> ListedCustomers:
        """See `CustomerSource`."""
        return self._customers.everybody(cursor, limit)

    def list_subscriptions(self, customer_billing_id: str) -> tuple[ProviderSubscription, ...]:
        """See `BillingProvider`."""
        return self._customers.subscriptions(customer_billing_id)

    def live_subscriptions(self, cursor: str | None) -> ProviderSubscriptions:
        """See `SubscriptionListing`."""
        return self._customers.live_subscriptions(cursor)

    def mark_customer(self, billing_id: str, metadata: Mapping[str, str]) -> None:
        """See `Marking`."""
        self._customers.mark(billing_id, metadata)

    def mark_subscription(self, billing_id: str, metadata: Mapping[str, str]) -> None:
        """See `Marking`."""
        self._customers.mark_subscription(billing_id, metadata)

    def get_subscription(self, billing_id: str) -> ProviderSubscription | None:
        """See `BillingProvider`."""
        return self._customers.subscription(billing_id)

    def open_checkout(self, request: CheckoutRequest, idempotency_key: str) -> ProviderCheckout:
        """See `HostedCheckout`."""
        return self._checkout.open(request, idempotency_key)

    def open_embedded_checkout(
        self, request: CheckoutRequest, idempotency_key: str
    ) -> ProviderCheckout:
        """See `EmbeddedCheckout`."""
        return self._checkout.open(request, idempotency_key)

    def open_portal(self, customer_billing_id: str, return_url: str) -> str:
        """See `CustomerPortal`."""
        return self._portal.open(customer_billing_id, return_url)

    def get_checkout(self, billing_id: str) -> ProviderCheckout | None:
        """See `HostedCheckout`."""
        return self._checkout.get(billing_id)

    def expire_checkout(self, billing_id: str) -> ProviderCheckout:
        """See `HostedCheckout`."""
        return self._checkout.expire(billing_id)

    def move_prices(
        self,
        billing_id: str,
        items: Sequence[ItemMove],
        *,
        proration: Proration,
        at_period_end: bool,
        metadata: Mapping[str, str],
        idempotency_key: str,
    ) -> ProviderSubscription:
        """See `SubscriptionChanges`."""
        return self._moves.move(
            billing_id,
            items,
            proration=proration,
            at_period_end=at_period_end,
            metadata=metadata,
            idempotency_key=idempotency_key,
        )

    def drop_scheduled(self, billing_id: str, idempotency_key: str) -> ProviderSubscription:
        """See `ScheduledChanges`."""
        return self._moves.drop_scheduled(billing_id, idempotency_key)

    def preview_moves(
        self,
        billing_id: str,
        items: Sequence[ItemMove],
        *,
        proration: Proration,
        at_period_end: bool,
    ) -> ChangePreview:
        """See `ChangePreviews`."""
        return self._previews.of_moves(
            billing_id, items, proration=proration, at_period_end=at_period_end
        )

    def end_subscription(
        self, billing_id: str, *, at: datetime | None = None
    ) -> ProviderSubscription:
        """See `SubscriptionEnding`."""
        return self._lifecycle.end(billing_id, at)

    def keep_subscription(self, billing_id: str) -> ProviderSubscription:
        """See `SubscriptionEnding`."""
        return self._lifecycle.keep(billing_id)

    def pause_subscription(self, billing_id: str, idempotency_key: str) -> ProviderSubscription:
        """See `SubscriptionPausing`."""
        return self._lifecycle.pause(billing_id, idempotency_key)

    def unpause_subscription(self, billing_id: str, idempotency_key: str) -> ProviderSubscription:
        """See `SubscriptionPausing`."""
        return self._lifecycle.unpause(billing_id, idempotency_key)

    def set_trial_end(
        self, billing_id: str, until: datetime, idempotency_key: str
    ) -> ProviderSubscription:
        """See `TrialChanges`. The key is not needed: a trial's end is a setting."""
        _ = idempotency_key
        return self._lifecycle.set_trial_end(billing_id, until)

    def set_discount(
        self,
        billing_id: str,
        discount: CheckoutDiscount | None,
        *,
        metadata: Mapping[str, str],
        idempotency_key: str,
    ) -> ProviderSubscription:
        """See `SubscriptionDiscounts`."""
        return self._discounts.set(billing_id, discount, metadata, idempotency_key)
