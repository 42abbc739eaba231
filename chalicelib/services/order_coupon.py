"""The coupon of an order: which one it is, and what a provider calls it."""

from chalicelib.domain.billing import CheckoutDiscount
from chalicelib.domain.coupons import Coupon
from chalicelib.domain.errors import BillingNotReadyError, invalid
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.orders import Order, PricedOrder
from chalicelib.domain.references import PROMOTION_CODE, Reference
from chalicelib.domain.sync import CatalogLink, CouponKind
from chalicelib.ports import Ports


def coupon_of(ports: Ports, order: Order, priced: PricedOrder) -> Coupon | None:
    """The coupon that the order names, by its id or by a code; raises `InvalidError` if it can't be taken off."""
    if order.coupon is None and order.promotion_code is None:
        return None
    if order.coupon is not None and order.promotion_code is not None:
        raise invalid("promotion_code", "not_allowed", "An order has a coupon or a code, not both.")
    param = "coupon" if order.coupon is not None else "promotion_code"
    coupon_id = order.coupon
    if order.promotion_code is not None:
        found = ports.store.get(Reference, PROMOTION_CODE, order.promotion_code.lower())
        coupon_id = found.target[0] if found is not None else None
    coupon = ports.store.get(Coupon, coupon_id) if coupon_id is not None else None
    if coupon is None:
        raise invalid(param, f"unknown_{param}", "There is no such coupon.")
    if coupon.status is Lifecycle.ARCHIVED:
        raise invalid(param, "archived", f"The coupon {coupon.id!r} is archived.")
    if not priced.lines:
        raise invalid(param, "nothing_to_pay", "The plan costs nothing to take a coupon off.")
    if not coupon.counts_in(priced.currency):
        detail = f"The coupon {coupon.id!r} takes nothing off in {priced.currency!r}."
        raise invalid(param, "no_such_currency", detail)
    return coupon


def discount_at(
    ports: Ports, provider: str, order: Order, coupon: Coupon | None
) -> CheckoutDiscount | None:
    """The coupon in the provider's words; raises `BillingNotReadyError` while it is on its way there."""
    if coupon is None:
        return None
    link = ports.store.get(CatalogLink, CouponKind.COUPON, coupon.id, provider)
    if link is not None and link.billing_id is not None:
        if order.promotion_code is None:
            return CheckoutDiscount(coupon_billing_id=link.billing_id)
        for code in link.prices:
            if code.active and code.price_id.lower() == order.promotion_code.lower():
                return CheckoutDiscount(code_billing_id=code.billing_id)
    raise BillingNotReadyError(
        f"The coupon {coupon.id!r} is on its way to {provider}; try again soon."
    )
