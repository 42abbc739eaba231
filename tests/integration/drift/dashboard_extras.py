"""What people do to our meters and coupons at Stripe's dashboard, and what reconciliation must say of it."""

from typing import Any, Final

from tests.integration.drift.dashboard import Edit, Expected
from tests.integration.drift.shop import Shop


def meter_renamed(shop: Shop) -> Expected:
    shop.edit(f"billing/meters/{shop.meter['id']}", display_name="Hacked")
    named = {"meter": shop.meter["event_name"]}
    return [("meter_changed", {**named, "name": "Calls"}, {**named, "name": "Hacked"})]


def meter_deactivated(shop: Shop) -> Expected:
    shop.edit(f"billing/meters/{shop.meter['id']}/deactivate")
    named = {"meter": shop.meter["event_name"]}
    return [("meter_archived", {**named, "active": True}, {**named, "active": False})]


def coupon_renamed(shop: Shop) -> Expected:
    shop.edit(f"coupons/{shop.coupon['id']}", name="Hacked")
    named = {"coupon": shop.coupon["id"]}
    return [("coupon_changed", {**named, "name": "Launch"}, {**named, "name": "Hacked"})]


def coupon_metadata_wiped(shop: Shop) -> Expected:
    shop.edit(f"coupons/{shop.coupon['id']}", metadata="")
    named, held = {"coupon": shop.coupon["id"]}, shop.coupon["metadata"]
    ours, theirs = {**named, "metadata": held}, {**named, "metadata": dict.fromkeys(held)}
    return [("coupon_changed", ours, theirs)]


def coupon_deleted(shop: Shop) -> Expected:
    shop.delete(f"coupons/{shop.coupon['id']}")
    terms: dict[str, Any] = {
        "percent_off": "25",
        "amounts_off": {},
        "duration": "once",
        "duration_months": None,
    }
    return [("coupon_missing", {"coupon": shop.coupon["id"], "name": "Launch", **terms}, None)]


def code_deactivated(shop: Shop) -> Expected:
    shop.edit(f"promotion_codes/{shop.code['id']}", active="false")
    named = {"coupon": shop.coupon["id"], "code": "LAUNCH25"}
    return [("coupon_code", {**named, "active": True}, {**named, "active": False})]


EDITS: Final[tuple[Edit, ...]] = (
    meter_renamed,
    meter_deactivated,
    coupon_renamed,
    coupon_metadata_wiped,
    coupon_deleted,
    code_deactivated,
)
