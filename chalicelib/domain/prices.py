"""Prices: what one billing period of a plan or add-on costs, and which of it can never change in place."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from chalicelib.domain.errors import Violation
from chalicelib.domain.features import Feature, FeatureType
from chalicelib.domain.ids import FeatureId, derived_id, is_chosen_id
from chalicelib.domain.money import CURRENCIES, MAX_AMOUNT_MINOR, canonical_decimal


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
    money = {
        "currency": price.currency,
        "usage": price.model is PriceModel.USAGE_BASED,
        "interval": [price.billing_period, price.interval_count] if price.billing_period else None,
        "amount": _amount_text(price.amount, price.amount_decimal),
        "tiers_mode": price.tiers_mode,
        "tiers": [
            [tier.up_to, _amount_text(tier.unit_amount, tier.unit_amount_decimal), tier.flat_amount]
            for tier in price.tiers
        ],
        "block_size": price.block_size if price.block_size != 1 else None,
    }
    return hashlib.sha256(json.dumps(money, sort_keys=True).encode()).hexdigest()[:16]


def _amount_text(amount: int | None, amount_decimal: Decimal | None) -> str | None:
    if amount is not None:
        return str(amount)
    return None if amount_decimal is None else canonical_decimal(amount_decimal)


def price_violations(
    prices: Sequence[Price], features: Mapping[FeatureId, Feature]
) -> tuple[Violation, ...]:
    """Every contradiction inside the prices of one package; empty when they can be sold."""
    found: list[Violation] = []
    seen_ids: dict[str, int] = {}
    seen_slots: dict[tuple[object, ...], int] = {}
    for index, price in enumerate(prices):
        at = f"prices[{index}]"
        found += _violations_of(price, at, features)
        if price.id in seen_ids:
            found.append(
                Violation(
                    param=f"{at}.id",
                    code="duplicate",
                    detail=f"prices[{seen_ids[price.id]}] has the id {price.id!r} already.",
                )
            )
        seen_ids.setdefault(price.id, index)
        slot = (
            price.model,
            price.feature_id,
            price.billing_period,
            price.interval_count,
            price.currency,
            price.country,
        )
        if slot in seen_slots:
            found.append(
                Violation(
                    param=at,
                    code="duplicate",
                    detail=f"prices[{seen_slots[slot]}] charges the same thing for the same period and currency.",
                )
            )
        seen_slots.setdefault(slot, index)
    return tuple(found)


_LONGEST: Final = {
    BillingPeriod.DAY: 1095,
    BillingPeriod.WEEK: 156,
    BillingPeriod.MONTH: 36,
    BillingPeriod.YEAR: 3,
}
_Refusal = tuple[str, str, str]
"""The field, a stable code, and what is wrong with it."""


def _violations_of(
    price: Price, at: str, features: Mapping[FeatureId, Feature]
) -> Iterable[Violation]:
    refusals = [
        *_unsupported(price),
        *_period_refusals(price),
        *_amount_refusals(price),
        *_feature_refusals(price, features),
        *_quantity_refusals(price),
    ]
    for field, code, detail in refusals:
        yield Violation(param=f"{at}.{field}", code=code, detail=detail)


def _unsupported(price: Price) -> Iterable[_Refusal]:
    if price.model not in (PriceModel.FLAT_FEE, PriceModel.PER_UNIT):
        detail = f"Prices of the model {price.model} can't be published yet."
        yield "model", "unsupported", detail
    if price.tiers or price.tiers_mode is not None or price.block_size is not None:
        yield "tiers", "unsupported", "Tiered and block prices can't be published yet."
    if price.country is not None:
        yield "country", "unsupported", "Country prices can't be published yet."


def _period_refusals(price: Price) -> Iterable[_Refusal]:
    if price.billing_period is None:
        if price.model is not PriceModel.ONE_OFF:
            yield "billing_period", "required", "A recurring price has a billing period."
    elif not 1 <= price.interval_count <= _LONGEST[price.billing_period]:
        detail = "A billing interval is at least one period and at most three years."
        yield "interval_count", "out_of_range", detail


def _amount_refusals(price: Price) -> Iterable[_Refusal]:
    if price.currency not in CURRENCIES:
        detail = f"{price.currency!r} is no supported currency (lower-case ISO 4217)."
        yield "currency", "unknown_currency", detail
    if not price.tiers and (price.amount is None) == (price.amount_decimal is None):
        yield "amount", "required", "A price has either amount or amount_decimal."
    amount = price.amount if price.amount is not None else price.amount_decimal
    if amount is not None and not 0 <= amount <= MAX_AMOUNT_MINOR:
        detail = f"An amount is between 0 and {MAX_AMOUNT_MINOR} minor units."
        yield "amount", "out_of_range", detail


def _quantity_refusals(price: Price) -> Iterable[_Refusal]:
    least, most = price.min_quantity or 0, price.max_quantity
    has_range = price.min_quantity is not None or most is not None
    if has_range and price.model is not PriceModel.PER_UNIT:
        yield "min_quantity", "not_allowed", "Only per-unit prices have a quantity range."
    if least < 0 or (most is not None and most < max(1, least)):
        detail = "max_quantity is at least 1 and at least min_quantity."
        yield "max_quantity", "out_of_range", detail


def _feature_refusals(price: Price, features: Mapping[FeatureId, Feature]) -> Iterable[_Refusal]:
    if price.model not in (PriceModel.PER_UNIT, PriceModel.USAGE_BASED):
        if price.feature_id is not None:
            yield "feature_id", "not_allowed", f"A {price.model} price names no feature."
    elif price.feature_id is None:
        yield "feature_id", "required", f"A {price.model} price names the feature it counts."
    elif (feature := features.get(price.feature_id)) is None:
        yield "feature_id", "unknown_feature", f"No feature has the id {price.feature_id!r}."
    elif feature.type not in (FeatureType.METERED, FeatureType.NUMERIC):
        detail = f"A {feature.type} feature can't be counted."
        yield "feature_id", "feature_type_mismatch", detail
