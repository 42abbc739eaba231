"""The amounts of a price: whole or decimal, tiers, and one set for each currency."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from infra.local.stripe_stand_in import shape
from infra.local.stripe_stand_in.errors import malformed
from infra.local.stripe_stand_in.rules import (
    decimal_text,
    exclusive,
)
from infra.local.stripe_stand_in.store import Obj

_AMOUNTS = ("unit_amount", "unit_amount_decimal", "custom_unit_amount")


_DECIMAL_PLACES = 12
_CURRENCY = re.compile("[a-z]{3}")


def currency_code(code: str) -> str:
    """The code in lower case; refused unless it has the form of one."""
    lowered = code.lower()
    if _CURRENCY.fullmatch(lowered) is None:
        raise malformed(f"Invalid currency: {code}.", "currency")
    return lowered


def amounts_of(params: Obj, at: str) -> Obj:
    """The amount fields of a price or of one of its currencies."""
    tiered = params.get("billing_scheme") == "tiered" or (at != "" and "tiers" in params)
    amounts: list[str] = [name for name in _AMOUNTS if name in params]
    if tiered:
        return _tiered_money(params, at, amounts)
    if "tiers" in params or "tiers_mode" in params:
        raise malformed("`tiers` requires `billing_scheme` to be `tiered`.", at + "tiers")
    if len(amounts) != 1:
        text = "one of `unit_amount`, `unit_amount_decimal`, or `custom_unit_amount`"
        raise malformed(
            f"Prices require {text} to be set." if not amounts else f"You may only set {text}.",
            at + "unit_amount",
            "parameter_missing" if not amounts else None,
        )
    if "transform_quantity" in params and params["transform_quantity"]["divide_by"] < 1:
        raise malformed("Invalid positive integer", "transform_quantity[divide_by]")
    custom = params.get("custom_unit_amount")
    amount = _amount(params, "unit_amount", at)
    return {
        "custom_unit_amount": shape.new(
            "price:CustomUnitAmount", **{k: v for k, v in custom.items() if k != "enabled"}
        )
        if custom
        else None,
        "tiers": None,
        **amount,
    }


def _tiered_money(params: Obj, at: str, amounts: list[str]) -> Obj:
    if amounts:
        raise malformed(
            "You cannot set an amount when `billing_scheme` is `tiered`.", at + amounts[0]
        )
    tiers = params.get("tiers") or []
    if not tiers:
        raise malformed("`tiers` must be set.", at + "tiers", "parameter_missing")
    if at == "" and "tiers_mode" not in params:
        raise malformed("`tiers_mode` must be set.", "tiers_mode", "parameter_missing")
    if "transform_quantity" in params:
        raise malformed("`transform_quantity` cannot be used with `tiers`.", "transform_quantity")
    bounds = [tier["up_to"] for tier in tiers]
    if bounds[-1] != "inf" or "inf" in bounds[:-1]:
        raise malformed("Only the last tier has `up_to=inf`, and it must.", at + "tiers")
    if bounds[:-1] != sorted(set(bounds[:-1])) or any(bound < 1 for bound in bounds[:-1]):
        raise malformed("The `up_to` of tiers must be positive and rise.", at + "tiers")
    return {
        "tiers": [_tier(tier, f"{at}tiers[{i}]") for i, tier in enumerate(tiers)],
        "unit_amount": None,
        "unit_amount_decimal": None,
        "custom_unit_amount": None,
    }


def _tier(tier: Obj, at: str) -> Obj:
    if not {"unit_amount", "unit_amount_decimal", "flat_amount", "flat_amount_decimal"} & set(tier):
        raise malformed("Each tier needs a `unit_amount` or a `flat_amount`.", at)
    return {
        **_amount(tier, "flat_amount", at),
        **_amount(tier, "unit_amount", at),
        "up_to": None if tier["up_to"] == "inf" else tier["up_to"],
    }


def _amount(params: Obj, name: str, at: str) -> Obj:
    """The whole and the decimal form of one amount, each derived from the other."""
    exclusive(params, name, name + "_decimal")
    if name in params:
        value = Decimal(params[name])
    elif name + "_decimal" in params:
        value = params[name + "_decimal"]
    else:
        return {name: None, name + "_decimal": None}
    if value < 0:
        raise malformed("Invalid non-negative integer", at + name, "parameter_invalid_integer")
    text = decimal_text(value)
    if len(text.partition(".")[2]) > _DECIMAL_PLACES:
        raise malformed("Invalid decimal: at most 12 decimal places", at + name + "_decimal")
    whole = int(value) if value == value.to_integral_value() else None
    return {name: whole, name + "_decimal": text}


def options_of(price: Obj, tiers: Any, given: Obj | None) -> Obj:
    """Every currency of the price, its own included, as `expand[]=currency_options` shows it."""
    own = {
        "custom_unit_amount": price["custom_unit_amount"],
        "tax_behavior": price["tax_behavior"],
        "unit_amount": price["unit_amount"],
        "unit_amount_decimal": price["unit_amount_decimal"],
    }
    if tiers is not None:
        own["tiers"] = tiers
    options: Obj = {price["currency"]: own}
    for code, option in (given or {}).items():
        if option == "":
            continue
        if code == price["currency"]:
            raise malformed(
                "You are specifying an update to a currency option that matches the top-level "
                "currency for this price. Please remove this currency option and update the "
                "top-level params instead.",
                f"currency_options[{code}]",
            )
        money = amounts_of(option, f"currency_options[{code}]")
        if money["tiers"] is None:
            del money["tiers"]
        options[currency_code(code)] = {
            **money,
            "tax_behavior": option.get("tax_behavior", "unspecified"),
        }
    return options
