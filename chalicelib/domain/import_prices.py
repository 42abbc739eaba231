"""One foreign price as prices of ours: one in each currency, or a reason why there is none."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from chalicelib.domain.features import Feature
from chalicelib.domain.foreign_catalog import (
    ForeignMeter,
    ForeignMoney,
    ForeignPrice,
    ForeignProduct,
)
from chalicelib.domain.ids import FeatureId
from chalicelib.domain.import_features import ImportedFeatures
from chalicelib.domain.import_report import Report
from chalicelib.domain.plain import plain
from chalicelib.domain.price_rules import price_violations
from chalicelib.domain.prices import (
    BillingPeriod,
    Price,
    PriceModel,
    TiersMode,
    default_price_id,
)

_MOST_TIERS: Final = 100
_ODDITIES: Final[Mapping[str, str]] = {
    "custom_unit_amount": "The customer chooses the amount.",
    "fractional_flat_amount": "A tier's flat amount is a fraction of a minor unit.",
    "tiers_not_shown": "The provider does not show the tiers of this currency.",
    "nothing_to_charge": "It has no amount.",
}


def imported_prices(
    price: ForeignPrice,
    product: ForeignProduct,
    meters: Mapping[str, ForeignMeter],
    features: ImportedFeatures,
    report: Report,
) -> dict[str, Price]:
    """Our prices by currency; what can't be said, and why, is in the report."""
    refused = next(_refusals(price, meters), None)
    if refused is not None:
        report.skipped(price.billing_id, *refused)
        return {}
    model = _model(price, product)
    feature = _feature(price, model, product, meters, features)
    found: dict[str, Price] = {}
    for currency, money in price.money.items():
        made = _checked(price, currency, money, model, feature, report)
        if made is not None:
            found[currency] = made
    if found:
        _remark(price, meters, report)
    return found


def _refusals(price: ForeignPrice, meters: Mapping[str, ForeignMeter]) -> Iterator[tuple[str, str]]:
    if price.is_managed:
        yield "managed", "It is a price of Paygrade's already."
    if not price.active:
        yield "archived", "It is not sold any more."
    if price.interval is not None and price.interval not in set(BillingPeriod):
        yield "unknown_interval", f"Its interval is {price.interval!r}."
    if price.tiers_mode is not None and price.tiers_mode not in set(TiersMode):
        yield "unknown_tiers_mode", f"Its tiers are {price.tiers_mode!r}."
    if price.tiers_mode is not None and price.block_size not in (None, 1):
        yield "tiers_in_blocks", "Tiers are not sold in blocks here."
    if price.is_metered and price.meter_id is None:
        yield "legacy_usage", "Its usage is recorded the old way, without a meter."
    elif price.is_metered and price.meter_id not in meters:
        yield "unknown_meter", f"The provider lists no meter {price.meter_id!r}."
    if not price.rounds_up:
        yield "rounds_down", "A block that is begun is not paid; here it is."


def _model(price: ForeignPrice, product: ForeignProduct) -> PriceModel:
    if price.interval is None:
        return PriceModel.ONE_OFF
    if price.is_metered:
        return PriceModel.USAGE_BASED
    counts = price.tiers_mode is not None or price.block_size not in (None, 1)
    return PriceModel.PER_UNIT if counts or product.unit_label else PriceModel.FLAT_FEE


def _feature(
    price: ForeignPrice,
    model: PriceModel,
    product: ForeignProduct,
    meters: Mapping[str, ForeignMeter],
    features: ImportedFeatures,
) -> Feature | None:
    if model is PriceModel.USAGE_BASED and price.meter_id is not None:
        return features.of_meter(meters[price.meter_id])
    return features.of_units(product) if model is PriceModel.PER_UNIT else None


def _checked(
    price: ForeignPrice,
    currency: str,
    money: ForeignMoney,
    model: PriceModel,
    feature: Feature | None,
    report: Report,
) -> Price | None:
    if money.oddity is not None:
        report.skipped(price.billing_id, money.oddity, f"{_ODDITIES[money.oddity]} ({currency})")
        return None
    if len(money.tiers) > _MOST_TIERS:
        report.skipped(price.billing_id, "too_many_tiers", f"At most {_MOST_TIERS} ({currency}).")
        return None
    nameless = Price(
        id="",
        model=model,
        currency=currency,
        billing_period=None if price.interval is None else BillingPeriod(price.interval),
        interval_count=price.interval_count if price.interval is not None else 1,
        amount=money.amount,
        amount_decimal=money.amount_decimal,
        tiers_mode=None if price.tiers_mode is None else TiersMode(price.tiers_mode),
        tiers=money.tiers,
        block_size=None if price.block_size == 1 else price.block_size,
        feature_id=None if feature is None else feature.id,
    )
    words: Any = plain(nameless)
    made = replace(nameless, id=default_price_id(words))
    known: dict[FeatureId, Feature] = {} if feature is None else {feature.id: feature}
    for fault in price_violations([made], known):
        field = fault.param.partition(".")[2]
        report.skipped(price.billing_id, fault.code, f"{field} ({currency}): {fault.detail}")
        return None
    return made


def _remark(price: ForeignPrice, meters: Mapping[str, ForeignMeter], report: Report) -> None:
    if price.trial_days is not None:
        detail = f"Its trial of {price.trial_days} days is not taken over: trials belong to plans."
        report.changed(price.billing_id, "trial", detail)
    if price.has_tax_behavior:
        detail = "Whether tax is included is not taken over."
        report.changed(price.billing_id, "tax_behavior", detail)
    if price.is_metered and price.meter_id is not None:
        detail = f"Report {meters[price.meter_id].event_name!r} here: a new meter will charge it."
        report.note(price.meter_id, "new_meter", detail)
