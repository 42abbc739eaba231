"""Discounts: coupons put on a customer or subscription, and what they take off an invoice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.clock import add_months
from infra.local.stripe_stand_in.errors import invalid
from infra.local.stripe_stand_in.money import rounded
from infra.local.stripe_stand_in.rules import refuse
from infra.local.stripe_stand_in.store import Obj, copy_of


def coupon_of(acct: Account, given: Obj, param: str) -> tuple[Obj, str | None]:
    """The redeemable coupon behind `{coupon}` or `{promotion_code}`, and the code's id."""
    if "promotion_code" in given:
        code = acct.get("promotion_code", given["promotion_code"], f"{param}[promotion_code]")
        refuse(
            not is_active(acct, code),
            "This promotion code is inactive or expired.",
            f"{param}[promotion_code]",
        )
        return acct.get("coupon", code["promotion"]["coupon"], param), code["id"]
    if "coupon" not in given:
        raise invalid("A discount needs a coupon or a promotion code.", param, "parameter_missing")
    coupon = acct.get("coupon", given["coupon"], f"{param}[coupon]")
    refuse(not is_valid(acct, coupon), f"Coupon expired: {coupon['id']}", param, "coupon_expired")
    return coupon, None


def is_valid(acct: Account, coupon: Obj) -> bool:
    """Whether the coupon can still be redeemed."""
    spent = coupon["max_redemptions"] is not None and (
        coupon["times_redeemed"] >= coupon["max_redemptions"]
    )
    late = coupon["redeem_by"] is not None and coupon["redeem_by"] <= acct.now()
    return not spent and not late


def is_active(acct: Account, code: Obj) -> bool:
    """Whether the promotion code can still be used."""
    spent = code["max_redemptions"] is not None and (
        code["times_redeemed"] >= code["max_redemptions"]
    )
    late = code["expires_at"] is not None and code["expires_at"] <= acct.now()
    return bool(code["active"]) and not spent and not late


def redeem(acct: Account, given: Any, param: str, *, customer: str, **owner: Any) -> list[str]:
    """Discount objects for what was given; each redemption is counted."""
    return [
        _redeem_one(acct, entry, f"{param}[{i}]", customer, owner)
        for i, entry in enumerate(given or [])
    ]


def _redeem_one(acct: Account, given: Obj, param: str, customer: str, owner: Obj) -> str:
    if "discount" in given:
        kept: str = acct.get("discount", given["discount"], f"{param}[discount]")["id"]
        return kept
    coupon, code_id = coupon_of(acct, given, param)
    months = coupon["duration_in_months"]
    start = acct.now()
    discount = acct.new(
        "discount",
        customer=customer,
        end=add_months(start, months) if coupon["duration"] == "repeating" else None,
        promotion_code=code_id,
        source={"coupon": coupon["id"], "type": "coupon"},
        start=start,
        **owner,
    )
    used = copy_of(coupon)
    used["times_redeemed"] += 1
    used["valid"] = is_valid(acct, used)
    acct.save(used)
    if code_id is not None:
        code = acct.edit("promotion_code", code_id)
        code["times_redeemed"] += 1
        code["active"] = is_active(acct, code)
        acct.save(code, "promotion_code.updated")
    acct.add(discount, "customer.discount.created")
    new_id: str = discount["id"]
    return new_id


def drop(acct: Account, discount_id: str) -> None:
    """The discount no longer applies to anything."""
    discount = acct.find("discount", discount_id)
    if discount is not None and not discount.get("_deleted"):
        acct.remove(discount, "customer.discount.deleted")


def applied(acct: Account, discount_ids: list[str], lines: list[Obj]) -> list[Obj]:
    """The lines with what each discount takes off each; the amount itself stays gross."""
    lines = [{**line, "discount_amounts": []} for line in lines]
    for discount_id in discount_ids:
        discount = acct.find("discount", discount_id)
        if discount is None or discount.get("_deleted"):
            continue
        if discount["end"] is not None and discount["end"] <= acct.now():
            continue
        coupon = acct.find("coupon", discount["source"]["coupon"])
        if coupon is not None:
            _take_off(coupon, discount_id, [line for line in lines if _applies(acct, coupon, line)])
    return lines


def _applies(_acct: Account, coupon: Obj, line: Obj) -> bool:
    products = (coupon.get("_applies_to") or {}).get("products")
    return not products or line["pricing"]["price_details"]["product"] in products


def _left(line: Obj) -> int:
    taken = sum(entry["amount"] for entry in line["discount_amounts"])
    rest: int = line["amount"] - taken
    return rest


def _take_off(coupon: Obj, discount_id: str, lines: list[Obj]) -> None:
    if coupon["percent_off"] is not None:
        percent = Decimal(str(coupon["percent_off"])) / 100
        for line in lines:
            amount = rounded(_left(line) * percent)
            line["discount_amounts"].append({"amount": amount, "discount": discount_id})
        return
    currency = lines[0]["currency"] if lines else None
    options = coupon.get("_currency_options") or {}
    off = (
        coupon["amount_off"]
        if coupon["currency"] == currency
        else (options.get(currency, {}).get("amount_off", 0))
    )
    for line in lines:
        amount = max(0, min(off, _left(line)))
        off -= amount
        line["discount_amounts"].append({"amount": amount, "discount": discount_id})


def spend_once(acct: Account, discount_ids: list[str]) -> list[str]:
    """What remains after an invoice: one-time discounts are used up, ended ones dropped."""
    remaining = []
    for discount_id in discount_ids:
        discount = acct.find("discount", discount_id)
        if discount is None or discount.get("_deleted"):
            continue
        coupon = acct.find("coupon", discount["source"]["coupon"])
        ended = discount["end"] is not None and discount["end"] <= acct.now()
        if ended or (coupon is not None and coupon["duration"] == "once"):
            drop(acct, discount_id)
        else:
            remaining.append(discount_id)
    return remaining
