"""Customers and their subscriptions as this provider holds them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib.adapters.billing.manual.catalog import ManualCatalog
from chalicelib.adapters.billing.manual.changes import (
    current_period,
    end_of,
    settled,
    with_moves,
    with_moves_later,
)
from chalicelib.adapters.billing.manual.records import (
    ENTITY_URL,
    HeldCustomer,
    HeldSubscription,
    Pointer,
    digest,
    missing,
    require_same,
)
from chalicelib.adapters.billing.manual.shelves import Shelf
from chalicelib.domain.billing import (
    ProviderCustomer,
    ProviderItem,
    ProviderSubscription,
    SubscriptionRequest,
)
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import ProviderRefusedError
from chalicelib.domain.ids import derived_id
from chalicelib.domain.price_moves import ItemMove
from chalicelib.domain.prices import Price
from chalicelib.domain.subscriptions import SubscriptionStatus
from chalicelib.ports import Clock, Put, Store


class ManualCustomers:
    """The customers, each with its subscriptions."""

    def __init__(self, store: Store, clock: Clock, catalog: ManualCatalog) -> None:
        self._customers = Shelf(store, "customer", HeldCustomer)
        self._pointers = Shelf(store, "subscription", Pointer)
        self._clock = clock
        self._catalog = catalog

    def ensure(self, metadata: Mapping[str, str], idempotency_key: str) -> ProviderCustomer:
        """There is a customer of this key."""
        made_with = digest(metadata)
        new = HeldCustomer(
            billing_id=derived_id("man_cus_", idempotency_key),
            made_with=made_with,
            metadata=dict(metadata),
        )
        held = self._customers.change(new.billing_id, lambda held: held or new)
        require_same(held.made_with, made_with)
        return _customer(held)

    def update(self, billing_id: str, customer: Customer) -> None:
        """The customer has these details."""
        self._change(
            billing_id, lambda held: replace(held, name=customer.name, email=customer.email)
        )

    def get(self, billing_id: str) -> ProviderCustomer | None:
        """The customer, or None."""
        held = self._customers.get(billing_id)
        return None if held is None else _customer(held)

    def subscriptions(self, customer_billing_id: str) -> tuple[ProviderSubscription, ...]:
        """The customer's subscriptions, newest first."""
        held = self._customers.get(customer_billing_id)
        if held is None:
            return ()
        return tuple(self._shown(held, one) for one in reversed(held.subscriptions))

    def subscription(self, billing_id: str) -> ProviderSubscription | None:
        """The subscription, or None."""
        pointer = self._pointers.get(billing_id)
        held = None if pointer is None else self._customers.get(pointer.key)
        return None if held is None else self._find(held, billing_id)

    def subscribe(self, request: SubscriptionRequest, idempotency_key: str) -> ProviderSubscription:
        """The customer is subscribed from now on, once for each key."""
        billing_id = derived_id("man_sub_", idempotency_key)
        made_with = digest(request)
        pointer = self._pointers.get(billing_id)
        key = request.customer_billing_id if pointer is None else pointer.key
        new = None if pointer is not None else self._new(billing_id, made_with, request)
        pointing = self._pointers.put(billing_id, Pointer(key=key))
        held = self._change(
            key, lambda before: before if new is None else _with_new(before, new), pointing
        )
        require_same(_subscription_in(held, billing_id).made_with, made_with)
        return self._find(held, billing_id)

    def end(self, billing_id: str, at: datetime | None) -> ProviderSubscription:
        """The subscription has ended, or will."""
        now = self._clock.now().replace(microsecond=0)

        def ended(held: HeldSubscription) -> HeldSubscription:
            one = settled(held, now)
            if end_of(one, now) is not None:
                return one
            if at is not None and at > now:
                return replace(one, cancel_at=at, scheduled=None)
            return replace(one, ended_at=now, scheduled=None)

        return self._change_one(billing_id, ended)

    def keep(self, billing_id: str) -> ProviderSubscription:
        """The subscription has no end any more."""
        return self._change_one(billing_id, lambda one: replace(self._running(one), cancel_at=None))

    def move(
        self,
        billing_id: str,
        moves: Sequence[ItemMove],
        metadata: Mapping[str, str],
        *,
        later: bool,
    ) -> ProviderSubscription:
        """The subscription charges otherwise, now or with its next period; nothing is settled: a person invoices."""
        now = self._clock.now().replace(microsecond=0)
        wanted = [self._catalog.price(move.to_price) for move in moves if move.to_price is not None]
        recurring = next((one.price for one in wanted if one.price.billing_period), None)

        def moved(one: HeldSubscription) -> HeldSubscription:
            running = settled(self._running(one), now)
            kept = {item.price_billing_id for item in running.items}
            if not all(price.active or price.billing_id in kept for price in wanted):
                raise ProviderRefusedError("A price of the subscription is not sold any more.")
            charged = recurring or self._recurring(running)
            change = with_moves_later if later else with_moves
            return change(replace(running, scheduled=None), moves, metadata, charged, now)

        return self._change_one(billing_id, moved)

    def drop(self, billing_id: str) -> ProviderSubscription:
        """Nothing waits for the next period."""
        now = self._clock.now()
        return self._change_one(billing_id, lambda one: replace(settled(one, now), scheduled=None))

    def pause(self, billing_id: str, *, is_paused: bool) -> ProviderSubscription:
        """The subscription rests, or goes on."""
        return self._change_one(
            billing_id, lambda one: replace(self._running(one), is_paused=is_paused)
        )

    def _running(self, one: HeldSubscription) -> HeldSubscription:
        if end_of(one, self._clock.now()) is not None:
            raise ProviderRefusedError("A subscription that has ended can't go on.")
        return one

    def _recurring(self, held: HeldSubscription) -> Price | None:
        prices = [self._catalog.price(item.price_billing_id).price for item in held.items]
        return next((price for price in prices if price.billing_period), None)

    def _change_one(
        self, billing_id: str, change: Callable[[HeldSubscription], HeldSubscription]
    ) -> ProviderSubscription:
        pointer = self._pointers.get(billing_id)
        if pointer is None:
            raise missing("subscription", billing_id)
        held = self._change(
            pointer.key,
            lambda customer: _with(customer, change(_subscription_in(customer, billing_id))),
        )
        return self._find(held, billing_id)

    def _new(
        self, billing_id: str, made_with: str, request: SubscriptionRequest
    ) -> HeldSubscription:
        prices = [self._catalog.price(item.price_billing_id) for item in request.items]
        if not prices or not all(price.active for price in prices):
            raise ProviderRefusedError("A price of the subscription is not sold any more.")
        recurring = next((one.price for one in prices if one.price.billing_period), None)
        return HeldSubscription(
            billing_id=billing_id,
            made_with=made_with,
            items=tuple(
                ProviderItem(price_billing_id=item.price_billing_id, quantity=item.quantity)
                for item in request.items
            ),
            currency=prices[0].price.currency,
            period=recurring.billing_period if recurring else None,
            interval_count=recurring.interval_count if recurring else 1,
            started_at=request.started_at or self._clock.now().replace(microsecond=0),
            metadata=dict(request.metadata),
        )

    def _change(
        self, billing_id: str, change: Callable[[HeldCustomer], HeldCustomer], *also: Put
    ) -> HeldCustomer:
        def changed(held: HeldCustomer | None) -> HeldCustomer:
            if held is None:
                raise missing("customer", billing_id)
            return change(held)

        return self._customers.change(billing_id, changed, *also)

    def _find(self, customer: HeldCustomer, billing_id: str) -> ProviderSubscription:
        return self._shown(customer, _subscription_in(customer, billing_id))

    def _shown(self, customer: HeldCustomer, held: HeldSubscription) -> ProviderSubscription:
        now = self._clock.now()
        held = settled(held, now)
        ended_at = end_of(held, now)
        start, end = current_period(held, now if ended_at is None else min(now, ended_at))
        status = SubscriptionStatus.PAUSED if held.is_paused else SubscriptionStatus.ACTIVE
        return ProviderSubscription(
            billing_id=held.billing_id,
            customer_billing_id=customer.billing_id,
            status=status if ended_at is None else SubscriptionStatus.CANCELED,
            items=held.items,
            currency=held.currency,
            started_at=held.started_at,
            created_at=held.started_at,
            current_period_start=start,
            current_period_end=end,
            cancel_at=held.cancel_at,
            ended_at=ended_at,
            scheduled=held.scheduled.change if held.scheduled and ended_at is None else None,
            url=held.metadata.get(ENTITY_URL),
            metadata=held.metadata,
        )


def _customer(held: HeldCustomer) -> ProviderCustomer:
    return ProviderCustomer(
        billing_id=held.billing_id, url=held.metadata.get(ENTITY_URL), metadata=held.metadata
    )


def _with_new(held: HeldCustomer, subscription: HeldSubscription) -> HeldCustomer:
    """The customer with the subscription, unless a racing call under the same key was first."""
    if any(one.billing_id == subscription.billing_id for one in held.subscriptions):
        return held
    return replace(held, subscriptions=(*held.subscriptions, subscription))


def _with(held: HeldCustomer, changed: HeldSubscription) -> HeldCustomer:
    same = changed.billing_id
    subscriptions = (changed if one.billing_id == same else one for one in held.subscriptions)
    return replace(held, subscriptions=tuple(subscriptions))


def _subscription_in(held: HeldCustomer, billing_id: str) -> HeldSubscription:
    for one in held.subscriptions:
        if one.billing_id == billing_id:
            return one
    raise missing("subscription", billing_id)
