"""What an order or a change would cost and give, before it is made. Pure.

Where a provider reckons, its figures are taken; else these are ours, without tax and without what settles a running
period. Amounts are in minor units; usage that nobody knows yet counts as nothing used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from chalicelib.domain.billing import InvoicePreview, PreviewLine
from chalicelib.domain.billing_periods import period_end
from chalicelib.domain.coupons import Coupon, CouponDuration
from chalicelib.domain.decisions import Decision, Used
from chalicelib.domain.impacts import Effect, effects_between, state_of
from chalicelib.domain.orders import OrderLine
from chalicelib.domain.price_amounts import price_amount
from chalicelib.domain.snapshot_documents import SnapshotDocument
from chalicelib.domain.subscription_changes import Way

_GAINED = (Effect.GAINED, Effect.RAISED)
_LOST = (Effect.LOST, Effect.LOWERED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceededLimit:
    """More is used today than would be allowed."""

    feature_id: str
    current_usage: int
    usage_limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """What the customer would have more and less of, by feature; `changed` is neither."""

    gained: tuple[tuple[str, Effect], ...]
    lost: tuple[tuple[str, Effect], ...]
    changed: tuple[str, ...]
    exceeded: tuple[ExceededLimit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """`now` is invoiced at once (None: nothing is), `following` is the next regular invoice (None: there is none).

    `is_estimate`: these are our figures, and a provider's may add tax and settle a running period.
    """

    way: Way
    effective_at: datetime
    currency: str | None
    now: InvoicePreview | None
    following: InvoicePreview | None
    is_estimate: bool
    is_downgrade: bool
    differences: Differences

    @property
    def lines(self) -> tuple[PreviewLine, ...]:
        """Those of the first invoice that is made."""
        first = self.now if self.now is not None else self.following
        return first.lines if first is not None else ()

    @property
    def proration(self) -> int:
        """What settles the running period, whenever that is invoiced."""
        invoices = [one for one in (self.now, self.following) if one is not None]
        return sum(line.amount for one in invoices for line in one.lines if line.is_proration)


def differences(
    before: SnapshotDocument,
    after: SnapshotDocument,
    usage: Mapping[str, Used],
    now_ms: int,
    resource_id: str | None = None,
) -> Differences:
    """What differs for the customer, or for its resource, at this instant, with what is used now."""
    effects = effects_between(before, after, usage, now_ms, resource_id)

    def those(kinds: Sequence[Effect]) -> tuple[tuple[str, Effect], ...]:
        return tuple((key, one) for key, found in effects.items() for one in kinds if one in found)

    over = (
        (key, state_of(after, usage, key, now_ms, resource_id))
        for key, found in effects.items()
        if Effect.OVER_LIMIT in found
    )
    return Differences(
        gained=those(_GAINED),
        lost=those(_LOST),
        changed=tuple(key for key, found in effects.items() if Effect.CHANGED in found),
        exceeded=tuple(_exceeded(key, decision) for key, decision in over),
    )


def _exceeded(feature_id: str, decision: Decision) -> ExceededLimit:
    return ExceededLimit(
        feature_id=feature_id,
        current_usage=decision.current_usage or 0,
        usage_limit=decision.usage_limit or 0,
    )


def is_downgrade(
    way: Way, monthly_before: Fraction, monthly_after: Fraction, found: Differences
) -> bool:
    """Whether the customer pays less a month afterwards, or as much and only has less."""
    if way is Way.GIVE_UP or monthly_after != monthly_before:
        return way is Way.GIVE_UP or monthly_after < monthly_before
    return bool(found.lost) and not found.gained


def our_invoice(
    lines: Sequence[OrderLine], at: datetime, currency: str, coupon: Coupon | None = None
) -> InvoicePreview:
    """The invoice that these lines make at that instant, less the coupon; without tax."""
    made = tuple(_our_line(line, at) for line in lines)
    subtotal = sum(line.amount for line in made)
    discount = _discount(coupon, subtotal, currency)
    return InvoicePreview(
        at=at,
        currency=currency,
        lines=made,
        subtotal=subtotal,
        discount=discount,
        tax=0,
        total=subtotal - discount,
        due=max(0, subtotal - discount),
    )


def counts_again(coupon: Coupon | None) -> Coupon | None:
    """The coupon as the second invoice has it."""
    if coupon is None or coupon.duration is CouponDuration.ONCE:
        return None
    if coupon.duration is CouponDuration.REPEATING and (coupon.duration_months or 0) <= 1:
        return None
    return coupon


def _our_line(line: OrderLine, at: datetime) -> PreviewLine:
    quantity = line.quantity
    amount = price_amount(line.price, quantity or 0)
    period = line.price.billing_period
    return PreviewLine(
        description=f"{line.package_id}: {line.price.id}",
        amount=_whole(amount),
        quantity=quantity,
        price_billing_id=None,
        is_proration=False,
        period_start=at,
        period_end=period_end(at, period, line.price.interval_count) if period else at,
    )


def _discount(coupon: Coupon | None, subtotal: int, currency: str) -> int:
    if coupon is None:
        return 0
    if coupon.percent_off is not None:
        return _whole(Decimal(subtotal) * coupon.percent_off / 100)
    off = next((one.amount for one in coupon.amounts_off if one.currency == currency), 0)
    return min(subtotal, off)


def _whole(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))
