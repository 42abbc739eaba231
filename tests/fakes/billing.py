"""A billing provider in memory: deterministic, strict where Stripe is, and failing on request.

Its states are the fewest that the port's contract suite (tests/contract/billing_provider) can see.
"""

import calendar
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from chalicelib.domain.billing import (
    ArchivePrice,
    CatalogStep,
    CheckoutMode,
    CheckoutRequest,
    CheckoutStatus,
    CreatePrice,
    CreateProduct,
    MirrorProduct,
    ObservedPrice,
    ObservedProduct,
    ProviderCheckout,
    ProviderCustomer,
    ProviderEvent,
    ProviderEvents,
    ProviderItem,
    ProviderSubscription,
    ProviderSubscriptions,
    SetDefaultPrice,
    SubscriptionRequest,
    UpdatePrice,
    UpdateProduct,
)
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import (
    BillingNotConfiguredError,
    BillingNotConnectedError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from chalicelib.domain.foreign_catalog import ForeignCatalog
from chalicelib.domain.meters import CreateMeter, MeteredUsage, MeterStep, ObservedMeter
from chalicelib.domain.prices import BillingPeriod, Price
from chalicelib.domain.subscriptions import ENDED, SubscriptionStatus
from chalicelib.ports import AccountConnector, BillingProvider, Clock


class When(StrEnum):
    """Where in a call a fault strikes."""

    BEFORE = "before"  # nothing happened
    AFTER = "after"  # it happened, and the answer is lost
    STORED = "stored"  # it happened, and the error is what the idempotency key replays from now on


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the port, as the provider saw it."""

    method: str
    arguments: tuple[Any, ...]
    idempotency_key: str | None = None


@dataclass(slots=True)
class Fault:
    """Strikes the next `times` calls of `method` whose arguments `where` accepts."""

    method: str
    error: Exception
    when: When
    times: int
    where: Callable[[Call], bool]


@dataclass(frozen=True, slots=True)
class _StoredPrice:
    price: Price
    product_key: str
    observed: ObservedPrice


@dataclass(slots=True)
class FakeProvider:
    """A `BillingProvider` that can't sell. `calls` is what it was asked; `on_call` runs before each call."""

    clock: Clock
    name: str = "stripe"
    calls: list[Call] = field(default_factory=list)
    on_call: Callable[[Call], None] | None = None
    products: dict[str, ObservedProduct] = field(default_factory=dict)
    customers: dict[str, ProviderCustomer] = field(default_factory=dict)
    customer_metadata: dict[str, Mapping[str, str]] = field(default_factory=dict)
    customer_details: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    subscriptions: dict[str, ProviderSubscription] = field(default_factory=dict)
    unlisted: set[str] = field(default_factory=set)  # subscriptions that lists do not show yet
    _prices: dict[str, _StoredPrice] = field(default_factory=dict)
    _faults: list[Fault] = field(default_factory=list)
    _answers: dict[str, tuple[Any, str | Exception]] = field(default_factory=dict)
    _made: int = 0

    # --- Faults ---------------------------------------------------------------------------------

    def fail(
        self,
        method: str,
        error: Exception,
        *,
        when: When = When.BEFORE,
        times: int = 1,
        where: Callable[[Call], bool] = lambda call: True,
    ) -> None:
        """The next `times` calls of the method raise `error`."""
        self._faults.append(Fault(method, error, when, times, where))

    def _strike(self, call: Call, *moments: When) -> Fault | None:
        for fault in self._faults:
            if fault.method == call.method and fault.when in moments and fault.where(call):
                fault.times -= 1
                if not fault.times:
                    self._faults.remove(fault)
                return fault
        return None

    def _enter(self, call: Call) -> None:
        self.calls.append(call)
        if self.on_call is not None:
            self.on_call(call)
        if fault := self._strike(call, When.BEFORE):
            raise fault.error

    def _read(self, method: str, *arguments: Any) -> None:
        self._enter(Call(method, arguments))
        if fault := self._strike(self.calls[-1], When.AFTER, When.STORED):
            raise fault.error

    def _set(self, call: Call, effect: Callable[[], Any]) -> Any:
        """The effect's answer: values are set again by a repetition, whatever its key."""
        self._enter(call)
        answer = effect()
        if fault := self._strike(call, When.AFTER, When.STORED):
            raise fault.error
        return answer

    def _create(self, call: Call, effect: Callable[[], str]) -> str:
        """The id that the effect made when the key was first used. Refusals are not stored."""
        self._enter(call)
        key = call.idempotency_key or ""
        if key in self._answers:
            first_arguments, answer = self._answers[key]
            if first_arguments != call.arguments:
                raise ProviderRefusedError(
                    "The idempotency key was used with other parameters.",
                    provider_code="idempotency_error",
                )
            if isinstance(answer, Exception):
                raise answer
        else:
            answer = effect()
            self._answers[key] = (call.arguments, answer)
        if fault := self._strike(call, When.AFTER, When.STORED):
            if fault.when is When.STORED:
                self._answers[key] = (call.arguments, fault.error)
            raise fault.error
        return answer

    def forget_idempotency_keys(self) -> None:
        """More than a day passed: no key is replayed any more."""
        self._answers.clear()

    def _new_id(self, prefix: str) -> str:
        self._made += 1
        return f"{prefix}_{self._made:06d}"

    # --- Catalog --------------------------------------------------------------------------------

    def product_url(self, billing_id: str) -> str | None:
        return f"https://billing.example/products/{billing_id}"

    def observe_product(self, product_key: str) -> ObservedProduct | None:
        self._read("observe_product", product_key)
        product = self.products.get(product_key)
        if product is None:
            return None
        prices = tuple(
            stored.observed
            for stored in reversed(self._prices.values())
            if stored.product_key == product_key
        )
        return replace(product, prices=prices)

    def price_url(self, billing_id: str) -> str | None:
        return f"https://billing.example/prices/{billing_id}"

    def apply(self, step: CatalogStep, idempotency_key: str) -> str:
        call = Call("apply", (step,), idempotency_key)
        if isinstance(step, CreatePrice):
            return self._create(call, lambda: self._create_price(step))
        answer: str = self._set(call, lambda: self._apply(step))
        return answer

    def _create_price(self, step: CreatePrice) -> str:
        self._product(step.product_key)
        billing_id = self._new_id("price")
        self._release(step.price.lookup_key)
        self._prices[billing_id] = _StoredPrice(
            step.price.price,
            step.product_key,
            ObservedPrice(
                billing_id=billing_id,
                lookup_key=step.price.lookup_key,
                fingerprint=step.price.fingerprint,
                active=True,
                metadata=dict(step.price.metadata),
            ),
        )
        return billing_id

    def _put_product(self, product: MirrorProduct, unset: Sequence[str] = ()) -> str:
        key = product.product_key
        held = self.products.get(key)
        self.products[key] = ObservedProduct(
            billing_id=key,
            name=product.name,
            description=product.description,
            active=product.active,
            metadata=_merged(held.metadata if held else {}, product.metadata, unset),
            prices=(),
            default_price=held.default_price if held else None,
        )
        return key

    def _apply(self, step: CatalogStep) -> str:
        match step:
            case CreateProduct(product=product):
                return self._put_product(product)
            case UpdateProduct(product=product, unset_metadata=unset):
                self._product(product.product_key)
                return self._put_product(product, unset)
            case CreatePrice():
                return self._create_price(step)
            case UpdatePrice(billing_id=billing_id, price=price, unset_metadata=unset):
                metadata = _merged(self._price(billing_id).observed.metadata, price.metadata, unset)
                self._release(price.lookup_key)
                self._observe(
                    billing_id, lookup_key=price.lookup_key, active=True, metadata=metadata
                )
                return billing_id
            case SetDefaultPrice(product_key=product_key, lookup_key=lookup_key):
                held = self._product(product_key)
                default = None if lookup_key is None else self._by_lookup(product_key, lookup_key)
                self.products[product_key] = replace(held, default_price=default)
                return product_key
            case ArchivePrice(billing_id=billing_id):
                if self.products[self._price(billing_id).product_key].default_price == billing_id:
                    raise ProviderRefusedError("This is the default price of its product.")
                self._observe(billing_id, active=False)
                return billing_id

    def _product(self, product_key: str) -> ObservedProduct:
        if product_key not in self.products:
            raise _missing("product", product_key)
        return self.products[product_key]

    def _price(self, billing_id: str) -> _StoredPrice:
        if billing_id not in self._prices:
            raise _missing("price", billing_id)
        return self._prices[billing_id]

    def _by_lookup(self, product_key: str, lookup_key: str) -> str:
        for billing_id, stored in self._prices.items():
            observed = stored.observed
            if (
                stored.product_key == product_key
                and observed.lookup_key == lookup_key
                and observed.active
            ):
                return billing_id
        raise _missing("price", lookup_key)

    def _release(self, lookup_key: str) -> None:
        for billing_id, stored in self._prices.items():
            if stored.observed.lookup_key == lookup_key:
                self._observe(billing_id, lookup_key=None)

    def _observe(self, billing_id: str, **changes: Any) -> None:
        stored = self._prices[billing_id]
        self._prices[billing_id] = replace(stored, observed=replace(stored.observed, **changes))

    def edit_product(self, product_key: str, **changes: Any) -> None:
        """Somebody changed the product in the provider's dashboard."""
        self.products[product_key] = replace(self._product(product_key), **changes)

    def edit_price(self, billing_id: str, **changes: Any) -> None:
        """Somebody changed the price in the provider's dashboard."""
        self._price(billing_id)
        self._observe(billing_id, **changes)

    # --- Customers ------------------------------------------------------------------------------

    def ensure_customer(
        self, metadata: Mapping[str, str], idempotency_key: str
    ) -> ProviderCustomer:
        def create() -> str:
            billing_id = self._new_id("cus")
            url = f"https://billing.example/customers/{billing_id}"
            self.customer_metadata[billing_id] = dict(metadata)
            self.customers[billing_id] = ProviderCustomer(
                billing_id=billing_id, url=url, metadata=dict(metadata)
            )
            return billing_id

        call = Call("ensure_customer", (dict(metadata),), idempotency_key)
        made = self.customers[self._create(call, create)]
        if made.deleted:
            # Deleted since: the key's answer is of no use any more.
            del self._answers[idempotency_key]
            made = self.customers[self._create(call, create)]
        return made

    def update_customer(self, billing_id: str, customer: Customer) -> None:
        def update() -> None:
            held = self.customers.get(billing_id)
            if held is None or held.deleted:
                raise _missing("customer", billing_id)
            self.customer_details[billing_id] = (customer.name, customer.email)

        self._set(Call("update_customer", (billing_id, customer)), update)

    def get_customer(self, billing_id: str) -> ProviderCustomer | None:
        self._read("get_customer", billing_id)
        return self.customers.get(billing_id)

    def delete_customer(self, billing_id: str) -> None:
        """Somebody deleted the customer: its subscriptions end at once."""
        self.customers[billing_id] = replace(self.customers[billing_id], deleted=True, metadata={})
        for subscription in self.subscriptions.values():
            if subscription.customer_billing_id == billing_id and subscription.status not in ENDED:
                self.cancel(subscription.billing_id)

    def list_subscriptions(self, customer_billing_id: str) -> tuple[ProviderSubscription, ...]:
        self._read("list_subscriptions", customer_billing_id)
        customer = self.customers.get(customer_billing_id)
        if customer is None or customer.deleted:
            return ()
        return tuple(
            subscription
            for subscription in reversed(self.subscriptions.values())
            if subscription.customer_billing_id == customer_billing_id
            and subscription.billing_id not in self.unlisted
        )

    def get_subscription(self, billing_id: str) -> ProviderSubscription | None:
        self._read("get_subscription", billing_id)
        return self.subscriptions.get(billing_id)

    # --- What selling has in common ---------------------------------------------------------------

    def _check_sellable(self, request: CheckoutRequest | SubscriptionRequest) -> None:
        customer = self.customers.get(request.customer_billing_id)
        if customer is None or customer.deleted:
            raise _missing("customer", request.customer_billing_id)
        for item in request.items:
            if not self._price(item.price_billing_id).observed.active:
                raise ProviderRefusedError("The price is not active.")

    def _subscribe(
        self, request: CheckoutRequest | SubscriptionRequest, status: SubscriptionStatus
    ) -> str:
        now = self.clock.now().replace(microsecond=0)
        prices = [self._price(item.price_billing_id).price for item in request.items]
        billing_id = self._new_id("sub")
        self.subscriptions[billing_id] = ProviderSubscription(
            billing_id=billing_id,
            customer_billing_id=request.customer_billing_id,
            status=status,
            items=tuple(
                ProviderItem(price_billing_id=item.price_billing_id, quantity=item.quantity)
                for item in request.items
            ),
            currency=prices[0].currency,
            started_at=now,
            created_at=now,
            current_period_start=now,
            current_period_end=period_end(now, prices[0]),
            url=f"https://billing.example/subscriptions/{billing_id}",
            metadata=dict(request.metadata),
        )
        return billing_id

    # --- What people in the dashboard do --------------------------------------------

    def cancel(self, subscription_id: str, *, at: datetime | None = None) -> ProviderSubscription:
        """The subscription ended now, or will end `at` a later time."""
        if at is not None:
            return self.edit_subscription(subscription_id, cancel_at=at)
        return self.edit_subscription(
            subscription_id,
            status=SubscriptionStatus.CANCELED,
            ended_at=self.clock.now().replace(microsecond=0),
        )

    def edit_subscription(self, subscription_id: str, **changes: Any) -> ProviderSubscription:
        """The subscription changed at the provider: a renewal, a failed payment, another price."""
        changed = replace(self.subscriptions[subscription_id], **changes)
        self.subscriptions[subscription_id] = changed
        return changed

    def add_subscription(self, subscription: ProviderSubscription) -> ProviderSubscription:
        """The provider has this subscription too, whoever made it."""
        self.subscriptions[subscription.billing_id] = subscription
        return subscription


@dataclass(slots=True)
class FakeBillingProvider(FakeProvider):
    """A `CheckoutProvider` of every mode that also charges usage and has a `CustomerPortal`: a customer pays first.

    `foreign` is what others made there (`CatalogSource`); `history` what it notified of, newest last
    (`EventHistory`), in pages of two.
    """

    meters: dict[str, ObservedMeter] = field(default_factory=dict)
    metered: dict[str, MeteredUsage] = field(default_factory=dict)
    foreign: ForeignCatalog = field(default_factory=ForeignCatalog)
    history: list[ProviderEvent] = field(default_factory=list)
    unreadable: int = 0  # events of the history that nobody can read
    checkouts: dict[str, ProviderCheckout] = field(default_factory=dict)
    checkout_requests: dict[str, CheckoutRequest] = field(default_factory=dict)

    def foreign_catalog(self) -> ForeignCatalog:
        self._read("foreign_catalog")
        return self.foreign

    def past_events(self, since: datetime, cursor: str | None) -> ProviderEvents:
        self._read("past_events", since, cursor)
        known = [event for event in reversed(self.history) if event.created_at >= since]
        if cursor is not None:
            ids = [event.id for event in known]
            known = known[ids.index(cursor) + 1 :]
        return ProviderEvents(
            events=tuple(known[:2]),
            next_cursor=known[1].id if len(known) > 2 else None,
            unreadable=self.unreadable,
        )

    def live_subscriptions(self, cursor: str | None) -> ProviderSubscriptions:
        self._read("live_subscriptions", cursor)
        live = [one for one in self.subscriptions.values() if one.status not in ENDED]
        if cursor is not None:
            ids = [one.billing_id for one in live]
            live = live[ids.index(cursor) + 1 :]
        return ProviderSubscriptions(
            subscriptions=tuple(live[:100]),
            next_cursor=live[99].billing_id if len(live) > 100 else None,
        )

    def mark_customer(self, billing_id: str, metadata: Mapping[str, str]) -> None:
        def mark() -> None:
            held = self.customers.get(billing_id)
            if held is None or held.deleted:
                raise _missing("customer", billing_id)
            merged = {**held.metadata, **metadata}
            self.customers[billing_id] = replace(held, metadata=merged)

        self._set(Call("mark_customer", (billing_id, dict(metadata))), mark)

    def mark_subscription(self, billing_id: str, metadata: Mapping[str, str]) -> None:
        def mark() -> None:
            held = self.subscriptions.get(billing_id)
            if held is None:
                raise _missing("subscription", billing_id)
            self.edit_subscription(billing_id, metadata={**held.metadata, **metadata})

        self._set(Call("mark_subscription", (billing_id, dict(metadata))), mark)

    def observe_meters(self, event_names: frozenset[str]) -> Mapping[str, ObservedMeter]:
        self._read("observe_meters", event_names)
        return {name: meter for name, meter in self.meters.items() if name in event_names}

    def apply_meter(self, step: MeterStep) -> str:
        answer: str = self._set(Call("apply_meter", (step,)), lambda: self._apply_meter(step))
        return answer

    def report_usage(self, usage: MeteredUsage) -> None:
        def take() -> None:
            meter = self.meters.get(usage.event_name)
            if meter is None or not meter.active:
                raise ProviderRefusedError("There is no such meter.", provider_code="no_meter")
            customer = self.customers.get(usage.customer_billing_id)
            if customer is None or customer.deleted:
                raise _missing("customer", usage.customer_billing_id)
            self.metered.setdefault(usage.id, usage)

        self._set(Call("report_usage", (usage,)), take)

    def _apply_meter(self, step: MeterStep) -> str:
        name = step.meter.event_name
        held = self.meters.get(name)
        if isinstance(step, CreateMeter):
            if held is None or not held.active:
                self.meters[name] = ObservedMeter(
                    billing_id=self._new_id("mtr"),
                    event_name=name,
                    display_name=step.meter.display_name,
                    active=True,
                )
        elif held is None or held.billing_id != step.billing_id:
            raise _missing("meter", step.billing_id)
        else:
            self.meters[name] = replace(
                held,
                display_name=step.meter.display_name,
                active=held.active or step.reactivate,
            )
        return self.meters[name].billing_id

    def stop_meter(self, event_name: str) -> None:
        """Somebody deactivated the meter in the provider's dashboard."""
        self.meters[event_name] = replace(self.meters[event_name], active=False)

    def _create_price(self, step: CreatePrice) -> str:
        meter = step.price.meter
        if meter is not None and (meter not in self.meters or not self.meters[meter].active):
            raise ProviderUnavailableError(f"There is no active meter {meter!r}.")
        # A dataclass with slots is made anew, and `super()` without arguments would name the old one.
        return FakeProvider._create_price(self, step)

    def open_checkout(self, request: CheckoutRequest, idempotency_key: str) -> ProviderCheckout:
        return self._open(Call("open_checkout", (request,), idempotency_key), request)

    def open_embedded_checkout(
        self, request: CheckoutRequest, idempotency_key: str
    ) -> ProviderCheckout:
        return self._open(Call("open_embedded_checkout", (request,), idempotency_key), request)

    def _open(self, call: Call, request: CheckoutRequest) -> ProviderCheckout:
        is_hosted = request.mode is CheckoutMode.HOSTED

        def create() -> str:
            self._check_sellable(request)
            leads_back = (request.success_url or request.cancel_url) is not None
            if is_hosted is not leads_back or is_hosted is not (request.return_url is None):
                raise ProviderRefusedError("The address does not fit the mode.")
            billing_id = self._new_id("cs")
            self.checkout_requests[billing_id] = request
            self.checkouts[billing_id] = ProviderCheckout(
                billing_id=billing_id,
                customer_billing_id=request.customer_billing_id,
                url=f"https://billing.example/pay/{billing_id}" if is_hosted else None,
                client_secret=None if is_hosted else f"{billing_id}_secret",
                status=CheckoutStatus.OPEN,
                expires_at=request.expires_at,
            )
            return billing_id

        return self._checkout_now(self._create(call, create))

    def open_portal(self, customer_billing_id: str, return_url: str) -> str:
        def open_page() -> str:
            held = self.customers.get(customer_billing_id)
            if held is None or held.deleted:
                raise _missing("customer", customer_billing_id)
            return f"https://billing.example/portal/{customer_billing_id}?return={return_url}"

        answer: str = self._set(Call("open_portal", (customer_billing_id, return_url)), open_page)
        return answer

    def get_checkout(self, billing_id: str) -> ProviderCheckout | None:
        self._read("get_checkout", billing_id)
        return self._checkout_now(billing_id) if billing_id in self.checkouts else None

    def expire_checkout(self, billing_id: str) -> ProviderCheckout:
        def expire() -> ProviderCheckout:
            if billing_id not in self.checkouts:
                raise _missing("checkout.session", billing_id)
            if self._checkout_now(billing_id).status is CheckoutStatus.OPEN:
                self._close(billing_id, CheckoutStatus.EXPIRED)
            return self.checkouts[billing_id]

        answer: ProviderCheckout = self._set(Call("expire_checkout", (billing_id,)), expire)
        return answer

    def _checkout_now(self, billing_id: str) -> ProviderCheckout:
        checkout = self.checkouts[billing_id]
        if checkout.status is CheckoutStatus.OPEN and self.clock.now() >= checkout.expires_at:
            self._close(billing_id, CheckoutStatus.EXPIRED)
        return self.checkouts[billing_id]

    def _close(self, billing_id: str, status: CheckoutStatus) -> None:
        self.checkouts[billing_id] = replace(
            self.checkouts[billing_id], status=status, url=None, client_secret=None
        )

    # --- What customers do ----------------------------------------------------------------------

    def pay(
        self, checkout_id: str, status: SubscriptionStatus = SubscriptionStatus.ACTIVE
    ) -> ProviderSubscription:
        """The customer paid the open checkout: it is complete and made this subscription."""
        if self._checkout_now(checkout_id).status is not CheckoutStatus.OPEN:
            raise AssertionError(f"The checkout {checkout_id} is not open.")
        request = self.checkout_requests[checkout_id]
        billing_id = self._subscribe(request, status)
        if request.trial_days is not None:
            end = self.subscriptions[billing_id].started_at + timedelta(days=request.trial_days)
            self.edit_subscription(
                billing_id,
                status=SubscriptionStatus.IN_TRIAL,
                trial_end=end,
                current_period_end=end,
            )
        self._close(checkout_id, CheckoutStatus.COMPLETE)
        return self.subscriptions[billing_id]

    def decline(self, checkout_id: str) -> ProviderCheckout:
        """The card was refused: the checkout stays open and no subscription comes of it."""
        return self._checkout_now(checkout_id)


@dataclass(slots=True)
class FakeDirectProvider(FakeProvider):
    """A `DirectProvider`: our word is enough, nothing has to be paid first."""

    name: str = "offline"

    def create_subscription(
        self, request: SubscriptionRequest, idempotency_key: str
    ) -> ProviderSubscription:
        def create() -> str:
            self._check_sellable(request)
            made = self._subscribe(request, SubscriptionStatus.ACTIVE)
            if request.started_at is not None:
                self._begin_then(made, request.started_at)
            return made

        call = Call("create_subscription", (request,), idempotency_key)
        return self.subscriptions[self._create(call, create)]

    def _begin_then(self, billing_id: str, start: datetime) -> None:
        price = self._price(self.subscriptions[billing_id].items[0].price_billing_id).price
        count = 0
        while (end := _periods_later(start, price, count + 1)) <= self.clock.now():
            count += 1
        self.edit_subscription(
            billing_id,
            started_at=start,
            created_at=start,
            current_period_start=_periods_later(start, price, count),
            current_period_end=end,
        )

    def end_subscription(
        self, billing_id: str, *, at: datetime | None = None
    ) -> ProviderSubscription:
        def end() -> ProviderSubscription:
            held = self.subscriptions.get(billing_id)
            if held is None:
                raise _missing("subscription", billing_id)
            return held if held.status in ENDED else self.cancel(billing_id, at=at)

        answer: ProviderSubscription = self._set(Call("end_subscription", (billing_id, at)), end)
        return answer

    def keep_subscription(self, billing_id: str) -> ProviderSubscription:
        def keep() -> ProviderSubscription:
            held = self.subscriptions.get(billing_id)
            if held is None:
                raise _missing("subscription", billing_id)
            if held.status in ENDED:
                raise ProviderRefusedError("A subscription that has ended can't go on.")
            return self.edit_subscription(billing_id, cancel_at=None)

        answer: ProviderSubscription = self._set(Call("keep_subscription", (billing_id,)), keep)
        return answer


@dataclass(frozen=True, slots=True)
class FakeProviders:
    """The environment's providers, in this order. None at all by default."""

    providers: Sequence[BillingProvider] = ()
    connectors: Mapping[str, AccountConnector] = field(default_factory=dict)
    unconnected: Sequence[str] = ()

    def names(self) -> Sequence[str]:
        return tuple(provider.name for provider in self.providers)

    def get(self, name: str) -> BillingProvider:
        if name in self.unconnected:
            raise BillingNotConnectedError("Nobody has connected an account.")
        for provider in self.providers:
            if provider.name == name:
                return provider
        raise BillingNotConfiguredError(f"There is no billing provider {name!r}.")

    def connector(self, name: str) -> AccountConnector | None:
        return self.connectors.get(name)


def _missing(kind: str, billing_id: str) -> ProviderRefusedError:
    return ProviderRefusedError(f"No such {kind}: {billing_id}", provider_code="resource_missing")


def _merged(
    held: Mapping[str, str], wanted: Mapping[str, str], unset: Sequence[str]
) -> dict[str, str]:
    return {key: value for key, value in {**held, **wanted}.items() if key not in unset}


def period_end(start: datetime, price: Price) -> datetime:
    """When the price's period ends that begins then."""
    count = price.interval_count
    match price.billing_period:
        case BillingPeriod.DAY:
            return start + timedelta(days=count)
        case BillingPeriod.WEEK:
            return start + timedelta(weeks=count)
        case BillingPeriod.YEAR:
            return _months_later(start, 12 * count)
        case _:
            return _months_later(start, count)


def _periods_later(start: datetime, price: Price, count: int) -> datetime:
    return period_end(start, replace(price, interval_count=price.interval_count * count))


def _months_later(start: datetime, months: int) -> datetime:
    year, month0 = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, calendar.monthrange(year, month0 + 1)[1])
    return start.replace(year=year, month=month0 + 1, day=day)
