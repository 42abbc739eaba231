"""Prices over HTTP: whole minor units as numbers, fractions of one as decimal text."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from chalicelib.api.billing_links import BillingLinkOut, links_from_domain
from chalicelib.api.wire import ChosenId, Count, Wire
from chalicelib.domain.ids import FeatureId
from chalicelib.domain.money import canonical_decimal
from chalicelib.domain.prices import (
    BillingPeriod,
    Price,
    PriceModel,
    Tier,
    TiersMode,
    default_price_id,
)
from chalicelib.services.view_packages import PackageView

DecimalText = Annotated[
    str,
    Field(
        pattern=r"^(0|[1-9][0-9]{0,7})(\.[0-9]{1,12})?$",
        description="Minor units, with a fraction.",
    ),
]


class TierModel(Wire):
    """Units up to and including `up_to`; null: without end."""

    up_to: Annotated[Count, Field(ge=1)] | None = None
    unit_amount: Count | None = None
    unit_amount_decimal: DecimalText | None = None
    flat_amount: Count | None = None


class PriceFields(Wire):
    """One way to pay. `amount` is in minor units of `currency`; either it or `amount_decimal`."""

    model: PriceModel
    billing_period: BillingPeriod | None = None
    interval_count: Annotated[Count, Field(ge=1, le=1095)] = 1
    currency: Annotated[str, Field(pattern=r"^[a-z]{3}$")]
    amount: Count | None = None
    amount_decimal: DecimalText | None = None
    tiers_mode: TiersMode | None = None
    tiers: Annotated[tuple[TierModel, ...], Field(max_length=100)] = ()
    block_size: Annotated[Count, Field(ge=1)] | None = None
    feature_id: ChosenId | None = None
    min_quantity: Count | None = None
    max_quantity: Count | None = None
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None


class PriceIn(PriceFields):
    """A price of a draft. Without an id it gets one that says what it charges for."""

    id: ChosenId | None = None

    def to_domain(self) -> Price:
        """The same price inside."""
        return Price(
            id=self.id or default_price_id(self.model_dump(mode="json")),
            model=self.model,
            currency=self.currency,
            billing_period=self.billing_period,
            interval_count=self.interval_count,
            amount=self.amount,
            amount_decimal=_decimal(self.amount_decimal),
            tiers_mode=self.tiers_mode,
            tiers=tuple(
                Tier(
                    up_to=tier.up_to,
                    unit_amount=tier.unit_amount,
                    unit_amount_decimal=_decimal(tier.unit_amount_decimal),
                    flat_amount=tier.flat_amount,
                )
                for tier in self.tiers
            ),
            block_size=self.block_size,
            feature_id=FeatureId(self.feature_id) if self.feature_id else None,
            min_quantity=self.min_quantity,
            max_quantity=self.max_quantity,
            country=self.country,
        )


class ShownPrice(PriceFields):
    """A price as customers may see it."""

    id: str

    @classmethod
    def from_domain(cls, price: Price) -> "ShownPrice":
        """The price as it is shown to anybody."""
        return cls(**_shown(price))


class PriceOut(ShownPrice):
    """A price, and where billing providers have it."""

    billing: tuple[BillingLinkOut, ...]


def price_from_domain(price: Price, view: PackageView) -> PriceOut:
    """The price as it is shown in this view of its package."""
    return PriceOut(**_shown(price), billing=links_from_domain(view.price_billing(price)))


def _shown(price: Price) -> dict[str, Any]:
    return {
        "id": price.id,
        "model": price.model,
        "billing_period": price.billing_period,
        "interval_count": price.interval_count,
        "currency": price.currency,
        "amount": price.amount,
        "amount_decimal": _text(price.amount_decimal),
        "tiers_mode": price.tiers_mode,
        "tiers": tuple(
            TierModel(
                up_to=tier.up_to,
                unit_amount=tier.unit_amount,
                unit_amount_decimal=_text(tier.unit_amount_decimal),
                flat_amount=tier.flat_amount,
            )
            for tier in price.tiers
        ),
        "block_size": price.block_size,
        "feature_id": price.feature_id,
        "min_quantity": price.min_quantity,
        "max_quantity": price.max_quantity,
        "country": price.country,
    }


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else canonical_decimal(value)
