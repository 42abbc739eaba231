"""Prices: money never changes; a lookup key is held by one price at a time."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from infra.local.stripe_stand_in import shape
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.errors import invalid, malformed
from infra.local.stripe_stand_in.router import route
from infra.local.stripe_stand_in.rules import (
    decimal_text,
    exclusive,
    limit_lengths,
    matching,
    merge_metadata,
    page,
    refuse,
    require_one,
    unset,
)
from infra.local.stripe_stand_in.store import Obj, copy_of

from . import products

_AMOUNTS = ("unit_amount", "unit_amount_decimal", "custom_unit_amount")
_DECIMAL_PLACES = 12
_LONGEST = {"day": 1095, "week": 156, "month": 36, "year": 3}


@route("POST", "/v1/prices")
def create(acct: Account, params: Obj) -> Obj:
    """An immutable price; `transfer_lookup_key` takes the key from its holder in the same step."""
    limit_lengths(params, lookup_key=200, nickname=5000)
    exclusive(params, "product", "product_data")
    require_one(params, "product", "product_data")
    money = _money(params, "")
    recurring = _recurring(acct, params)
    product_id = params.get("product")
    if product_id is None:
        product_id = products.create(acct, params["product_data"])["id"]
    else:
        acct.get("product", product_id, "product")
    _free_lookup_key(acct, params)
    tiers = money.pop("tiers")
    price = acct.new(
        "price",
        active=params.get("active", True),
        billing_scheme=params.get("billing_scheme", "per_unit"),
        currency=_currency(params["currency"]),
        lookup_key=params.get("lookup_key"),
        metadata=merge_metadata({}, params.get("metadata")),
        nickname=params.get("nickname"),
        product=product_id,
        recurring=recurring,
        tax_behavior=params.get("tax_behavior", "unspecified"),
        tiers_mode=params.get("tiers_mode"),
        transform_quantity=params.get("transform_quantity"),
        type="recurring" if recurring else "one_time",
        **money,
    )
    price["_tiers"] = tiers
    price["_currency_options"] = _currency_options(price, tiers, params.get("currency_options"))
    return acct.add(price, "price.created")


def _currency(code: str) -> str:
    lowered = code.lower()
    if len(lowered) != 3 or not lowered.isascii() or not lowered.isalpha():
        raise malformed(f"Invalid currency: {code}.", "currency")
    return lowered


def _recurring(acct: Account, params: Obj) -> Obj | None:
    given = params.get("recurring")
    if given is None:
        return None
    count = given.get("interval_count", 1)
    if not 1 <= count <= _LONGEST[given["interval"]]:
        raise malformed(
            "The interval count must be at least 1 and the interval at most three years.",
            "recurring[interval_count]",
        )
    usage_type = given.get("usage_type", "licensed")
    meter = given.get("meter")
    if usage_type == "metered" and meter is None:
        raise malformed(
            "Metered prices must be backed by a meter. Provide `recurring[meter]`.",
            "recurring[meter]",
            "parameter_missing",
        )
    if meter is not None:
        if usage_type != "metered":
            raise malformed(
                "You may only specify a meter when `usage_type` is `metered`.", "recurring[meter]"
            )
        refuse(
            acct.get("billing.meter", meter, "recurring[meter]")["status"] != "active",
            "Prices cannot use an inactive meter.",
            "recurring[meter]",
        )
    return shape.new(
        "price:Recurring",
        interval=given["interval"],
        interval_count=count,
        meter=meter,
        trial_period_days=given.get("trial_period_days"),
        usage_type=usage_type,
    )


def _money(params: Obj, at: str) -> Obj:
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


def _currency_options(price: Obj, tiers: Any, given: Obj | None) -> Obj:
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
        money = _money(option, f"currency_options[{code}]")
        if money["tiers"] is None:
            del money["tiers"]
        options[_currency(code)] = {
            **money,
            "tax_behavior": option.get("tax_behavior", "unspecified"),
        }
    return options


def _free_lookup_key(acct: Account, params: Obj, own_id: str | None = None) -> None:
    key = params.get("lookup_key")
    if not key:
        return
    for holder in acct.all("price"):
        if holder["lookup_key"] != key or holder["id"] == own_id:
            continue
        if not params.get("transfer_lookup_key"):
            raise invalid(
                f"A price (`{holder['id']}`) already uses that lookup key. Set "
                "`transfer_lookup_key=true` to transfer it.",
                "lookup_key",
            )
        acct.save({**holder, "lookup_key": None}, "price.updated")


@route("GET", "/v1/prices/{id}")
def retrieve(acct: Account, _params: Obj, price_id: str) -> Obj:
    """The price."""
    return acct.get("price", price_id)


@route("POST", "/v1/prices/{id}")
def update(acct: Account, params: Obj, price_id: str) -> Obj:
    """The price with its few changeable fields changed."""
    limit_lengths(params, lookup_key=200, nickname=5000)
    price = acct.edit("price", price_id)
    if params.get("active") is False:
        _refuse_default(acct, price)
    _free_lookup_key(acct, params, price_id)
    if "active" in params:
        price["active"] = params["active"]
    for name in ("nickname", "lookup_key"):
        if name in params:
            price[name] = unset(params[name])
    if "tax_behavior" in params and params["tax_behavior"] != price["tax_behavior"]:
        refuse(
            price["tax_behavior"] != "unspecified",
            "You cannot change `tax_behavior` once it is set.",
            "tax_behavior",
        )
        price["tax_behavior"] = params["tax_behavior"]
    price["metadata"] = merge_metadata(price["metadata"], params.get("metadata"))
    if "currency_options" in params:
        _change_currencies(price, params["currency_options"])
    return acct.save(price, "price.updated")


def _refuse_default(acct: Account, price: Obj) -> None:
    product = acct.find("product", price["product"])
    refuse(
        product is not None and product["default_price"] == price["id"],
        "This price cannot be archived because it is the default price of its product.",
        "active",
    )


def _change_currencies(price: Obj, given: Any) -> None:
    options = copy_of(price["_currency_options"])
    if given == "":
        options = {price["currency"]: options[price["currency"]]}
    else:
        for code, option in given.items():
            if option == "":
                options.pop(code, None)
        options.update(_currency_options(price, price["_tiers"], given))
    price["_currency_options"] = options


@route("GET", "/v1/prices")
def list_all(acct: Account, params: Obj) -> Obj:
    """Prices, newest first; inactive ones too unless `active` says otherwise."""
    found = matching(acct.all("price"), params, "active", "product", "type", "currency")
    if "lookup_keys" in params:
        refuse(
            len(params["lookup_keys"]) > 10, "You may pass at most 10 lookup keys.", "lookup_keys"
        )
        found = [price for price in found if price["lookup_key"] in params["lookup_keys"]]
    wanted = params.get("recurring", {})
    found = [
        price
        for price in found
        if all((price["recurring"] or {}).get(name) == value for name, value in wanted.items())
    ]
    return page(acct, "price", found, params, "/v1/prices")
