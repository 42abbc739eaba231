"""Prices: money never changes; a lookup key is held by one price at a time."""

from __future__ import annotations

from typing import Any

from infra.local.stripe_stand_in import shape
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.errors import invalid, malformed
from infra.local.stripe_stand_in.price_amounts import amounts_of, currency_code, options_of
from infra.local.stripe_stand_in.resources import products
from infra.local.stripe_stand_in.router import route
from infra.local.stripe_stand_in.rules import (
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

_MAX_LOOKUP_KEYS = 10
_LONGEST = {"day": 1095, "week": 156, "month": 36, "year": 3}


@route("POST", "/v1/prices")
def create(acct: Account, params: Obj) -> Obj:
    """An immutable price; `transfer_lookup_key` takes the key from its holder in the same step."""
    limit_lengths(params, lookup_key=200, nickname=5000)
    exclusive(params, "product", "product_data")
    require_one(params, "product", "product_data")
    money = amounts_of(params, "")
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
        currency=currency_code(params["currency"]),
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
    price["_currency_options"] = options_of(price, tiers, params.get("currency_options"))
    return acct.add(price, "price.created")


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
        options.update(options_of(price, price["_tiers"], given))
    price["_currency_options"] = options


@route("GET", "/v1/prices")
def list_all(acct: Account, params: Obj) -> Obj:
    """Prices, newest first; inactive ones too unless `active` says otherwise."""
    found = matching(acct.all("price"), params, "active", "product", "type", "currency")
    if "lookup_keys" in params:
        refuse(
            len(params["lookup_keys"]) > _MAX_LOOKUP_KEYS,
            "You may pass at most 10 lookup keys.",
            "lookup_keys",
        )
        found = [price for price in found if price["lookup_key"] in params["lookup_keys"]]
    wanted = params.get("recurring", {})
    found = [
        price
        for price in found
        if all((price["recurring"] or {}).get(name) == value for name, value in wanted.items())
    ]
    return page(acct, "price", found, params, "/v1/prices")
