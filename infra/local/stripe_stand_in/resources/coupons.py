"""Coupons and promotion codes: the money is fixed at creation, only names and notes change."""

from __future__ import annotations

from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.errors import StripeError, malformed
from infra.local.stripe_stand_in.router import route
from infra.local.stripe_stand_in.rules import (
    exclusive,
    limit_lengths,
    matching,
    merge_metadata,
    page,
    refuse,
)
from infra.local.stripe_stand_in.store import Obj

_WHOLE_PERCENT = 100


@route("POST", "/v1/coupons")
def create(acct: Account, params: Obj) -> Obj:
    """A coupon, valid at once."""
    limit_lengths(params, name=40, id=500)
    exclusive(params, "percent_off", "amount_off")
    if "percent_off" not in params and "amount_off" not in params:
        raise malformed(
            "Must provide percent_off or amount_off.", "percent_off", "parameter_missing"
        )
    if "amount_off" in params and "currency" not in params:
        raise malformed("Missing required param: currency.", "currency", "parameter_missing")
    duration = params.get("duration", "once")
    months = params.get("duration_in_months")
    if (duration == "repeating") != (months is not None):
        raise malformed(
            "`duration_in_months` must be set when `duration` is `repeating`, and only then.",
            "duration_in_months",
        )
    percent = params.get("percent_off")
    if percent is not None and not 0 < percent <= _WHOLE_PERCENT:
        raise malformed("Percent off must be above 0 and at most 100.", "percent_off")
    if params.get("amount_off", 1) < 1:
        raise malformed("Invalid positive integer", "amount_off", "parameter_invalid_integer")
    coupon_id = params.get("id") or acct.ids.new("coupon")
    held = acct.store.get("coupon", coupon_id)
    # A deleted coupon's id may be used again.
    if held is not None and not held.get("_deleted"):
        raise StripeError("Coupon already exists.", code="resource_already_exists", param="id")
    coupon = acct.new(
        "coupon",
        id=coupon_id,
        amount_off=params.get("amount_off"),
        currency=params["currency"].lower() if "amount_off" in params else None,
        duration=duration,
        duration_in_months=months,
        max_redemptions=params.get("max_redemptions"),
        metadata=merge_metadata({}, params.get("metadata")),
        name=params.get("name"),
        percent_off=float(percent) if percent is not None else None,
        redeem_by=params.get("redeem_by"),
        times_redeemed=0,
        valid=True,
    )
    coupon["_applies_to"] = params.get("applies_to")
    for product in (params.get("applies_to") or {}).get("products", []):
        acct.get("product", product, "applies_to[products]")
    coupon["_currency_options"] = params.get("currency_options") or {}
    return acct.add(coupon, "coupon.created")


@route("GET", "/v1/coupons/{id}")
def retrieve(acct: Account, _params: Obj, coupon_id: str) -> Obj:
    """The coupon."""
    return acct.get("coupon", coupon_id)


@route("POST", "/v1/coupons/{id}")
def update(acct: Account, params: Obj, coupon_id: str) -> Obj:
    """The coupon with another name, note or further currencies."""
    limit_lengths(params, name=40)
    coupon = acct.edit("coupon", coupon_id)
    if "name" in params:
        coupon["name"] = params["name"] or None
    coupon["metadata"] = merge_metadata(coupon["metadata"], params.get("metadata"))
    coupon["_currency_options"].update(params.get("currency_options") or {})
    return acct.save(coupon, "coupon.updated")


@route("DELETE", "/v1/coupons/{id}")
def delete(acct: Account, _params: Obj, coupon_id: str) -> Obj:
    """The coupon can be redeemed no more; discounts it gave stay."""
    coupon = acct.get("coupon", coupon_id)
    return acct.remove({**coupon, "valid": False}, "coupon.deleted")


@route("GET", "/v1/coupons")
def list_all(acct: Account, params: Obj) -> Obj:
    """Coupons, newest first."""
    return page(acct, "coupon", matching(acct.all("coupon"), params), params, "/v1/coupons")


@route("POST", "/v1/promotion_codes")
def create_code(acct: Account, params: Obj) -> Obj:
    """A code customers can type in for a coupon; unique among the active ones."""
    limit_lengths(params, code=500)
    coupon_id = params["promotion"].get("coupon")
    if coupon_id is None:
        raise malformed(
            "Missing required param: promotion[coupon].", "promotion[coupon]", "parameter_missing"
        )
    acct.get("coupon", coupon_id, "promotion[coupon]")
    text = params.get("code") or acct.ids.new("code")
    active = params.get("active", True)
    if active:
        _refuse_twin(acct, text, params.get("customer"))
    given = params.get("restrictions") or {}
    code = acct.new(
        "promotion_code",
        active=active,
        code=text,
        customer=params.get("customer"),
        expires_at=params.get("expires_at"),
        max_redemptions=params.get("max_redemptions"),
        metadata=merge_metadata({}, params.get("metadata")),
        promotion={"coupon": coupon_id, "type": "coupon"},
        restrictions={
            "first_time_transaction": given.get("first_time_transaction", False),
            "minimum_amount": given.get("minimum_amount"),
            "minimum_amount_currency": given.get("minimum_amount_currency"),
        },
        times_redeemed=0,
    )
    return acct.add(code, "promotion_code.created")


def _refuse_twin(acct: Account, text: str, customer: str | None, own_id: str = "") -> None:
    refuse(
        any(
            code["active"]
            and code["code"].lower() == text.lower()
            and code["customer"] == customer
            and code["id"] != own_id
            for code in acct.all("promotion_code")
        ),
        f"An active promotion code with `code: {text}` already exists.",
        "code",
        "resource_already_exists",
    )


@route("GET", "/v1/promotion_codes/{id}")
def retrieve_code(acct: Account, _params: Obj, code_id: str) -> Obj:
    """The promotion code."""
    return acct.get("promotion_code", code_id)


@route("POST", "/v1/promotion_codes/{id}")
def update_code(acct: Account, params: Obj, code_id: str) -> Obj:
    """The promotion code switched on or off, or with other notes."""
    code = acct.edit("promotion_code", code_id)
    if params.get("active") and not code["active"]:
        _refuse_twin(acct, code["code"], code["customer"], code_id)
    if "active" in params:
        code["active"] = params["active"]
    code["metadata"] = merge_metadata(code["metadata"], params.get("metadata"))
    return acct.save(code, "promotion_code.updated")


@route("GET", "/v1/promotion_codes")
def list_codes(acct: Account, params: Obj) -> Obj:
    """Promotion codes, newest first; `code` is matched without regard to case."""
    found = matching(acct.all("promotion_code"), params, "active", "customer")
    if "coupon" in params:
        found = [c for c in found if c["promotion"]["coupon"] == params["coupon"]]
    if "code" in params:
        found = [c for c in found if c["code"].lower() == params["code"].lower()]
    return page(acct, "promotion_code", found, params, "/v1/promotion_codes")
