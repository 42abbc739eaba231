"""Planning a change of a subscription from what is stored and what the provider has; nothing is changed yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chalicelib.domain.billing import PriceOwner, ProviderSubscription
from chalicelib.domain.convergence import (
    METADATA_ADDON_VERSIONS,
    METADATA_PLAN_VERSION,
    METADATA_UNBILLED_ADDONS,
    format_versions,
)
from chalicelib.domain.coupons import Coupon
from chalicelib.domain.errors import BillingNotReadyError, NotFoundError, WrongStateError
from chalicelib.domain.ids import PackageId
from chalicelib.domain.orders import Order, OrderLine, PricedOrder
from chalicelib.domain.plans import Package, PackageKind, PackageVersion
from chalicelib.domain.price_moves import ItemMove
from chalicelib.domain.prices import fingerprint
from chalicelib.domain.subscription_changes import (
    Change,
    LineMove,
    Way,
    line_moves,
    order_for,
    priced_change,
    successor,
    way_of,
    wished_addons,
)
from chalicelib.domain.subscriptions import Subscription, Successor
from chalicelib.domain.sync import CatalogLink
from chalicelib.ports import Ports
from chalicelib.services.order_coupon import coupon_of
from chalicelib.services.place_order import sold_version
from chalicelib.services.price_at import price_at
from chalicelib.services.price_owners import owners_of
from chalicelib.services.snapshots import published_version


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChange:
    """What a change comes to. `truth`, `owners` and `moves` are of the provider's subscription, if it is billed."""

    way: Way
    order: Order
    priced: PricedOrder
    coupon: Coupon | None = None
    truth: ProviderSubscription | None = None
    owners: Mapping[str, PriceOwner]
    moves: tuple[LineMove, ...] = ()

    @property
    def added_lines(self) -> tuple[OrderLine, ...]:
        """What its provider is to charge beside what it charges now."""
        return tuple(one.line for one in self.moves if one.item is None and one.line is not None)

    @property
    def successor(self) -> Successor:
        """What follows where the subscription is given up."""
        return successor(self.priced)


def plan_change(
    ports: Ports,
    held: Subscription,
    country: str | None,
    change: Change,
    truth: ProviderSubscription | None,
) -> PlannedChange:
    """The plan, of the subscription as it is now. Raises what keeps it from being made, and changes nothing."""
    owners: Mapping[str, PriceOwner] = {}
    if truth is not None and held.provider is not None:
        owners = owners_of(ports, held.provider, [truth])
        # The country of a price is chosen once, when it is subscribed to.
        charged = (owners.get(item.price_billing_id) for item in truth.items)
        country = next((one.price.country for one in charged if one and one.price.country), None)
    plan = _plan(ports, held, change)
    addons = _addons(ports, held, change)
    order = order_for(held, change, plan, addons)
    priced = priced_change(order, plan, addons, country)
    moves: tuple[LineMove, ...] = ()
    if truth is not None:
        moves = line_moves(truth.items, owners, held.product_id, priced.lines)
    way = way_of(held, change, priced)
    coupon = None
    if change.gives_coupon and way is not Way.CHECKOUT:
        coupon = coupon_of(ports, order, priced)
    return PlannedChange(
        way=way, order=order, priced=priced, coupon=coupon, truth=truth, owners=owners, moves=moves
    )


def _plan(ports: Ports, held: Subscription, change: Change) -> PackageVersion:
    if change.plan_id is not None and change.plan_id != held.plan_id:
        sold = sold_version(ports, PackageKind.PLAN, change.plan_id)
        if sold is None:
            raise NotFoundError("plan", change.plan_id)
        return sold
    number = change.plan_version or held.plan_version
    return published_version(ports, PackageKind.PLAN, held.plan_id, number)


def _addons(ports: Ports, held: Subscription, change: Change) -> dict[PackageId, PackageVersion]:
    """The version of each add-on: the one that is held, else the one that is sold."""
    versions = {one.id: one.version for one in held.addons}
    found: dict[PackageId, PackageVersion] = {}
    for wished in wished_addons(held, change):
        number = versions.get(wished.id)
        version = (
            published_version(ports, PackageKind.ADDON, wished.id, number)
            if number is not None
            else sold_version(ports, PackageKind.ADDON, wished.id)
        )
        if version is not None:
            found[wished.id] = version
    return found


def item_moves(ports: Ports, provider: str, moves: Sequence[LineMove]) -> tuple[ItemMove, ...]:
    """The moves in the provider's prices; raises `BillingNotReadyError` while it has not got one of them."""
    found: list[ItemMove] = []
    for move in moves:
        from_price = move.item.price_billing_id if move.item is not None else None
        to_price: str | None = None
        quantity: int | None = None
        if move.line is not None:
            line = move.line
            quantity = line.quantity
            to_price = from_price if move.is_kept else _price(ports, provider, line)
        found.append(ItemMove(from_price=from_price, to_price=to_price, quantity=quantity))
    return tuple(found)


def _price(ports: Ports, provider: str, line: OrderLine) -> str:
    try:
        return price_at(ports, provider, line.kind, line.package_id, line.price)
    except BillingNotReadyError:
        if _is_sold_no_more(ports, provider, line):
            raise WrongStateError(
                f"{line.package_id!r} is not sold at this price any more: choose the version that is, or roll it back."
            ) from None
        raise


def _is_sold_no_more(ports: Ports, provider: str, line: OrderLine) -> bool:
    """Whether the provider had the price, and sells what is published now: it will not come back by itself."""
    link = ports.store.get(CatalogLink, line.kind, line.package_id, provider)
    package = ports.store.get(Package, line.kind, line.package_id)
    return (
        link is not None
        and package is not None
        and link.price(line.price.id, fingerprint(line.price)) is not None
        and link.synced_version == package.published_version
    )


def stated(priced: PricedOrder, before: Mapping[str, str]) -> dict[str, str]:
    """What makes convergence choose these versions among those that charge the same prices.

    A mark that was there and says nothing any more is empty: it is removed.
    """
    versions = {addon.id: addon.version for addon in priced.addons}
    marks = {
        METADATA_PLAN_VERSION: format_versions({priced.plan.id: priced.plan.number}),
        METADATA_ADDON_VERSIONS: format_versions(versions),
        METADATA_UNBILLED_ADDONS: format_versions(priced.unbilled_addons),
    }
    return {key: value for key, value in marks.items() if value or before.get(key)}
