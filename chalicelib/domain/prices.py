"""Prices: what one billing period of a plan or add-on costs, and which of it can never change in place."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from chalicelib.domain.ids import FeatureId, derived_id, is_chosen_id
from chalicelib.domain.money import canonical_decimal


class PriceModel(StrEnum):
    """What the amount is multiplied by: nothing, a bought quantity, or reported usage."""

    FLAT_FEE = "flat_fee"
    PER_UNIT = "per_unit"
    USAGE_BASED = "usage_based"
    ONE_OFF = "one_off"


class BillingPeriod(StrEnum):
    """The unit of a billing interval."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class TiersMode(StrEnum):
    """Whether the tier reached prices all units or each tier its own."""

    VOLUME = "volume"
    GRADUATED = "graduated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """Units up to and including `up_to` (None: without end)."""

    up_to: int | None
    unit_amount: int | None = None
    unit_amount_decimal: Decimal | None = None
    flat_amount: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One way to pay for a plan or add-on. `amount` is in minor units; `amount_decimal` may be a fraction of one."""

    id: str
    model: PriceModel
    currency: str
    billing_period: BillingPeriod | None = None
    interval_count: int = 1
    amount: int | None = None
    amount_decimal: Decimal | None = None
    tiers_mode: TiersMode | None = None
    tiers: tuple[Tier, ...] = ()
    block_size: int | None = None
    feature_id: FeatureId | None = None
    min_quantity: int | None = None
    max_quantity: int | None = None
    country: str | None = None


def default_price_id(price: Mapping[str, Any]) -> str:
    """The id of a price that the caller gave none: what tells it from its siblings, so it is stable across edits."""
    parts = [price["model"], price.get("feature_id"), price.get("billing_period")]
    if price.get("interval_count", 1) != 1:
        parts.append(str(price["interval_count"]))
    parts += [price["currency"], price.get("country")]
    text = "-".join(str(part) for part in parts if part)
    return text if is_chosen_id(text) else derived_id(f"{price['model']}-", text)


def fingerprint(price: Price) -> str:
    """A digest of all that a provider can't change in place: equal exactly when one provider price can serve both."""
    is_metered = price.model is PriceModel.USAGE_BASED and price.feature_id is not None
    return money_digest(price, meter_token(price.feature_id) if is_metered else None)


def meter_token(feature_id: FeatureId | None) -> str:
    """What tells the meter of this feature from all others of an environment, at any provider."""
    return hashlib.sha256(f"meter:{feature_id}".encode()).hexdigest()[:12]


def money_digest(price: Price, meter: str | None) -> str:
    """The fingerprint of this money, counted by the meter of this token (None: not metered)."""
    money: dict[str, object] = {
        "currency": price.currency,
        "usage": price.model is PriceModel.USAGE_BASED,
        "interval": [price.billing_period, price.interval_count] if price.billing_period else None,
        "amount": _amount_text(price.amount, price.amount_decimal),
        "tiers_mode": price.tiers_mode,
        # Providers may report an amount that was left out as nothing or as zero, and both charge the same.
        "tiers": [
            [
                tier.up_to,
                _amount_text(tier.unit_amount, tier.unit_amount_decimal) or "0",
                tier.flat_amount or 0,
            ]
            for tier in price.tiers
        ],
        "block_size": price.block_size if price.block_size != 1 else None,
    }
    if meter is not None:
        money["meter"] = meter
    return hashlib.sha256(json.dumps(money, sort_keys=True).encode()).hexdigest()[:16]


def _amount_text(amount: int | None, amount_decimal: Decimal | None) -> str | None:
    if amount is not None:
        return str(amount)
    return None if amount_decimal is None else canonical_decimal(amount_decimal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How often is charged, and in which currency."""

    billing_period: BillingPeriod
    interval_count: int
    currency: str


def terms_of(price: Price) -> Terms | None:
    """The terms on which a recurring price is charged; None for one that is charged once."""
    if price.billing_period is None:
        return None
    return Terms(
        billing_period=price.billing_period,
        interval_count=price.interval_count,
        currency=price.currency,
    )


def charge_of(price: Price) -> tuple[PriceModel, FeatureId | None]:
    """What is charged for, whatever the period, currency and country."""
    return (price.model, price.feature_id)


def prices_on(
    prices: Sequence[Price], terms: Terms, country: str | None = None
) -> tuple[Price, ...] | None:
    """What is charged on these terms in this country, once or again and again; None if it is not sold on them.

    A country's own price takes the place of the general one for the same charge.
    """
    found: dict[tuple[bool, PriceModel, FeatureId | None], Price] = {}
    for price in prices:
        is_once = price.billing_period is None
        if price.currency != terms.currency or not (is_once or terms_of(price) == terms):
            continue
        if price.country not in (None, country):
            continue
        key = (is_once, *charge_of(price))
        if price.country is not None or key not in found:
            found[key] = price
    for is_once in (True, False):
        offered = any((price.billing_period is None) is is_once for price in prices)
        if offered and not any(key[0] is is_once for key in found):
            return None
    chosen = list(found.values())
    return tuple(price for price in prices if price in chosen)
