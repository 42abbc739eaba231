"""Opening a checkout: one payable session for each customer and product, however many tabs ask for it."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import (
    CheckoutItem,
    CheckoutRequest,
    CheckoutStatus,
    ProviderCheckout,
)
from chalicelib.domain.catalog_mirror import entity_metadata
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.convergence import (
    METADATA_ADDON_VERSIONS,
    METADATA_CUSTOMER,
    METADATA_PLAN_VERSION,
    METADATA_UNBILLED_ADDONS,
    format_addon_versions,
    format_versions,
)
from chalicelib.domain.errors import (
    BillingNotReadyError,
    ProviderRefusedError,
    ProviderUnavailableError,
    StoreConflictError,
    invalid,
)
from chalicelib.domain.ids import SubscriptionId
from chalicelib.domain.orders import Order, PricedOrder
from chalicelib.domain.prices import fingerprint
from chalicelib.domain.references import CHECKOUT_SESSION, Reference
from chalicelib.domain.sync import CatalogLink
from chalicelib.domain.trials import trial_days
from chalicelib.ports import Absent, Anyhow, AtRevision, CheckoutProvider, Ports, Put
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.link_customer import link_customer
from chalicelib.services.place_order import Placed, place_order, refuse_second

# Stripe takes 30 minutes to 24 hours from the moment it creates the session.
_LIFETIME: Final = timedelta(hours=23)
# A session about to expire is not handed out again: the customer needs time to pay.
_WORTH_REUSING: Final = timedelta(minutes=10)
_TRIES: Final = 6


def start_checkout(ports: Ports, cause: Cause, order: Order) -> CheckoutSession:
    """The customer's open session for this order, new or the one a like request opened before.

    The slot (customer, product) is claimed in our store before the provider opens anything, and the provider
    is called under the session's own key: requests that race, or follow a crash, end in the same session.
    """
    provider = ports.providers.checkout()
    for tried in range(1, _TRIES + 1):
        placed = place_order(ports, order)
        refuse_second(placed.subscriptions, placed.priced.plan.product_id, paying=True)
        if not placed.priced.lines:
            raise invalid(
                "plan_id", "nothing_to_pay", "The plan costs nothing: subscribe to it instead."
            )
        try:
            session = _try_once(ports, cause, provider, order, placed)
        except StoreConflictError:
            if tried == _TRIES:
                raise
            continue
        if session is not None:
            return session
    raise StoreConflictError("The customer's checkouts keep changing; try again.")


def _try_once(
    ports: Ports, cause: Cause, provider: CheckoutProvider, order: Order, placed: Placed
) -> CheckoutSession | None:
    """The open session, or None when the world was found changed and the order has to be checked again."""
    priced = placed.priced
    now = ports.clock.now()
    items = _items(ports, provider.name, priced)
    slot = ports.store.get(CheckoutSession, order.customer_id, priced.plan.product_id)
    if slot is not None and slot.status is CheckoutStatus.OPEN and slot.expires_at > now:
        reusable = slot.terms == priced.terms(order) and slot.expires_at - now > _WORTH_REUSING
        truth = _find_or_open(ports, provider, placed, slot)
        if truth is not None and truth.status is CheckoutStatus.OPEN and reusable:
            return _remember(ports, slot, truth)
        if truth is not None and truth.status is CheckoutStatus.OPEN:
            truth = provider.expire_checkout(truth.billing_id)
        if truth is not None and truth.status is CheckoutStatus.COMPLETE:
            # It was paid, and we have not heard of it yet.
            converge_customer(ports, cause, order.customer_id, provider.name)
            _close(ports, order, slot)
            return None
    session = _new_session(ports, order, placed, provider.name, slot)
    condition = Absent() if slot is None else AtRevision(number=slot.revision)
    ports.store.commit(Put(session, condition))
    return _remember(ports, session, _open(ports, provider, placed, session, items))


def _new_session(
    ports: Ports,
    order: Order,
    placed: Placed,
    provider: str,
    slot: CheckoutSession | None,
) -> CheckoutSession:
    now = ports.clock.now().replace(microsecond=0)
    priced, trial = placed.priced, placed.trial
    if priced.billing_period is None or priced.currency is None:
        raise invalid("plan_id", "nothing_to_pay", "The plan costs nothing.")
    pages = f"{ports.environment.public_url}/checkout"
    return CheckoutSession(
        id=ports.ids.new("chk_"),
        customer_id=order.customer_id,
        product_id=priced.plan.product_id,
        plan_id=priced.plan.id,
        plan_version=priced.plan.number,
        addons=priced.addons,
        unbilled_addons=priced.unbilled_addons,
        quantities=priced.quantities,
        # A trial without a payment method begins without a checkout; with a checkout it is waived.
        trial_days=trial_days(trial, now) if trial and trial.payment_method_required else None,
        billing_period=priced.billing_period,
        interval_count=priced.interval_count,
        currency=priced.currency,
        subscription_id=SubscriptionId(ports.ids.new("subs_")),
        terms=priced.terms(order),
        success_url=order.success_url or f"{pages}/success?session_id={{CHECKOUT_SESSION_ID}}",
        cancel_url=order.cancel_url or f"{pages}/canceled",
        provider=provider,
        expires_at=now + _LIFETIME,
        created_at=now,
        revision=1 if slot is None else slot.revision + 1,
    )


def _items(ports: Ports, provider: str, priced: PricedOrder) -> tuple[CheckoutItem, ...]:
    items: list[CheckoutItem] = []
    for line in priced.lines:
        link = ports.store.get(CatalogLink, line.kind, line.package_id, provider)
        price = link.price(line.price.id, fingerprint(line.price)) if link is not None else None
        if price is None or not price.active:
            raise BillingNotReadyError(
                f"The price {line.price.id!r} of {line.package_id!r} is on its way to {provider}; try again soon."
            )
        items.append(CheckoutItem(price_billing_id=price.billing_id, quantity=line.quantity))
    return tuple(items)


def _find_or_open(
    ports: Ports, provider: CheckoutProvider, placed: Placed, slot: CheckoutSession
) -> ProviderCheckout | None:
    """What became of the slot's session at the provider; None if there never was one.

    A slot without a provider id was claimed by a request that crashed, or is still running: opening it again
    under its own key shows which session that request made, or makes it.
    """
    if slot.billing_id is not None:
        return provider.get_checkout(slot.billing_id)
    same = placed.priced.plan.id == slot.plan_id and placed.priced.plan.number == slot.plan_version
    if not same or (placed.priced.addons, dict(placed.priced.quantities)) != (
        slot.addons,
        dict(slot.quantities),
    ):
        # Its URL was never handed out, so nobody can pay it: it may be left to expire.
        return None
    try:
        items = _items(ports, provider.name, placed.priced)
        return _open(ports, provider, placed, slot, items)
    except ProviderRefusedError:
        return None


def _open(
    ports: Ports,
    provider: CheckoutProvider,
    placed: Placed,
    session: CheckoutSession,
    items: tuple[CheckoutItem, ...],
) -> ProviderCheckout:
    environment = ports.environment
    metadata = entity_metadata(
        "subscription",
        session.subscription_id,
        f"subscriptions/{session.subscription_id}",
        environment=environment.name,
        public_url=environment.public_url,
    )
    metadata[METADATA_CUSTOMER] = session.customer_id
    metadata[METADATA_PLAN_VERSION] = str(session.plan_version)
    if session.addons:
        metadata[METADATA_ADDON_VERSIONS] = format_addon_versions(session.addons)
    if session.unbilled_addons:
        metadata[METADATA_UNBILLED_ADDONS] = format_versions(session.unbilled_addons)
    request = CheckoutRequest(
        customer_billing_id=link_customer(ports, placed.customer, provider),
        reference=session.id,
        items=items,
        success_url=session.success_url,
        cancel_url=session.cancel_url,
        expires_at=session.expires_at,
        metadata=metadata,
        trial_days=session.trial_days,
    )
    try:
        return provider.open_checkout(request, f"paygrade:{environment.name}:checkout:{session.id}")
    except ProviderUnavailableError as error:
        if error.definite:
            # The provider would replay its failure under this key for a day. If it opened a session all the
            # same, nobody has its URL: giving up the slot is safe, and the next request gets a new key.
            given_up = replace(
                session, status=CheckoutStatus.EXPIRED, revision=session.revision + 1
            )
            ports.store.commit(Put(given_up, AtRevision(number=session.revision)))
        raise


def _remember(ports: Ports, session: CheckoutSession, truth: ProviderCheckout) -> CheckoutSession:
    if session.billing_id == truth.billing_id:
        return session
    opened = replace(
        session, billing_id=truth.billing_id, url=truth.url, revision=session.revision + 1
    )
    ports.store.commit(
        Put(opened, AtRevision(number=session.revision)),
        Put(
            Reference(
                namespace=CHECKOUT_SESSION,
                key=session.id,
                target=(session.customer_id, session.product_id),
            ),
            Anyhow(),
        ),
    )
    return opened


def _close(ports: Ports, order: Order, slot: CheckoutSession) -> None:
    current = ports.store.get(CheckoutSession, order.customer_id, slot.product_id)
    if current is not None and current.id == slot.id and current.status is CheckoutStatus.OPEN:
        closed = replace(current, status=CheckoutStatus.COMPLETE, revision=current.revision + 1)
        ports.store.commit(Put(closed, AtRevision(number=current.revision)))
