"""Billing providers: what every one of them is able to do, and each ability that only some have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from chalicelib.domain.billing import (
        CatalogStep,
        ChangePreview,
        CheckoutDiscount,
        CheckoutRequest,
        ListedCustomers,
        ObservedProduct,
        ProviderCheckout,
        ProviderCustomer,
        ProviderEvent,
        ProviderEvents,
        ProviderSubscription,
        ProviderSubscriptions,
        RefundedPayment,
        SubscriptionRequest,
    )
    from chalicelib.domain.coupons import CouponStep, ObservedCoupon
    from chalicelib.domain.customers import Customer
    from chalicelib.domain.foreign_catalog import ForeignCatalog
    from chalicelib.domain.meters import MeteredUsage, MeterStep, ObservedMeter
    from chalicelib.domain.price_moves import ItemMove, Proration
    from chalicelib.ports.accounts import AccountConnector


class MirroredCatalog(Protocol):
    """Plans and add-ons as the provider holds them."""

    def product_url(self, billing_id: str) -> str | None:
        """Where a person looks at the product."""
        ...

    def price_url(self, billing_id: str) -> str | None:
        """Where a person looks at the price."""
        ...

    def observe_product(self, product_key: str) -> ObservedProduct | None:
        """The product of this key with all its prices, read from the provider's own truth; None if it is not there."""
        ...

    def apply(self, step: CatalogStep, idempotency_key: str) -> str:
        """The step is done; returns the provider's id of what it made or changed."""
        ...


class BilledCustomers(Protocol):
    """Customers as the provider knows them."""

    def ensure_customer(
        self, metadata: Mapping[str, str], idempotency_key: str
    ) -> ProviderCustomer:
        """The provider has a customer with this metadata, without details yet; made once for each key."""
        ...

    def update_customer(self, billing_id: str, customer: Customer) -> None:
        """The provider's customer shows our customer's present name and email address."""
        ...

    def get_customer(self, billing_id: str) -> ProviderCustomer | None:
        """The provider's customer; `deleted` if it was deleted, None if the id is unknown."""
        ...


class BilledSubscriptions(Protocol):
    """The provider's truth about who is subscribed."""

    def list_subscriptions(self, customer_billing_id: str) -> tuple[ProviderSubscription, ...]:
        """All of the customer's subscriptions, ended ones too; empty if the customer is deleted or unknown."""
        ...

    def get_subscription(self, billing_id: str) -> ProviderSubscription | None:
        """The subscription, or None if the provider has none of that id. A list may lag behind; this does not."""
        ...


class BillingProvider(MirroredCatalog, BilledCustomers, BilledSubscriptions, Protocol):
    """Whoever collects the money. Every method may raise `ProviderUnavailableError` or `ProviderRefusedError`.

    The same idempotency key always comes with the same arguments; a repetition does nothing again. What only
    some providers can do stands in the protocols below: a service asks for the ability, never for a name.
    """

    @property
    def name(self) -> str:
        """The provider's name: in links, in settings and in requests."""
        ...


@runtime_checkable
class HostedCheckout(Protocol):
    """The ability to take a payment: the provider's own payment page.

    `{CHECKOUT_SESSION_ID}` in a return address becomes the session's id.
    """

    def open_checkout(self, request: CheckoutRequest, idempotency_key: str) -> ProviderCheckout:
        """A session that the customer can pay at `url`."""
        ...

    def get_checkout(self, billing_id: str) -> ProviderCheckout | None:
        """The session as it is now."""
        ...

    def expire_checkout(self, billing_id: str) -> ProviderCheckout:
        """The session can't be paid any more, unless it was paid already: look at the returned status."""
        ...


@runtime_checkable
class EmbeddedCheckout(Protocol):
    """The ability to take a payment inside the application's own page. Its sessions are looked at as hosted ones."""

    def open_embedded_checkout(
        self, request: CheckoutRequest, idempotency_key: str
    ) -> ProviderCheckout:
        """A session of the request's mode that the customer can pay where the `client_secret` is."""
        ...


@runtime_checkable
class DirectSubscriptions(Protocol):
    """The ability to subscribe a customer at our word alone, before anything is paid."""

    def create_subscription(
        self, request: SubscriptionRequest, idempotency_key: str
    ) -> ProviderSubscription:
        """The customer is subscribed from now on, or has been since `started_at`; made once for each key."""
        ...


@runtime_checkable
class SubscriptionEnding(Protocol):
    """The ability to end a subscription, and to take a coming end back. Repeating either does nothing more."""

    def end_subscription(
        self, billing_id: str, *, at: datetime | None = None
    ) -> ProviderSubscription:
        """The subscription ended now, or will end `at` a later time; one that has ended stays as it is.

        Nothing is paid back. At the end of the running period it ends with that period, whenever that is.
        """
        ...

    def keep_subscription(self, billing_id: str) -> ProviderSubscription:
        """The subscription has no end any more; one that has ended is a refusal."""
        ...


@runtime_checkable
class Refunding(Protocol):
    """The ability to pay back."""

    def refund_last_payment(self, billing_id: str, idempotency_key: str) -> RefundedPayment:
        """What the subscription's latest invoice took went back, once whatever the key; nothing if it took nothing.

        A part that went back before counts as the whole: somebody has decided on that payment already.
        """
        ...


@runtime_checkable
class SubscriptionPausing(Protocol):
    """The ability to let a subscription rest: nothing is collected and it gives nothing."""

    def pause_subscription(self, billing_id: str, idempotency_key: str) -> ProviderSubscription:
        """The subscription is paused from now on."""
        ...

    def unpause_subscription(self, billing_id: str, idempotency_key: str) -> ProviderSubscription:
        """The subscription goes on; one that is not paused stays as it is."""
        ...


@runtime_checkable
class TrialChanges(Protocol):
    """The ability to move the end of a running trial."""

    def set_trial_end(
        self, billing_id: str, until: datetime, idempotency_key: str
    ) -> ProviderSubscription:
        """The trial ends at this later instant, and what recurs is paid from then on."""
        ...


@runtime_checkable
class SubscriptionChanges(Protocol):
    """The ability to change what a running subscription charges."""

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
        """The subscription charges by the new prices and carries the metadata: now, or with its next period.

        An empty value removes its key. A repetition finds it so and changes nothing. A change for the next period
        that an earlier call of ours has left is replaced; one of somebody else is a refusal.
        """
        ...


@runtime_checkable
class ScheduledChanges(Protocol):
    """The ability to take back a change that waits for the next period."""

    def drop_scheduled(self, billing_id: str, idempotency_key: str) -> ProviderSubscription:
        """Nothing waits for the subscription's next period any more; a change by somebody else is a refusal."""
        ...


@runtime_checkable
class ChangePreviews(Protocol):
    """The ability to tell what a change will cost before it is made."""

    def preview_moves(
        self,
        billing_id: str,
        items: Sequence[ItemMove],
        *,
        proration: Proration,
        at_period_end: bool,
    ) -> ChangePreview:
        """What `move_prices` with these arguments would cost; nothing is changed."""
        ...


@runtime_checkable
class CustomerPortal(Protocol):
    """The ability to show customers their invoices and payment methods on a page of the provider's."""

    def open_portal(self, customer_billing_id: str, return_url: str) -> str:
        """The address of the customer's page; it is good for a short time and leads back to `return_url`."""
        ...


@runtime_checkable
class SubscriptionDiscounts(Protocol):
    """The ability to change what is taken off a running subscription's invoices."""

    def set_discount(
        self,
        billing_id: str,
        discount: CheckoutDiscount | None,
        *,
        metadata: Mapping[str, str],
        idempotency_key: str,
    ) -> ProviderSubscription:
        """The invoices to come have this discount and no other (None: none), and it carries the metadata.

        An empty value removes its key. Repeating it does nothing more: a coupon that lasts begins but once.
        """
        ...


@runtime_checkable
class PortalProvider(BillingProvider, CustomerPortal, Protocol):
    """A provider with a page for customers."""


@runtime_checkable
class CheckoutProvider(BillingProvider, HostedCheckout, Protocol):
    """A provider with a payment page."""


@runtime_checkable
class DirectProvider(BillingProvider, DirectSubscriptions, SubscriptionEnding, Protocol):
    """A provider that subscribes customers at our word."""


@runtime_checkable
class UsageCharging(Protocol):
    """The ability to charge what was used: the provider adds up what is reported to its meters."""

    def observe_meters(self, event_names: frozenset[str]) -> Mapping[str, ObservedMeter]:
        """The meters of these event names, as far as there are such, by event name."""
        ...

    def apply_meter(self, step: MeterStep) -> str:
        """The step is done; returns the meter's id. Repeating it does nothing more."""
        ...

    def report_usage(self, usage: MeteredUsage) -> None:
        """The usage is charged; repeating it under its id within a day does nothing more."""
        ...


@runtime_checkable
class Discounting(Protocol):
    """The ability to take a coupon's discount off invoices."""

    def coupon_url(self, billing_id: str) -> str | None:
        """Where a person looks at the coupon."""
        ...

    def observe_coupon(self, key: str) -> ObservedCoupon | None:
        """The coupon of this key with its promotion codes; None if it is not there."""
        ...

    def apply_coupon(self, step: CouponStep) -> str:
        """The step is done; returns the id of what it made or changed. Repeating it does nothing more."""
        ...


@runtime_checkable
class ProviderClock(Protocol):
    """The ability to live through time at our word: a stand-in's, never a real provider's."""

    def advance_clock(self, to: datetime) -> None:
        """It is that instant at the provider, and whatever was due by then has happened; later stays later."""
        ...


@runtime_checkable
class CatalogSource(Protocol):
    """The ability to tell what an account sells, whoever made it."""

    def foreign_catalog(self) -> ForeignCatalog:
        """Everything there, archived and managed by us too, as it is now."""
        ...


@runtime_checkable
class Marking(Protocol):
    """The ability to carry our names for things: they stand beside whatever else is written there."""

    def mark_customer(self, billing_id: str, metadata: Mapping[str, str]) -> None:
        """The customer carries this metadata, too."""
        ...

    def mark_subscription(self, billing_id: str, metadata: Mapping[str, str]) -> None:
        """The subscription carries this metadata, too."""
        ...


@runtime_checkable
class SubscriptionListing(Protocol):
    """The ability to tell of every subscription, whoever has it."""

    def live_subscriptions(self, cursor: str | None) -> ProviderSubscriptions:
        """Those that have not ended, page by page; what waits for one need not be told."""
        ...


@runtime_checkable
class CustomerSource(Protocol):
    """The ability to tell of every customer, whoever made it."""

    def list_customers(self, cursor: str | None, limit: int) -> ListedCustomers:
        """At most `limit` of those that are not deleted, page by page, in an order that new ones do not change.

        Raises `InvalidError` for a cursor that leads nowhere.
        """
        ...


@runtime_checkable
class EventHistory(Protocol):
    """The ability to tell what one was notified of, heard or not."""

    def past_events(self, since: datetime, cursor: str | None) -> ProviderEvents:
        """The events about customers since then that the provider still remembers, page by page."""
        ...


class Providers(Protocol):
    """The environment's billing providers, built when first needed. Services choose among them by ability."""

    def names(self) -> Sequence[str]:
        """The configured ones, in the order in which they are told of changes."""
        ...

    def get(self, name: str) -> BillingProvider:
        """That provider.

        Raises:
            BillingNotConfiguredError: The environment has none of that name, or no key for it.
            BillingNotConnectedError: It is worked with on behalf of an account that somebody has to connect first.
        """
        ...

    def connector(self, name: str) -> AccountConnector | None:
        """What connects an account of that provider; None where the environment's key is all that it works with."""
        ...


class EventReader(Protocol):
    """The provider's notifications, told from forgeries."""

    def read(self, body: bytes, signature: str | None) -> ProviderEvent:
        """The event that these exact bytes are; raises `InvalidSignatureError` or `MalformedEventError`."""
        ...
