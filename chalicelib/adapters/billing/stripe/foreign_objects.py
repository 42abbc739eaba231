"""Stripe's own words for products, prices and coupons, read for an import: nothing is left out silently."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from chalicelib.domain.coupons import AmountOff
from chalicelib.domain.foreign_catalog import (
    ForeignCode,
    ForeignCoupon,
    ForeignMoney,
    ForeignPrice,
    ForeignProduct,
)
from chalicelib.domain.prices import Tier

Json = Mapping[str, Any]

# One key of `entity_metadata`, which every object of ours carries in any environment.
_OURS = "paygrade_entity_id"


def foreign_product(value: Json, prices: Sequence[ForeignPrice]) -> ForeignProduct:
    """The product with its prices, the default one first."""
    default = value.get("default_price")
    return ForeignProduct(
        billing_id=value["id"],
        name=value["name"],
        description=value.get("description"),
        active=value["active"],
        is_managed=_is_ours(value),
        unit_label=value.get("unit_label"),
        has_metadata=bool(value.get("metadata")),
        prices=tuple(sorted(prices, key=lambda price: price.billing_id != default)),
    )


def foreign_price(value: Json) -> ForeignPrice:
    """The price in all of its currencies; needs `tiers` and `currency_options` expanded."""
    recurring = value.get("recurring") or {}
    blocks = value.get("transform_quantity") or {}
    is_tiered = value.get("billing_scheme") == "tiered"
    money = {value["currency"]: _money(value, is_tiered=is_tiered)}
    options = value.get("currency_options") or {}
    for currency in sorted(options):
        if currency not in money:
            money[currency] = _money(options[currency], is_tiered=is_tiered)
    return ForeignPrice(
        billing_id=value["id"],
        active=value["active"],
        is_managed=_is_ours(value),
        money=money,
        interval=recurring.get("interval"),
        interval_count=recurring.get("interval_count", 1),
        is_metered=recurring.get("usage_type") == "metered",
        meter_id=recurring.get("meter"),
        tiers_mode=value.get("tiers_mode") if is_tiered else None,
        block_size=blocks.get("divide_by"),
        rounds_up=blocks.get("round", "up") == "up",
        trial_days=recurring.get("trial_period_days"),
        has_tax_behavior=value.get("tax_behavior") not in (None, "unspecified"),
    )


def _money(value: Json, *, is_tiered: bool) -> ForeignMoney:
    if value.get("custom_unit_amount"):
        return ForeignMoney(oddity="custom_unit_amount")
    if not is_tiered:
        amount, amount_decimal = _amount(value, "unit_amount")
        if amount is None and amount_decimal is None:
            return ForeignMoney(oddity="nothing_to_charge")
        return ForeignMoney(amount=amount, amount_decimal=amount_decimal)
    tiers = value.get("tiers") or []
    if not tiers:
        return ForeignMoney(oddity="tiers_not_shown")
    if any(_amount(tier, "flat_amount")[1] is not None for tier in tiers):
        return ForeignMoney(oddity="fractional_flat_amount")
    return ForeignMoney(tiers=tuple(_tier(tier) for tier in tiers))


def _tier(tier: Json) -> Tier:
    unit_amount, unit_amount_decimal = _amount(tier, "unit_amount")
    return Tier(
        up_to=tier.get("up_to"),
        unit_amount=unit_amount,
        unit_amount_decimal=unit_amount_decimal,
        flat_amount=_amount(tier, "flat_amount")[0],
    )


def _amount(value: Json, name: str) -> tuple[int | None, Decimal | None]:
    """Whole minor units, or the fraction that Stripe holds in `..._decimal` alone."""
    if value.get(name) is not None:
        return int(value[name]), None
    text = value.get(f"{name}_decimal")
    return None, None if text is None else Decimal(text)


def foreign_coupon(value: Json, codes: Sequence[ForeignCode]) -> ForeignCoupon:
    """The coupon with its codes; needs `currency_options` and `applies_to` expanded."""
    amounts: dict[str, int] = {}
    if value.get("amount_off") is not None:
        amounts[value["currency"]] = value["amount_off"]
        options = value.get("currency_options") or {}
        for currency in sorted(options):
            amounts.setdefault(currency, options[currency]["amount_off"])
    percent = value.get("percent_off")
    return ForeignCoupon(
        billing_id=value["id"],
        name=value.get("name"),
        is_valid=value["valid"],
        is_managed=_is_ours(value),
        percent_off=None if percent is None else Decimal(str(percent)),
        amounts_off=tuple(AmountOff(amount=off, currency=code) for code, off in amounts.items()),
        duration=value["duration"],
        duration_months=value.get("duration_in_months"),
        is_limited=value.get("max_redemptions") is not None or value.get("redeem_by") is not None,
        is_for_some_products=bool((value.get("applies_to") or {}).get("products")),
        codes=tuple(codes),
    )


def foreign_code(value: Json) -> ForeignCode:
    """The promotion code, and whether it has conditions."""
    limits = value.get("restrictions") or {}
    return ForeignCode(
        billing_id=value["id"],
        code=value["code"],
        is_restricted=any(
            (
                value.get("customer"),
                value.get("expires_at"),
                value.get("max_redemptions"),
                limits.get("first_time_transaction"),
                limits.get("minimum_amount"),
            )
        ),
    )


def _is_ours(value: Json) -> bool:
    return _OURS in (value.get("metadata") or {})
