"""A catalog that others made at a billing provider, as far as it can be read there."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from chalicelib.domain.coupons import AmountOff
from chalicelib.domain.prices import Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignMoney:
    """What a price comes to in one currency. `oddity` is why no price of ours can say it, as a stable code."""

    amount: int | None = None
    amount_decimal: Decimal | None = None
    tiers: tuple[Tier, ...] = ()
    oddity: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignPrice:
    """One price. `money` is by currency, its main one first; `interval` is None for what is charged once.

    `block_size` units are sold at once, and a block that is begun is paid if it `rounds_up`.
    """

    billing_id: str
    active: bool = True
    is_managed: bool = False
    money: Mapping[str, ForeignMoney]
    interval: str | None = None
    interval_count: int = 1
    is_metered: bool = False
    meter_id: str | None = None
    tiers_mode: str | None = None
    block_size: int | None = None
    rounds_up: bool = True
    trial_days: int | None = None
    has_tax_behavior: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignProduct:
    """A product with its prices, the one that is shown first at the beginning."""

    billing_id: str
    name: str
    description: str | None = None
    active: bool = True
    is_managed: bool = False
    unit_label: str | None = None
    has_metadata: bool = False
    prices: tuple[ForeignPrice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignMeter:
    """What adds usage up: by sum, count or last."""

    billing_id: str
    event_name: str
    display_name: str
    formula: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignCode:
    """A promotion code; `is_restricted` to some customers or orders."""

    billing_id: str
    code: str
    is_restricted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignCoupon:
    """A coupon with the codes that can be used. `is_limited`: to a time or a number of uses."""

    billing_id: str
    name: str | None = None
    is_valid: bool = True
    is_managed: bool = False
    percent_off: Decimal | None = None
    amounts_off: tuple[AmountOff, ...] = ()
    duration: str = "once"
    duration_months: int | None = None
    is_limited: bool = False
    is_for_some_products: bool = False
    codes: tuple[ForeignCode, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignCatalog:
    """All that the provider's account sells."""

    products: tuple[ForeignProduct, ...] = ()
    meters: tuple[ForeignMeter, ...] = ()
    coupons: tuple[ForeignCoupon, ...] = ()
