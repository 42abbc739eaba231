"""Invoicing by hand as a billing provider: the port's methods, each done in the module of its noun."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from chalicelib.adapters.billing.manual.catalog import ManualCatalog
from chalicelib.adapters.billing.manual.customers import ManualCustomers
from chalicelib.adapters.billing.manual.shelves import PROVIDER
from chalicelib.domain.billing import (
    CatalogStep,
    ObservedProduct,
    ProviderCustomer,
    ProviderSubscription,
    SubscriptionRequest,
)
from chalicelib.domain.customers import Customer
from chalicelib.domain.price_moves import ItemMove, Proration
from chalicelib.ports import Clock, Store


class ManualProvider:
    """A `DirectProvider`: it takes no payments, it holds what was agreed. What each method promises stands there.

    Ids are derived from idempotency keys, which it never forgets.
    """

    def __init__(self, *, store: Store, clock: Clock) -> None:
        """The store is only where its own records lie; it reads and writes nobody else's."""
        self._catalog = ManualCatalog(store)
        self._customers = ManualCustomers(store, clock, self._catalog)

    @property
    def name(self) -> str:
        """The provider's name in links."""
        return PROVIDER

    def product_url(self, billing_id: str) -> str | None:
        """The plan or add-on in our own API: there is no other place to look at it."""
        return self._catalog.product_url(billing_id)

    def price_url(self, billing_id: str) -> str | None:
        """The price's plan or add-on in our own API."""
        return self._catalog.price_url(billing_id)

    def observe_product(self, product_key: str) -> ObservedProduct | None:
        """See `MirroredCatalog`."""
        return self._catalog.observe(product_key)

    def apply(self, step: CatalogStep, idempotency_key: str) -> str:
        """See `MirroredCatalog`."""
        return self._catalog.apply(step, idempotency_key)

    def ensure_customer(
        self, metadata: Mapping[str, str], idempotency_key: str
    ) -> ProviderCustomer:
        """See `BilledCustomers`."""
        return self._customers.ensure(metadata, idempotency_key)

    def update_customer(self, billing_id: str, customer: Customer) -> None:
        """See `BilledCustomers`."""
        self._customers.update(billing_id, customer)

    def get_customer(self, billing_id: str) -> ProviderCustomer | None:
        """See `BilledCustomers`. Nobody can delete one here."""
        return self._customers.get(billing_id)

    def list_subscriptions(self, customer_billing_id: str) -> tuple[ProviderSubscription, ...]:
        """See `BilledSubscriptions`."""
        return self._customers.subscriptions(customer_billing_id)

    def get_subscription(self, billing_id: str) -> ProviderSubscription | None:
        """See `BilledSubscriptions`."""
        return self._customers.subscription(billing_id)

    def create_subscription(
        self, request: SubscriptionRequest, idempotency_key: str
    ) -> ProviderSubscription:
        """See `DirectSubscriptions`."""
        return self._customers.subscribe(request, idempotency_key)

    def end_subscription(
        self, billing_id: str, *, at: datetime | None = None
    ) -> ProviderSubscription:
        """See `SubscriptionEnding`."""
        return self._customers.end(billing_id, at)

    def keep_subscription(self, billing_id: str) -> ProviderSubscription:
        """See `SubscriptionEnding`."""
        return self._customers.keep(billing_id)

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
        """See `SubscriptionChanges`. Who invoices by hand settles by hand, and a repetition sets the same again."""
        _ = proration, idempotency_key
        return self._customers.move(billing_id, items, metadata, later=at_period_end)

    def drop_scheduled(self, billing_id: str, idempotency_key: str) -> ProviderSubscription:
        """See `ScheduledChanges`."""
        _ = idempotency_key
        return self._customers.drop(billing_id)

    def pause_subscription(self, billing_id: str, idempotency_key: str) -> ProviderSubscription:
        """See `SubscriptionPausing`."""
        _ = idempotency_key
        return self._customers.pause(billing_id, is_paused=True)

    def unpause_subscription(self, billing_id: str, idempotency_key: str) -> ProviderSubscription:
        """See `SubscriptionPausing`."""
        _ = idempotency_key
        return self._customers.pause(billing_id, is_paused=False)
