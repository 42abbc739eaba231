"""Changing a running subscription: what it becomes, and by which way. Pure: the preview is this without the doing.

A subscription keeps its versions: another version of the plan comes only by asking for it. What a provider charges is
changed line by line: a line gives way to the one that charges for the same thing, whichever plan that belongs to.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from fractions import Fraction

from chalicelib.domain.billing import PriceOwner, ProviderItem, ProviderSubscription
from chalicelib.domain.errors import WrongStateError, invalid
from chalicelib.domain.ids import FeatureId, PackageId, ProductId
from chalicelib.domain.monthly import monthly_amount
from chalicelib.domain.orders import AddonOrder, Order, OrderLine, PricedOrder, price_order
from chalicelib.domain.plans import PackageKind, PackageVersion, per_unit_features
from chalicelib.domain.price_moves import Proration
from chalicelib.domain.prices import BillingPeriod, charge_of, fingerprint
from chalicelib.domain.subscriptions import (
    ScheduledChange,
    Subscription,
    SubscriptionStatus,
    Successor,
)


class ChangeTime(StrEnum):
    """When a change is made: at once, or as the next billing period begins."""

    IMMEDIATE = "immediate"
    END_OF_PERIOD = "end_of_period"


class Way(StrEnum):
    """How a change is brought about.

    `in_place`: nobody bills it before or after. `checkout`: what is to be paid replaces what nobody bills, once it is
    paid. `move`: its provider charges other lines. `give_up`: its provider ends it, and what nobody bills follows.
    """

    IN_PLACE = "in_place"
    CHECKOUT = "checkout"
    MOVE = "move"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The wish: None leaves it as it is. `addons` are all of them; `quantities` only those that change.

    `plan_version` pins the held plan. With `sets_coupon` it has the `coupon`, or that of the `promotion_code`
    (both None: none any more). `metadata` is merged.
    """

    plan_id: PackageId | None = None
    plan_version: int | None = None
    billing_period: BillingPeriod | None = None
    interval_count: int | None = None
    addons: tuple[AddonOrder, ...] | None = None
    quantities: Mapping[FeatureId, int] = field(default_factory=dict)
    effective: ChangeTime = ChangeTime.IMMEDIATE
    proration: Proration = Proration.CREATE
    coupon: str | None = None
    promotion_code: str | None = None
    sets_coupon: bool = False
    metadata: Mapping[str, str | None] = field(default_factory=dict)
    success_url: str | None = None
    cancel_url: str | None = None

    @property
    def gives_coupon(self) -> bool:
        """Whether there will be a coupon that may not be there now."""
        return self.sets_coupon and (self.coupon is not None or self.promotion_code is not None)

    @property
    def is_of_packages(self) -> bool:
        """Whether it is about what is subscribed to, and not only about what goes with it."""
        wished = (self.plan_id, self.plan_version, self.billing_period, self.interval_count)
        return (
            any(one is not None for one in wished)
            or self.addons is not None
            or bool(self.quantities)
        )


def wished_addons(held: Subscription, change: Change) -> tuple[AddonOrder, ...]:
    """All add-ons that the subscription is to have."""
    if change.addons is not None:
        return change.addons
    return tuple(AddonOrder(id=one.id, quantity=one.quantity) for one in held.addons)


def order_for(
    held: Subscription,
    change: Change,
    plan: PackageVersion,
    addons: Mapping[PackageId, PackageVersion],
) -> Order:
    """What the customer would have to order to have the subscription as it is to be.

    Units that were bought are bought again where they are still sold. Raises `InvalidError` for a plan of another
    product.
    """
    if plan.product_id != held.product_id:
        detail = (
            f"The plan {plan.id!r} belongs to the product {plan.product_id!r}: subscribe to it."
        )
        raise invalid("plan_id", "other_product", detail)
    wanted = wished_addons(held, change)
    sold = per_unit_features(plan.content).union(
        *(per_unit_features(addons[one.id].content) for one in wanted if one.id in addons)
    )
    kept = {key: number for key, number in held.quantities.items() if key in sold}
    count = change.interval_count
    if count is None and change.billing_period in (None, held.billing_period):
        count = held.interval_count if held.billing_period is not None else None
    return Order(
        customer_id=held.customer_id,
        plan_id=plan.id,
        resource_id=held.resource_id,
        billing_period=change.billing_period or held.billing_period,
        interval_count=count,
        currency=held.currency,
        addons=wanted,
        quantities={**kept, **change.quantities},
        coupon=change.coupon if change.sets_coupon else None,
        promotion_code=change.promotion_code if change.sets_coupon else None,
    )


def priced_change(
    order: Order,
    plan: PackageVersion,
    addons: Mapping[PackageId, PackageVersion],
    country: str | None,
) -> PricedOrder:
    """The order priced; what is charged once is no part of a change."""
    priced = price_order(order, plan, addons, order.currency, country)
    recurring = tuple(line for line in priced.lines if line.price.billing_period is not None)
    return replace(priced, lines=recurring)


def way_of(held: Subscription, change: Change, priced: PricedOrder) -> Way:
    """How the change is brought about; raises `InvalidError` or `WrongStateError` if there is no way to it."""
    if held.provider is not None:
        if held.status is SubscriptionStatus.PAYMENT_PENDING:
            raise WrongStateError("The subscription has not been paid for yet.")
        return Way.MOVE if priced.lines else Way.GIVE_UP
    stays_tried = held.is_unbilled_trial and change.plan_id is None
    way = Way.CHECKOUT if priced.lines and not stays_tried else Way.IN_PLACE
    if change.effective is ChangeTime.END_OF_PERIOD and (
        way is Way.CHECKOUT or held.current_period_end is None
    ):
        detail = "Nobody bills the subscription: it has no period at whose end it could change."
        raise invalid("effective", "no_period", detail)
    return way


def changed(held: Subscription, priced: PricedOrder) -> Subscription:
    """The subscription with what was ordered in the place of what it has; a trial of what is free is over."""
    after = held.changed_to(scheduled(priced, held.started_at))
    if held.is_unbilled_trial and not priced.lines:
        after = replace(after, status=SubscriptionStatus.ACTIVE, trial_end=None)
    return replace(after, scheduled_change=held.scheduled_change)


def scheduled(priced: PricedOrder, at: datetime) -> ScheduledChange:
    """What was ordered, as a change at that instant."""
    return ScheduledChange(
        at=at,
        plan_id=priced.plan.id,
        plan_version=priced.plan.number,
        addons=priced.addons,
        quantities=priced.quantities,
        billing_period=priced.billing_period,
        interval_count=priced.interval_count,
    )


def successor(priced: PricedOrder) -> Successor:
    """What was ordered and nobody bills, as what follows."""
    return Successor(plan_id=priced.plan.id, plan_version=priced.plan.number, addons=priced.addons)


def refuse_change_after_the_end(truth: ProviderSubscription, *, gives_way: bool) -> None:
    """Nothing, if the subscription has a next period; `gives_way`: its coming end is taken back by the change."""
    end, period_end = truth.cancel_at, truth.current_period_end
    if period_end is None:
        raise WrongStateError("The subscription has no billing period.")
    if end is not None and end <= period_end and not gives_way:
        raise WrongStateError("The subscription ends with its period: resume it first.")


# --- What the provider charges -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LineMove:
    """A line of the provider's subscription gives way to one of the order; None: there is none, or none follows.

    `is_kept`: it goes on charging the same price, which may be sold to nobody else any more.
    """

    item: ProviderItem | None
    line: OrderLine | None
    is_kept: bool = False

    @property
    def changes(self) -> bool:
        """Whether anything is different afterwards."""
        if self.item is None or self.line is None or not self.is_kept:
            return True
        return self.line.quantity != self.item.quantity


def line_moves(
    items: Sequence[ProviderItem],
    owners: Mapping[str, PriceOwner],
    product_id: ProductId,
    lines: Sequence[OrderLine],
) -> tuple[LineMove, ...]:
    """How each line of ours gives way, those of one product's plan and of add-ons; lines that are not ours stay."""
    wanted = {_charged(line.kind, line.package_id, line): line for line in lines}
    moves: list[LineMove] = []
    for item in sorted(items, key=lambda one: one.price_billing_id):
        owner = owners.get(item.price_billing_id)
        if owner is None or (owner.kind is PackageKind.PLAN and owner.product_id != product_id):
            continue
        line = wanted.pop(_charged(owner.kind, owner.package_id, owner), None)
        is_kept = (
            line is not None
            and line.package_id == owner.package_id
            and fingerprint(line.price) == fingerprint(owner.price)
        )
        moves.append(LineMove(item=item, line=line, is_kept=is_kept))
    moves += (LineMove(item=None, line=line) for line in wanted.values())
    return tuple(moves)


def _charged(
    kind: PackageKind, package_id: PackageId, charging: OrderLine | PriceOwner
) -> tuple[object, ...]:
    """What a line charges for: the same of one plan and of another is the same."""
    whose = package_id if kind is PackageKind.ADDON else None
    return (kind, whose, *charge_of(charging.price))


def monthly_of_lines(lines: Iterable[OrderLine]) -> Fraction:
    """What these lines come to a month, without usage."""
    return sum(
        (monthly_amount(line.price, _number(line.quantity)) for line in lines), start=Fraction(0)
    )


def monthly_of_items(items: Iterable[ProviderItem], owners: Mapping[str, PriceOwner]) -> Fraction:
    """What a provider's lines of ours come to a month, without usage."""
    return sum(
        (
            monthly_amount(owners[item.price_billing_id].price, _number(item.quantity))
            for item in items
            if item.price_billing_id in owners
        ),
        start=Fraction(0),
    )


def _number(quantity: int | None) -> int:
    return 1 if quantity is None else quantity
