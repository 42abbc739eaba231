"""Previews: the same plan as that of the order or the change, without doing any of it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import ChangePreview, InvoicePreview
from chalicelib.domain.billing_periods import period_end
from chalicelib.domain.customers import Customer
from chalicelib.domain.ids import SubscriptionId
from chalicelib.domain.order_times import start_of, tried_until
from chalicelib.domain.orders import Order, OrderLine, PricedOrder
from chalicelib.domain.previews import (
    Differences,
    Preview,
    counts_again,
    differences,
    is_downgrade,
    our_invoice,
)
from chalicelib.domain.price_moves import Proration
from chalicelib.domain.snapshot_documents import document_of, epoch_ms
from chalicelib.domain.subscription_changes import (
    Change,
    ChangeTime,
    Way,
    changed,
    monthly_of_items,
    monthly_of_lines,
    refuse_change_after_the_end,
)
from chalicelib.domain.subscriptions import Subscription, SubscriptionStatus, succeeded
from chalicelib.ports import ChangePreviews, CheckoutProvider, Ports
from chalicelib.services.alter_subscription import (
    Standing,
    biller,
    refuse_ended,
    standing,
    truth_of,
)
from chalicelib.services.charge_once import refuse_charged_twice
from chalicelib.services.check_access import usage_of
from chalicelib.services.choose_provider import choose_seller
from chalicelib.services.place_order import Placed, place_order, refuse_second
from chalicelib.services.plan_change import PlannedChange, item_moves, plan_change
from chalicelib.services.provision_subscription import begins_unpaid
from chalicelib.services.snapshots import compile_for

_NEW = SubscriptionId("subs_preview")


def preview_order(ports: Ports, order: Order) -> Preview:
    """What the order would cost and give; raises whatever keeps it from being made."""
    placed = place_order(ports, order)
    paying = bool(placed.priced.lines) and not begins_unpaid(placed)
    refuse_second(
        placed.subscriptions,
        (placed.priced.plan.product_id, order.resource_id),
        paying=paying,
        replaces=order.replaces,
    )
    if paying:
        refuse_charged_twice(ports, placed.subscriptions, placed.priced.lines)
    return _of_order(ports, placed, order, left=None)


def preview_change(ports: Ports, cause: Cause, subscription_id: str, change: Change) -> Preview:
    """What the change would cost and give; raises whatever keeps it from being made."""
    now = standing(ports, cause, subscription_id)
    refuse_ended(now.held)
    truth = truth_of(ports, cause, now) if now.held.provider is not None else None
    plan = plan_change(ports, now.held, now.customer.country, change, truth)
    if plan.way is Way.CHECKOUT:
        order = replace(plan.order, trial=False, replaces=now.held.id)
        return _of_order(ports, place_order(ports, order), order, left=now.held)
    refuse_charged_twice(ports, now.others, plan.added_lines)
    later = change.effective is ChangeTime.END_OF_PERIOD
    moment = ports.clock.now().replace(microsecond=0)
    at = moment
    if later and truth is not None:
        refuse_change_after_the_end(truth, gives_way=plan.way is Way.GIVE_UP)
        at = truth.current_period_end or moment
    elif later and now.held.current_period_end is not None:
        at = now.held.current_period_end
    after = _after(now, plan, moment)
    found = _differences(ports, now.customer, now.beside, now.held, after)
    invoices = _invoices(ports, now, change, plan, at)
    before = monthly_of_items(truth.items, plan.owners) if truth is not None else Fraction(0)
    return Preview(
        way=plan.way,
        effective_at=at,
        currency=now.held.currency,
        now=invoices.now,
        following=invoices.following,
        is_estimate=not _reckons(ports, now.held),
        is_downgrade=is_downgrade(plan.way, before, monthly_of_lines(plan.priced.lines), found),
        differences=found,
    )


def _of_order(ports: Ports, placed: Placed, order: Order, left: Subscription | None) -> Preview:
    """`left` is the subscription that the ordered one replaces."""
    priced = placed.priced
    moment = ports.clock.now().replace(microsecond=0)
    after = replace(_ordered(placed, moment), resource_id=order.resource_id)
    beside = tuple(one for one in placed.subscriptions if left is None or one.id != left.id)
    found = _differences(ports, placed.customer, placed.subscriptions, None, after, beside)
    first, following = _ordered_invoices(placed, order, moment)
    cheaper = is_downgrade(Way.CHECKOUT, Fraction(0), monthly_of_lines(priced.lines), found)
    return Preview(
        way=_way(ports, placed, order),
        effective_at=start_of(order, moment),
        currency=priced.currency,
        now=first,
        following=following,
        is_estimate=True,
        is_downgrade=left is not None and cheaper,
        differences=found,
    )


def _way(ports: Ports, placed: Placed, order: Order) -> Way:
    """Whether something has to be paid on a page before it begins."""
    if not placed.priced.lines or begins_unpaid(placed):
        return Way.IN_PLACE
    seller = choose_seller(ports, order.billing_provider)
    return Way.CHECKOUT if isinstance(seller, CheckoutProvider) else Way.MOVE


def _ordered_invoices(
    placed: Placed, order: Order, moment: datetime
) -> tuple[InvoicePreview | None, InvoicePreview | None]:
    priced = placed.priced
    if not priced.lines or priced.currency is None or priced.billing_period is None:
        return None, None
    recurring = tuple(line for line in priced.lines if line.price.billing_period is not None)
    if begins_unpaid(placed):
        return None, None
    if placed.trial is not None:
        once = tuple(line for line in priced.lines if line.price.billing_period is None)
        first = our_invoice(once, moment, priced.currency, placed.coupon) if once else None
        at = tried_until(order, placed.trial, moment, moment)
        return first, our_invoice(recurring, at, priced.currency, placed.coupon)
    at = period_end(moment, priced.billing_period, priced.interval_count)
    return (
        our_invoice(priced.lines, moment, priced.currency, placed.coupon),
        our_invoice(recurring, at, priced.currency, counts_again(placed.coupon)),
    )


def _ordered(placed: Placed, moment: datetime) -> Subscription:
    priced: PricedOrder = placed.priced
    return Subscription(
        id=_NEW,
        customer_id=placed.customer.id,
        product_id=priced.plan.product_id,
        plan_id=priced.plan.id,
        plan_version=priced.plan.number,
        addons=priced.addons,
        quantities=priced.quantities,
        status=SubscriptionStatus.ACTIVE,
        started_at=moment,
    )


def _after(now: Standing, plan: PlannedChange, moment: datetime) -> Subscription:
    """The subscription, or what follows it, as it would be if the change were made this instant."""
    if plan.way is not Way.GIVE_UP:
        return replace(changed(now.held, plan.priced), scheduled_change=None, cancel_at=None)
    following = succeeded(replace(now.held, successor=plan.successor), moment)
    return following if following is not None else now.held


def _differences(
    ports: Ports,
    customer: Customer,
    beside: Iterable[Subscription],
    held: Subscription | None,
    after: Subscription,
    others: Sequence[Subscription] | None = None,
) -> Differences:
    """What the customer would have more and less of with `after` in the place of `held`."""
    moment = epoch_ms(ports.clock.now())
    stored = tuple(beside)
    left = others if others is not None else stored
    following = (*(one for one in left if held is None or one.id != held.id), after)
    hot = ports.snapshots.read(customer.id, consistent=False)
    before = compile_for(ports, customer, stored, version=0)
    then = compile_for(ports, customer, following, version=0)
    usage = usage_of(hot, moment) if hot is not None else {}
    documents = document_of(before.document), document_of(then.document)
    return differences(*documents, usage, moment, after.resource_id)


def _reckons(ports: Ports, held: Subscription) -> bool:
    return held.provider is not None and isinstance(
        ports.providers.get(held.provider), ChangePreviews
    )


def _invoices(
    ports: Ports, now: Standing, change: Change, plan: PlannedChange, at: datetime
) -> ChangePreview:
    if plan.way is not Way.MOVE:
        return ChangePreview(now=None, following=None)
    provider, billing_id = biller(ports, now.held)
    later = change.effective is ChangeTime.END_OF_PERIOD
    if isinstance(provider, ChangePreviews):
        return provider.preview_moves(
            billing_id,
            item_moves(ports, provider.name, plan.moves),
            proration=Proration.NONE if later else change.proration,
            at_period_end=later,
        )
    lines: tuple[OrderLine, ...] = plan.priced.lines
    if plan.priced.currency is None or plan.truth is None:
        return ChangePreview(now=None, following=None)
    next_at = plan.truth.current_period_end or at
    return ChangePreview(now=None, following=our_invoice(lines, next_at, plan.priced.currency))
