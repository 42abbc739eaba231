"""A price in Stripe's words and back: what creates one, and what money an existing one is."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from chalicelib.domain.billing import MirrorPrice, ObservedPrice
from chalicelib.domain.meters import token_in
from chalicelib.domain.money import canonical_decimal
from chalicelib.domain.prices import (
    BillingPeriod,
    Price,
    PriceModel,
    Tier,
    TiersMode,
    money_digest,
)

if TYPE_CHECKING:  # the SDK's parameter types exist for type checkers; loading them costs 30 ms
    from stripe.params import PriceCreateParams, PriceCreateParamsRecurring, PriceCreateParamsTier

Json = Mapping[str, Any]

# Prices that only a person made: no fingerprint of ours looks like this.
_FOREIGN: Final = "foreign"


class PlainDecimal(Decimal):
    """A decimal that the SDK's `str()` spells without an exponent, as Stripe reads them."""

    def __str__(self) -> str:
        """Digits and a point."""
        return canonical_decimal(self)


def create_params(
    product_key: str, mirror: MirrorPrice, meter_id: str | None = None
) -> "PriceCreateParams":
    """What creates the price and takes over its lookup key from whichever price held it.

    https://docs.stripe.com/products-prices/manage-prices#transfer-lookup-key
    """
    price = mirror.price
    params: PriceCreateParams = {
        "product": product_key,
        "currency": price.currency,
        "lookup_key": mirror.lookup_key,
        "transfer_lookup_key": True,
        "metadata": dict(mirror.metadata),
    }
    if price.billing_period is not None:
        params["recurring"] = _recurring(price, price.billing_period, meter_id)
    if price.tiers:
        params["billing_scheme"] = "tiered"
        params["tiers_mode"] = price.tiers_mode or TiersMode.GRADUATED
        params["tiers"] = [_tier_params(tier) for tier in price.tiers]
    elif price.amount is not None:
        params["unit_amount"] = price.amount
    elif price.amount_decimal is not None:
        params["unit_amount_decimal"] = PlainDecimal(price.amount_decimal)
    if price.block_size is not None and price.block_size != 1:
        # A block that is begun is paid; Stripe takes no blocks together with tiers.
        params["transform_quantity"] = {"divide_by": price.block_size, "round": "up"}
    return params


def _recurring(
    price: Price, period: BillingPeriod, meter_id: str | None
) -> "PriceCreateParamsRecurring":
    recurring: PriceCreateParamsRecurring = {
        "interval": period.value,
        "interval_count": price.interval_count,
    }
    if price.model is PriceModel.USAGE_BASED:
        recurring["usage_type"] = "metered"
    if meter_id is not None:
        recurring["meter"] = meter_id
    return recurring


def _tier_params(tier: Tier) -> "PriceCreateParamsTier":
    params: PriceCreateParamsTier = {"up_to": "inf" if tier.up_to is None else tier.up_to}
    if tier.unit_amount is not None:
        params["unit_amount"] = tier.unit_amount
    elif tier.unit_amount_decimal is not None:
        params["unit_amount_decimal"] = PlainDecimal(tier.unit_amount_decimal)
    if tier.flat_amount is not None:
        params["flat_amount"] = tier.flat_amount
    return params


def observed_price(value: Json, event_names: Mapping[str, str] | None = None) -> ObservedPrice:
    """The price as Stripe holds it, with the fingerprint of its money; needs `tiers` expanded.

    `event_names` are those of the meters, by id: they tell whose usage a metered price charges.
    """
    return ObservedPrice(
        billing_id=value["id"],
        lookup_key=value.get("lookup_key"),
        fingerprint=_fingerprint(value, event_names or {}),
        active=value["active"],
        metadata=dict(value.get("metadata") or {}),
        money=_money(value),
    )


def _money(value: Json) -> dict[str, object]:
    recurring = value.get("recurring") or {}
    amount, fraction = _amount(value, "unit_amount")
    told = {
        "currency": value["currency"],
        "amount": amount,
        "amount_decimal": None if fraction is None else canonical_decimal(fraction),
        "billing_period": recurring.get("interval"),
        "interval_count": recurring.get("interval_count"),
        "tiers_mode": value.get("tiers_mode"),
    }
    return {name: one for name, one in told.items() if one is not None}


def _fingerprint(value: Json, event_names: Mapping[str, str]) -> str:
    price = _price_of(value)
    if price is None:
        return f"{_FOREIGN}:{value['id']}"
    meter_id = (value.get("recurring") or {}).get("meter")
    if meter_id is None:
        return money_digest(price, None)
    token = token_in(event_names.get(meter_id, ""))
    return money_digest(price, token or f"{_FOREIGN}:{meter_id}")


def _price_of(value: Json) -> Price | None:
    """A price of ours that is charged the same; None if none could be (e.g. pay what you want)."""
    recurring = value.get("recurring") or {}
    blocks = value.get("transform_quantity") or {}
    tiers = value.get("tiers") or []
    is_tiered = value.get("billing_scheme") == "tiered"
    amount, amount_decimal = (None, None) if is_tiered else _amount(value, "unit_amount")
    nothing_to_charge = not tiers if is_tiered else amount is None and amount_decimal is None
    if (
        value.get("custom_unit_amount")
        or nothing_to_charge
        or blocks.get("round", "up") != "up"
        or recurring.get("interval", "month") not in set(BillingPeriod)
        or value.get("tiers_mode") not in {None, *TiersMode}
        or any(_is_fractional(tier.get("flat_amount_decimal")) for tier in tiers)
    ):
        return None
    return Price(
        id=value["id"],
        model=_model(recurring),
        currency=value["currency"],
        billing_period=BillingPeriod(recurring["interval"]) if recurring else None,
        interval_count=recurring.get("interval_count", 1),
        amount=amount,
        amount_decimal=amount_decimal,
        tiers_mode=TiersMode(value["tiers_mode"]) if is_tiered else None,
        tiers=tuple(_tier(tier) for tier in tiers),
        block_size=blocks.get("divide_by"),
    )


def _model(recurring: Json) -> PriceModel:
    """Stripe tells metered from licensed; what a licensed price counts only we know."""
    if not recurring:
        return PriceModel.ONE_OFF
    is_metered = recurring.get("usage_type") == "metered"
    return PriceModel.USAGE_BASED if is_metered else PriceModel.FLAT_FEE


def _tier(tier: Json) -> Tier:
    unit_amount, unit_amount_decimal = _amount(tier, "unit_amount")
    return Tier(
        up_to=tier.get("up_to"),
        unit_amount=unit_amount,
        unit_amount_decimal=unit_amount_decimal,
        flat_amount=tier.get("flat_amount"),
    )


def _amount(value: Json, name: str) -> tuple[int | None, Decimal | None]:
    """Whole minor units, or the fraction that Stripe holds in `..._decimal` alone."""
    if value.get(name) is not None:
        return value[name], None
    text = value.get(f"{name}_decimal")
    return None, None if text is None else Decimal(text)


def _is_fractional(text: str | None) -> bool:
    return text is not None and Decimal(text) % 1 != 0
