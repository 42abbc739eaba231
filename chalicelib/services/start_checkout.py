"""Opening a checkout: one payable session for each customer and product, however many tabs ask for it."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import (
    CheckoutItem,
    CheckoutMode,
    CheckoutRequest,
    CheckoutStatus,
    ProviderCheckout,
)
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.errors import (
    ProviderRefusedError,
    ProviderUnavailableError,
    StoreConflictError,
    invalid,
)
from chalicelib.domain.ids import SubscriptionId
from chalicelib.domain.order_times import refuse_start, tried_days
from chalicelib.domain.orders import Order
from chalicelib.domain.references import CHECKOUT_SESSION, Reference
from chalicelib.ports import (
    Absent,
    Anyhow,
    AtRevision,
    CheckoutProvider,
    EmbeddedCheckout,
    Ports,
    Put,
)
from chalicelib.services.audit import entry
from chalicelib.services.billed_order import billed_items, subscription_metadata
from chalicelib.services.charge_once import refuse_charged_twice
from chalicelib.services.choose_provider import choose_checkout
from chalicelib.services.clear_slot import claim, clear_slot, fence, take_in_payment
from chalicelib.services.limit_checkouts import count_checkout
from chalicelib.services.link_customer import link_customer
from chalicelib.services.order_coupon import discount_at
from chalicelib.services.place_order import Placed, place_order, refuse_second

# What a provider takes at most is a day from the moment it creates the session (docs.stripe.com/api/checkout).
_LIFETIME: Final = timedelta(hours=23)
# A session about to expire is not handed out again: the customer needs time to pay.
_WORTH_REUSING: Final = timedelta(minutes=10)
_TRIES: Final = 6


def start_checkout(ports: Ports, cause: Cause, order: Order) -> CheckoutSession:
    """The customer's open session for this order, new or the one a like request opened before.

    The slot (customer, product) is claimed in our store before the provider opens anything, and the provider
    is called under the session's own key: requests that race, or follow a crash, end in the same session.
    """
    provider = choose_checkout(ports, order.billing_provider, order.ui_mode)
    refuse_start(order, provider.name)
    for tried in range(1, _TRIES + 1):
        placed = place_order(ports, order)
        refuse_second(
            placed.subscriptions,
            (placed.priced.plan.product_id, order.resource_id),
            paying=True,
            replaces=order.replaces,
        )
        refuse_charged_twice(ports, placed.subscriptions, placed.priced.lines)
        if not placed.priced.lines:
            raise invalid(
                "plan_id", "nothing_to_pay", "The plan costs nothing: subscribe to it instead."
            )
        if tried == 1:
            count_checkout(ports, order.customer_id)
        try:
            return _try_once(ports, cause, provider, order, placed)
        except StoreConflictError:
            # The world was found changed: the order has to be checked again.
            if tried == _TRIES:
                raise
    raise AssertionError  # the loop returns or raises


def _try_once(
    ports: Ports, cause: Cause, provider: CheckoutProvider, order: Order, placed: Placed
) -> CheckoutSession:
    """The open session; raises `StoreConflictError` if the customer has become a subscriber meanwhile."""
    priced = placed.priced
    now = ports.clock.now()
    items = billed_items(ports, provider.name, priced)
    slot = ports.store.get(CheckoutSession, order.customer_id, priced.plan.product_id)
    if slot is not None and (slot.is_direct or slot.provider != provider.name):
        slot = clear_slot(ports, cause, order.customer_id, priced.plan.product_id)
    elif slot is not None and slot.status is CheckoutStatus.OPEN:
        is_same = slot.terms == priced.terms(order)
        # Whatever was opened is looked at even after its time: it may have been paid at the last moment.
        truth = _find_or_open(ports, provider, placed, slot, items, is_same=is_same)
        reusable = is_same and slot.expires_at - now > _WORTH_REUSING
        if truth is not None and truth.status is CheckoutStatus.OPEN and reusable:
            return _remember(ports, placed, slot, truth)
        if truth is not None and truth.status is CheckoutStatus.OPEN:
            truth = provider.expire_checkout(truth.billing_id)
        if truth is not None and truth.status is CheckoutStatus.COMPLETE:
            # It was paid, and we have not heard of it yet.
            take_in_payment(ports, cause, slot)
            raise StoreConflictError("The customer has paid for an earlier checkout.")
    session = _new_session(ports, order, placed, provider.name)
    session = claim(ports, placed, session, slot, _audited(ports, cause, session))
    return _remember(ports, placed, session, _open(ports, provider, placed, session, items))


def _audited(ports: Ports, cause: Cause, session: CheckoutSession) -> Put:
    after = {
        "session_id": session.id,
        "plan_id": session.plan_id,
        "plan_version": session.plan_version,
        "addons": session.addons,
        "quantities": session.quantities,
        "currency": session.currency,
    }
    entity = f"customer:{session.customer_id}"
    return Put(entry(ports, cause, entity, "checkout.started", None, after), Absent())


def _new_session(
    ports: Ports,
    order: Order,
    placed: Placed,
    provider: str,
) -> CheckoutSession:
    now = ports.clock.now().replace(microsecond=0)
    priced, trial = placed.priced, placed.trial
    if priced.billing_period is None or priced.currency is None:
        raise invalid("plan_id", "nothing_to_pay", "The plan costs nothing.")
    pages = f"{ports.environment.public_url}/checkout"
    success = f"{pages}/success?session_id={{CHECKOUT_SESSION_ID}}"
    is_hosted = order.ui_mode is CheckoutMode.HOSTED
    return CheckoutSession(
        id=ports.ids.new("chk_"),
        customer_id=order.customer_id,
        product_id=priced.plan.product_id,
        resource_id=order.resource_id,
        plan_id=priced.plan.id,
        plan_version=priced.plan.number,
        addons=priced.addons,
        unbilled_addons=priced.unbilled_addons,
        quantities=priced.quantities,
        # A trial without a payment method begins without a checkout; with a checkout it is waived.
        trial_days=tried_days(order, trial, now)
        if trial and trial.payment_method_required
        else None,
        coupon_id=placed.coupon.id if placed.coupon is not None else None,
        discount=discount_at(ports, provider, order, placed.coupon),
        billing_period=priced.billing_period,
        interval_count=priced.interval_count,
        currency=priced.currency,
        subscription_id=SubscriptionId(ports.ids.new("subs_")),
        terms=priced.terms(order),
        ui_mode=order.ui_mode,
        success_url=(order.success_url or success) if is_hosted else None,
        cancel_url=(order.cancel_url or f"{pages}/canceled") if is_hosted else None,
        return_url=None if is_hosted else order.return_url or success,
        provider=provider,
        expires_at=now + _LIFETIME,
        created_at=now,
        metadata=order.metadata,
    )


def _find_or_open(
    ports: Ports,
    provider: CheckoutProvider,
    placed: Placed,
    slot: CheckoutSession,
    items: tuple[CheckoutItem, ...],
    *,
    is_same: bool,
) -> ProviderCheckout | None:
    """What became of the slot's session at the provider; None if nobody can ever have paid it.

    A slot without a provider id was claimed by a request that crashed, or is still running. If that was for the
    same terms, opening it again under its own key shows which session it made, or makes it. If not, its URL was
    never handed out, and never will be once the slot is claimed anew: it may be left to expire.
    """
    if slot.billing_id is not None:
        return provider.get_checkout(slot.billing_id)
    if not is_same or slot.expires_at <= ports.clock.now():
        return None
    try:
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
    request = CheckoutRequest(
        customer_billing_id=link_customer(ports, placed.customer, provider),
        reference=session.id,
        items=items,
        mode=session.ui_mode,
        success_url=session.success_url,
        cancel_url=session.cancel_url,
        return_url=session.return_url,
        expires_at=session.expires_at,
        metadata=subscription_metadata(environment, session),
        trial_days=session.trial_days,
        discount=session.discount,
    )
    key = f"paygrade:{environment.name}:checkout:{session.id}"
    try:
        if session.ui_mode is CheckoutMode.HOSTED:
            return provider.open_checkout(request, key)
        if isinstance(provider, EmbeddedCheckout):
            return provider.open_embedded_checkout(request, key)
        raise ProviderRefusedError(f"{provider.name} has no embedded checkout any more.")
    except ProviderUnavailableError as error:
        if error.definite:
            # The provider would replay its failure under this key for a day. If it opened a session all the
            # same, nobody has its URL: giving up the slot is safe, and the next request gets a new key.
            given_up = replace(
                session, status=CheckoutStatus.EXPIRED, revision=session.revision + 1
            )
            ports.store.commit(Put(given_up, AtRevision(number=session.revision)))
        raise


def _remember(
    ports: Ports, placed: Placed, session: CheckoutSession, truth: ProviderCheckout
) -> CheckoutSession:
    """The session as it may be handed out: nothing became a subscription since the order was checked."""
    if session.billing_id == truth.billing_id:
        return session
    opened = replace(
        session,
        billing_id=truth.billing_id,
        url=truth.url,
        client_secret=truth.client_secret,
        revision=session.revision + 1,
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
        fence(placed),
    )
    return opened
