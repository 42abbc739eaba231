"""Checking an order against the catalog and the customer, before anything is made of it."""

from dataclasses import dataclass
from typing import Final

from chalicelib.domain.billing import CheckoutMode
from chalicelib.domain.coupons import Coupon
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import (
    ArchivedError,
    NotFoundError,
    NotPublishedError,
    SubscriptionExistsError,
    invalid,
)
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import PackageId, SubscriptionId
from chalicelib.domain.orders import Order, PricedOrder, price_order, refuse_beyond_self_service
from chalicelib.domain.plans import Package, PackageKind, PackageVersion, Trial
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.subscriptions import Holding, Subscription
from chalicelib.domain.trials import TrialUse
from chalicelib.ports import Ports
from chalicelib.services.listing import all_within
from chalicelib.services.order_coupon import coupon_of
from chalicelib.services.snapshots import published_version

# All that a customer holds is compiled into one record of at most 400 KB; whoever orders for a customer, its own
# browser included, may choose any resource to order for.
MAX_LIVE_SUBSCRIPTIONS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A checked order. `trial` is the one that it begins with.

    `snapshot` was read before everything else, so a commit on it is a commit on all.
    """

    customer: Customer
    snapshot: Snapshot
    subscriptions: tuple[Subscription, ...]
    priced: PricedOrder
    trial: Trial | None = None
    coupon: Coupon | None = None


def place_order(ports: Ports, order: Order) -> Placed:
    """The order priced, for a customer who may have it as far as our own state tells."""
    snapshot = ports.store.get(Snapshot, order.customer_id)
    customer = ports.store.get(Customer, order.customer_id)
    if customer is None or snapshot is None:
        raise NotFoundError("customer", order.customer_id)
    if customer.status is Lifecycle.ARCHIVED:
        raise ArchivedError("The customer is archived.", param="customer_id")
    plan = sold_version(ports, PackageKind.PLAN, order.plan_id)
    if plan is None:
        raise NotFoundError("plan", order.plan_id)
    addons: dict[PackageId, PackageVersion] = {}
    for wished in order.addons:
        version = sold_version(ports, PackageKind.ADDON, wished.id)
        if version is not None:
            addons[wished.id] = version
    _check_return_urls(ports, order)
    refuse_beyond_self_service(order, plan, addons)
    now = ports.clock.now()
    priced = price_order(order, plan, addons, customer.currency, customer.country)
    return Placed(
        customer=customer,
        snapshot=snapshot,
        subscriptions=tuple(
            held.at(now) for held in all_within(ports.store, Subscription, order.customer_id)
        ),
        trial=_trial(ports, order, plan),
        coupon=coupon_of(ports, order, priced),
        priced=priced,
    )


def _trial(ports: Ports, order: Order, plan: PackageVersion) -> Trial | None:
    """The plan's trial, unless the customer declines it or has had one of the product."""
    offered = plan.content.trial
    if order.trial is False:
        return None
    if offered is None:
        if order.trial:
            raise invalid("trial", "no_trial", f"The plan {plan.id!r} has no trial.")
        return None
    if ports.store.get(TrialUse, order.customer_id, plan.product_id) is None:
        return offered
    if order.trial:
        detail = f"The customer has had a trial of the product {plan.product_id!r}."
        raise invalid("trial", "trial_used", detail)
    return None


def refuse_second(
    subscriptions: tuple[Subscription, ...],
    holding: Holding,
    *,
    paying: bool = False,
    replaces: SubscriptionId | None = None,
) -> None:
    """Nothing, if no live subscription of this is among them, and not too many of others.

    What is paid for may follow a trial at once, and `replaces`, if nobody bills that.
    """
    live = sum(held.is_live for held in subscriptions)
    if live >= MAX_LIVE_SUBSCRIPTIONS:
        detail = (
            f"A customer has at most {MAX_LIVE_SUBSCRIPTIONS} subscriptions that have not ended."
        )
        raise invalid("", "too_many_subscriptions", detail)
    for held in subscriptions:
        if paying and (held.is_unbilled_trial or (held.id == replaces and not held.provider)):
            continue
        if held.holding == holding and held.is_live:
            raise SubscriptionExistsError(held.id, held.product_id)


def sold_version(ports: Ports, kind: PackageKind, package_id: PackageId) -> PackageVersion | None:
    """The version that is sold now, or None if there is no such package; raises if it takes no subscribers."""
    package = ports.store.get(Package, kind, package_id)
    if package is None:
        return None
    if package.status is Lifecycle.ARCHIVED:
        raise ArchivedError(f"The {kind} {package_id!r} is archived.", param=f"{kind}_id")
    if package.published_version is None:
        raise NotPublishedError(
            f"The {kind} {package_id!r} has no published version.", param=f"{kind}_id"
        )
    return published_version(ports, kind, package_id, package.published_version)


def _check_return_urls(ports: Ports, order: Order) -> None:
    is_hosted = order.ui_mode is CheckoutMode.HOSTED
    for param, url, fits in (
        ("success_url", order.success_url, is_hosted),
        ("cancel_url", order.cancel_url, is_hosted),
        ("return_url", order.return_url, not is_hosted),
    ):
        if url is not None and not fits:
            detail = f"A checkout of the mode {order.ui_mode.value!r} takes no {param}."
            raise invalid(param, "not_allowed", detail)
        require_return_url(ports, param, url)


def require_return_url(ports: Ports, param: str, url: str | None) -> None:
    """Nothing, if there is no URL, or one that the environment lets a customer be sent to."""
    if url is not None and not is_allowed_return_url(url, ports.environment.return_origins):
        raise invalid(
            param, "origin_not_allowed", "The URL's origin is not on the environment's allow-list."
        )


def is_allowed_return_url(url: str, origins: tuple[str, ...]) -> bool:
    """Whether the URL is an absolute one below one of these origins, in the spelling every reader agrees on.

    Browsers and URL libraries disagree on backslashes, control characters, user names and missing slashes; a
    plain comparison of the text up to the path leaves them nothing to disagree on.
    """
    if not url.isascii() or not url.isprintable() or any(char in url for char in " \\\"'<>`{}|^"):
        bare = url.replace("{CHECKOUT_SESSION_ID}", "")
        if bare == url or not is_allowed_return_url(bare, origins):
            return False
    return any(url == origin or url.startswith((f"{origin}/", f"{origin}?")) for origin in origins)
