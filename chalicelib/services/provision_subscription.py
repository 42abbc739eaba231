"""Subscribing a customer: at once where nothing is to be paid, otherwise by way of a checkout."""

from dataclasses import dataclass
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.customer_changes import CustomerChange
from chalicelib.domain.errors import StoreConflictError, invalid
from chalicelib.domain.ids import SubscriptionId, derived_id
from chalicelib.domain.order_times import start_of, tried_until
from chalicelib.domain.orders import Order
from chalicelib.domain.subscriptions import Subscription, SubscriptionStatus
from chalicelib.domain.trials import TrialUse
from chalicelib.ports import Absent, CheckoutProvider, Ports, Put
from chalicelib.services.audit import entry
from chalicelib.services.charge_once import refuse_charged_twice
from chalicelib.services.choose_provider import choose_checkout, choose_seller, require_known
from chalicelib.services.clear_slot import clear_slot, keeping_clear
from chalicelib.services.outbound import commit_customer_change
from chalicelib.services.place_order import Placed, place_order, refuse_second
from chalicelib.services.snapshots import compile_for
from chalicelib.services.start_checkout import start_checkout
from chalicelib.services.start_subscription import start_subscription
from chalicelib.services.store_subscription import subscription_writes

_TRIES: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """Either the subscription, or the checkout that has to be paid first."""

    subscription: Subscription | None = None
    checkout: CheckoutSession | None = None


def provision_subscription(ports: Ports, cause: Cause, order: Order) -> Provisioned:
    """The customer has the subscription, or a checkout that leads to it; a repeated operation finds its own result."""
    require_known(ports, order.billing_provider)
    wanted = provisioned_id(cause)
    for tried in range(1, _TRIES + 1):
        placed = place_order(ports, order)
        mine = next((held for held in placed.subscriptions if held.id == wanted), None)
        if mine is not None:
            return Provisioned(subscription=mine)
        is_paying = bool(placed.priced.lines) and not begins_unpaid(placed)
        refuse_second(
            placed.subscriptions,
            (placed.priced.plan.product_id, order.resource_id),
            paying=is_paying,
            replaces=order.replaces,
        )
        if is_paying:
            refuse_charged_twice(ports, placed.subscriptions, placed.priced.lines)
        try:
            return _provide(ports, cause, order, placed, wanted)
        except StoreConflictError:
            if tried == _TRIES:
                raise
    raise AssertionError  # the loop returns or raises


def provisioned_id(cause: Cause) -> SubscriptionId:
    """What the subscription is called that the operation provisions at once."""
    return SubscriptionId(derived_id("subs_", "provision", cause.operation_id))


def _provide(
    ports: Ports, cause: Cause, order: Order, placed: Placed, wanted: SubscriptionId
) -> Provisioned:
    if placed.coupon is not None and begins_unpaid(placed):
        detail = "A trial without payment method takes no coupon: give it to the checkout after it."
        raise invalid(_coupon_param(order), "in_trial", detail)
    if not placed.priced.lines or begins_unpaid(placed):
        return Provisioned(subscription=_grant(ports, cause, order, placed, wanted))
    seller = (
        choose_checkout(ports, None, order.ui_mode)  # no customer writes the own invoice
        if order.is_self_service
        else choose_seller(ports, order.billing_provider)
    )
    if isinstance(seller, CheckoutProvider):
        return Provisioned(checkout=start_checkout(ports, cause, order))
    if placed.coupon is not None:
        detail = f"The billing provider {seller.name!r} takes no coupons."
        raise invalid(_coupon_param(order), "unsupported", detail)
    return Provisioned(subscription=start_subscription(ports, cause, order, placed, seller, wanted))


def _grant(
    ports: Ports, cause: Cause, order: Order, placed: Placed, wanted: SubscriptionId
) -> Subscription:
    slot = clear_slot(ports, cause, order.customer_id, placed.priced.plan.product_id, wanted)
    now = ports.clock.now().replace(microsecond=0)
    trial = placed.trial
    start = start_of(order, now)
    end = tried_until(order, trial, start, now) if trial is not None else None
    subscription = Subscription(
        id=wanted,
        customer_id=order.customer_id,
        product_id=placed.priced.plan.product_id,
        resource_id=order.resource_id,
        plan_id=placed.priced.plan.id,
        plan_version=placed.priced.plan.number,
        addons=placed.priced.addons,
        quantities=placed.priced.quantities,
        billing_period=placed.priced.billing_period,
        interval_count=placed.priced.interval_count,
        currency=placed.priced.currency,
        status=SubscriptionStatus.IN_TRIAL if end else SubscriptionStatus.ACTIVE,
        started_at=start,
        trial_end=end,
        metadata=order.metadata,
    )
    held = (*placed.subscriptions, subscription)
    before = placed.snapshot
    snapshot = compile_for(ports, placed.customer, held, version=before.version + 1)
    changed = [(None, subscription)]
    commit_customer_change(
        ports,
        CustomerChange(before=before, after=snapshot, held=held, changed=changed),
        *subscription_writes(None, subscription),
        Put(
            entry(
                ports,
                cause,
                f"subscription:{subscription.id}",
                "subscription.provisioned",
                None,
                {"customer_id": order.customer_id, "plan_id": subscription.plan_id},
            ),
            Absent(),
        ),
        *([Put(_use(subscription), Absent())] if end else []),
        keeping_clear(slot, order.customer_id, placed.priced.plan.product_id),
    )
    return subscription


def _coupon_param(order: Order) -> str:
    return "coupon" if order.coupon is not None else "promotion_code"


def begins_unpaid(placed: Placed) -> bool:
    """Whether it begins with a trial that needs no payment method."""
    return placed.trial is not None and not placed.trial.payment_method_required


def _use(subscription: Subscription) -> TrialUse:
    return TrialUse(
        customer_id=subscription.customer_id,
        product_id=subscription.product_id,
        subscription_id=subscription.id,
        started_at=subscription.started_at,
    )
