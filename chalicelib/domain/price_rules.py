"""What makes prices sellable: each by itself, and all of a package together."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from chalicelib.domain.countries import COUNTRIES
from chalicelib.domain.errors import Violation
from chalicelib.domain.features import Feature, FeatureType, Lifecycle
from chalicelib.domain.ids import FeatureId
from chalicelib.domain.meters import formula_of
from chalicelib.domain.money import CURRENCIES, MAX_AMOUNT_MINOR, MAX_DECIMAL_PLACES
from chalicelib.domain.price_sets import set_violations
from chalicelib.domain.prices import BillingPeriod, Price, PriceModel
from chalicelib.domain.tier_rules import tier_refusals

_COUNTED: Final = frozenset({PriceModel.PER_UNIT, PriceModel.USAGE_BASED})
_LONGEST: Final = {
    BillingPeriod.DAY: 1095,
    BillingPeriod.WEEK: 156,
    BillingPeriod.MONTH: 36,
    BillingPeriod.YEAR: 3,
}
_Refusal = tuple[str, str, str]
"""The field, a stable code, and what is wrong with it."""


def price_violations(
    prices: Sequence[Price], features: Mapping[FeatureId, Feature]
) -> tuple[Violation, ...]:
    """Every contradiction inside the prices of one package; empty when they can be sold."""
    found: list[Violation] = []
    for index, price in enumerate(prices):
        found += _violations_of(price, f"prices[{index}]", features)
    return (*found, *set_violations(prices))


def _violations_of(
    price: Price, at: str, features: Mapping[FeatureId, Feature]
) -> Iterable[Violation]:
    refusals = [
        *_period_refusals(price),
        *_amount_refusals(price),
        *_block_refusals(price),
        *_feature_refusals(price, features),
        *_quantity_refusals(price),
        *_country_refusals(price),
    ]
    for field, code, detail in refusals:
        yield Violation(param=f"{at}.{field}", code=code, detail=detail)


def _period_refusals(price: Price) -> Iterable[_Refusal]:
    if price.model is PriceModel.ONE_OFF:
        if price.billing_period is not None or price.interval_count != 1:
            detail = "A one-off price is charged once: it has no billing period."
            yield "billing_period", "not_allowed", detail
    elif price.billing_period is None:
        yield "billing_period", "required", "A recurring price has a billing period."
    elif not 1 <= price.interval_count <= _LONGEST[price.billing_period]:
        detail = "A billing interval is at least one period and at most three years."
        yield "interval_count", "out_of_range", detail


def _amount_refusals(price: Price) -> Iterable[_Refusal]:
    if price.currency not in CURRENCIES:
        detail = f"{price.currency!r} is no supported currency (lower-case ISO 4217)."
        yield "currency", "unknown_currency", detail
    if price.tiers or price.tiers_mode is not None:
        yield from _tiered_refusals(price)
        return
    if (price.amount is None) == (price.amount_decimal is None):
        yield "amount", "required", "A price has either amount or amount_decimal."
    yield from _size_refusals("amount", price.amount, price.amount_decimal)


def _tiered_refusals(price: Price) -> Iterable[_Refusal]:
    if price.model not in _COUNTED:
        yield "tiers", "not_allowed", f"A {price.model} price counts nothing, so it has no tiers."
    if price.tiers_mode is None:
        yield "tiers_mode", "required", "Tiers are volume or graduated."
    if not price.tiers:
        yield "tiers", "required", "tiers_mode needs tiers."
    if price.amount is not None or price.amount_decimal is not None:
        yield "amount", "not_allowed", "A tiered price has its amounts in its tiers."
    yield from tier_refusals(price.tiers)


def _size_refusals(
    field: str, amount: int | None, amount_decimal: Decimal | None
) -> Iterable[_Refusal]:
    """What is wrong with the size or the precision of an amount, if it is there."""
    value = amount if amount is not None else amount_decimal
    if value is not None and not 0 <= value <= MAX_AMOUNT_MINOR:
        detail = f"An amount is between 0 and {MAX_AMOUNT_MINOR} minor units."
        yield field, "out_of_range", detail
    elif amount_decimal is not None and amount_decimal != round(amount_decimal, MAX_DECIMAL_PLACES):
        detail = f"An amount has at most {MAX_DECIMAL_PLACES} decimal places."
        yield f"{field}_decimal", "out_of_range", detail


def _block_refusals(price: Price) -> Iterable[_Refusal]:
    if price.block_size is None:
        return
    if price.model not in _COUNTED:
        detail = f"A {price.model} price counts nothing, so it has no blocks."
        yield "block_size", "not_allowed", detail
    elif price.tiers:
        yield "block_size", "not_allowed", "A tiered price is not sold in blocks."
    if price.block_size < 1:
        yield "block_size", "out_of_range", "A block holds at least one unit."


def _quantity_refusals(price: Price) -> Iterable[_Refusal]:
    least, most = price.min_quantity or 0, price.max_quantity
    has_range = price.min_quantity is not None or most is not None
    if has_range and price.model is not PriceModel.PER_UNIT:
        yield "min_quantity", "not_allowed", "Only per-unit prices have a quantity range."
    if least < 0 or (most is not None and most < max(1, least)):
        detail = "max_quantity is at least 1 and at least min_quantity."
        yield "max_quantity", "out_of_range", detail


def _country_refusals(price: Price) -> Iterable[_Refusal]:
    if price.country is not None and price.country not in COUNTRIES:
        detail = f"{price.country!r} is no country (ISO 3166-1 alpha-2)."
        yield "country", "unknown_country", detail


def _feature_refusals(price: Price, features: Mapping[FeatureId, Feature]) -> Iterable[_Refusal]:
    if price.model not in _COUNTED:
        if price.feature_id is not None:
            yield "feature_id", "not_allowed", f"A {price.model} price names no feature."
    elif price.feature_id is None:
        yield "feature_id", "required", f"A {price.model} price names the feature it counts."
    elif (feature := features.get(price.feature_id)) is None:
        yield "feature_id", "unknown_feature", f"No feature has the id {price.feature_id!r}."
    elif feature.status is Lifecycle.ARCHIVED:
        yield "feature_id", "archived", f"The feature {feature.id!r} is archived."
    elif price.model is PriceModel.USAGE_BASED:
        yield from _usage_refusals(feature)
    elif feature.type not in (FeatureType.METERED, FeatureType.NUMERIC):
        detail = f"A {feature.type} feature can't be counted."
        yield "feature_id", "feature_type_mismatch", detail


def _usage_refusals(feature: Feature) -> Iterable[_Refusal]:
    if feature.type is not FeatureType.METERED:
        detail = f"Usage of a {feature.type} feature is not metered, so it can't be charged."
        yield "feature_id", "feature_type_mismatch", detail
    elif formula_of(feature) is None and feature.meter is not None:
        detail = (
            f"No billing provider computes {feature.meter.aggregation} of usage; "
            "what is charged by usage is a sum, a count or the latest value."
        )
        yield "feature_id", "unsupported_aggregation", detail
