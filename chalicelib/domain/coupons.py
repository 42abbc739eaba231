"""Coupons: what is taken off an invoice, how often, and how providers must hold it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, NewType

from chalicelib.domain.errors import Violation
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import derived_id
from chalicelib.domain.money import CURRENCIES, MAX_AMOUNT_MINOR

CouponId = NewType("CouponId", str)
# How the id at a provider begins of every coupon of ours.
COUPON_KEY_PREFIX: Final = "pgc_"
# Stripe's bound of a coupon's name.
_NAME_LENGTH: Final = 40


class CouponDuration(StrEnum):
    """On how many invoices it counts: the first, those of some months, or all."""

    ONCE = "once"
    REPEATING = "repeating"
    FOREVER = "forever"


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountOff:
    """Minor units that are taken off an invoice in this currency."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupon:
    """A discount. Its money never changes; `incarnation` counts how often it was brought back from the archive."""

    id: CouponId
    name: str
    percent_off: Decimal | None = None
    amounts_off: tuple[AmountOff, ...] = ()
    duration: CouponDuration = CouponDuration.ONCE
    duration_months: int | None = None
    promotion_code: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    status: Lifecycle = Lifecycle.ACTIVE
    incarnation: int = 1
    version: int = 1
    created_at: datetime

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one coupon from another."""
        return (self.id,)

    def counts_in(self, currency: str | None) -> bool:
        """Whether it takes anything off in this currency."""
        return self.percent_off is not None or any(
            one.currency == currency for one in self.amounts_off
        )


def coupon_violations(coupon: Coupon) -> tuple[Violation, ...]:
    """Every contradiction inside the coupon; empty when it can be given."""
    return tuple(
        Violation(param=param, code=code, detail=detail)
        for param, code, detail in _refusals(coupon)
    )


def _refusals(coupon: Coupon) -> Iterable[tuple[str, str, str]]:
    percent = coupon.percent_off
    if (percent is None) == (not coupon.amounts_off):
        yield "percent_off", "required", "A coupon has either percent_off or amounts_off."
    if percent is not None and not 0 < percent <= 100:  # noqa: PLR2004 -- per cent
        yield "percent_off", "out_of_range", "percent_off is above 0 and at most 100."
    elif percent is not None and percent != round(percent, 2):
        yield "percent_off", "out_of_range", "percent_off has at most two places."
    seen: set[str] = set()
    for index, off in enumerate(coupon.amounts_off):
        at = f"amounts_off[{index}]"
        if off.currency not in CURRENCIES:
            detail = f"{off.currency!r} is no supported currency (lower-case ISO 4217)."
            yield f"{at}.currency", "unknown_currency", detail
        if off.currency in seen:
            yield f"{at}.currency", "duplicate", f"{off.currency!r} is there already."
        seen.add(off.currency)
        if not 1 <= off.amount <= MAX_AMOUNT_MINOR:
            detail = f"An amount is between 1 and {MAX_AMOUNT_MINOR} minor units."
            yield f"{at}.amount", "out_of_range", detail
    if (coupon.duration is CouponDuration.REPEATING) != (coupon.duration_months is not None):
        detail = "duration_months says how long a repeating coupon counts, and belongs to no other."
        yield "duration_months", "required", detail


# --- At a provider ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorCoupon:
    """How the coupon must look at the provider, under its own id there."""

    key: str
    name: str
    coupon: Coupon
    metadata: Mapping[str, str]
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCode:
    """A promotion code that leads to the coupon."""

    billing_id: str
    code: str
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponTerms:
    """What no provider lets be changed once the coupon is there."""

    percent_off: Decimal | None
    amounts_off: Mapping[str, int]
    duration: str
    duration_months: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCoupon:
    """The coupon as the provider holds it, and its codes. `terms` None: the provider does not tell them."""

    billing_id: str
    name: str | None
    metadata: Mapping[str, str]
    codes: tuple[ObservedCode, ...]
    terms: CouponTerms | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCoupon:
    """Have the coupon under its own id."""

    mirror: MirrorCoupon


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateCoupon:
    """Set its name and metadata."""

    mirror: MirrorCoupon


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteCoupon:
    """Give it to nobody any more; who has it keeps it."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCode:
    """Have an active promotion code that leads to the coupon."""

    key: str
    code: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchCode:
    """Let the promotion code be used, or not."""

    billing_id: str
    active: bool


CouponStep = CreateCoupon | UpdateCoupon | DeleteCoupon | CreateCode | SwitchCode


def mirror_coupon(coupon: Coupon, metadata: Mapping[str, str], environment: str) -> MirrorCoupon:
    """How the coupon must look at any provider. One that comes back from the archive gets a new id there."""
    return MirrorCoupon(
        key=derived_id(COUPON_KEY_PREFIX, environment, coupon.id, str(coupon.incarnation)),
        name=coupon.name[:_NAME_LENGTH],
        coupon=coupon,
        metadata=metadata,
        active=coupon.status is Lifecycle.ACTIVE,
    )


def terms_of(coupon: Coupon) -> CouponTerms:
    """What the coupon takes off, and for how long."""
    return CouponTerms(
        percent_off=coupon.percent_off,
        amounts_off={one.currency: one.amount for one in coupon.amounts_off},
        duration=coupon.duration.value,
        duration_months=coupon.duration_months,
    )


def coupon_steps(desired: MirrorCoupon, observed: ObservedCoupon | None) -> tuple[CouponStep, ...]:
    """What turns the observed coupon into the desired one, in an order that is safe to stop after any step."""
    codes = observed.codes if observed is not None else ()
    if not desired.active:
        if observed is None:
            return ()
        off = tuple(SwitchCode(billing_id=c.billing_id, active=False) for c in codes if c.active)
        return (*off, DeleteCoupon(key=desired.key))
    steps: list[CouponStep] = []
    if observed is None:
        steps.append(CreateCoupon(mirror=desired))
    elif observed.name != desired.name or any(
        observed.metadata.get(key) != value for key, value in desired.metadata.items()
    ):
        steps.append(UpdateCoupon(mirror=desired))
    wanted = desired.coupon.promotion_code
    if wanted is not None:
        # Codes that were switched off may have the same text; the active one is the one that counts.
        ranked = sorted(codes, key=lambda code: not code.active)
        held = next((code for code in ranked if code.code.lower() == wanted.lower()), None)
        if held is None:
            steps.append(CreateCode(key=desired.key, code=wanted, metadata=desired.metadata))
        elif not held.active:
            steps.append(SwitchCode(billing_id=held.billing_id, active=True))
    return tuple(steps)
