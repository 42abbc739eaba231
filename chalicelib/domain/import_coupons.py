"""Foreign coupons as coupons of ours."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final

from chalicelib.domain.coupons import Coupon, CouponDuration, CouponId, coupon_violations
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.foreign_catalog import ForeignCoupon
from chalicelib.domain.import_report import IMPORTED_FROM, Report, Slugs, name_of

_CODE: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_LONGEST_MONTHS: Final = 120
_MOST_CURRENCIES: Final = 50


def imported_coupons(
    coupons: Iterable[ForeignCoupon], held: Iterable[Coupon], now: datetime, report: Report
) -> Iterator[Coupon]:
    """The coupons that can be given here; what can't be said, and why, is in the report."""
    held = tuple(held)
    slugs = Slugs(one.id for one in held)
    known = {one.metadata.get(IMPORTED_FROM) for one in held}
    active = (one for one in held if one.status is Lifecycle.ACTIVE)
    codes = {one.promotion_code.lower() for one in active if one.promotion_code is not None}
    for coupon in coupons:
        refused = next(_refusals(coupon, known), None)
        if refused is not None:
            report.skipped(coupon.billing_id, *refused)
            continue
        made = _made(coupon, slugs, now)
        faults = coupon_violations(made)
        if faults:
            report.skipped(coupon.billing_id, faults[0].code, faults[0].detail)
            continue
        if coupon.is_limited:
            detail = "It can be used without its limit of time or number: there is none here."
            report.changed(coupon.billing_id, "redemption_limit", detail)
        yield _with_code(made, coupon, codes, report)


def _refusals(coupon: ForeignCoupon, known: set[str | None]) -> Iterator[tuple[str, str]]:
    if coupon.is_managed:
        yield "managed", "It is a coupon of Paygrade's already."
    if coupon.billing_id in known:
        yield "already_imported", "An earlier import has brought it."
    if not coupon.is_valid:
        yield "expired", "It can't be used any more."
    if coupon.is_for_some_products:
        yield "applies_to", "It is for some products only; here it would be for all."
    if coupon.duration not in set(CouponDuration):
        yield "unknown_duration", f"Its duration is {coupon.duration!r}."
    if coupon.duration_months not in (None, *range(1, _LONGEST_MONTHS + 1)):
        yield "out_of_range", f"It counts for more than {_LONGEST_MONTHS} months."
    if len(coupon.amounts_off) > _MOST_CURRENCIES:
        yield "too_many_currencies", f"It has more than {_MOST_CURRENCIES} currencies."


def _made(coupon: ForeignCoupon, slugs: Slugs, now: datetime) -> Coupon:
    name = name_of(coupon.name, coupon.billing_id)
    coupon_id, _ = slugs.new(name, coupon.billing_id)
    return Coupon(
        id=CouponId(coupon_id),
        name=name,
        percent_off=coupon.percent_off,
        amounts_off=coupon.amounts_off,
        duration=CouponDuration(coupon.duration),
        duration_months=coupon.duration_months,
        metadata={IMPORTED_FROM: coupon.billing_id[:500]},
        created_at=now,
    )


def _with_code(made: Coupon, coupon: ForeignCoupon, codes: set[str], report: Report) -> Coupon:
    """The coupon with the first of its codes that everybody can use and nobody has."""
    for code in coupon.codes:
        text = code.code
        if code.is_restricted:
            detail = f"The code {text!r} is for some customers or orders only."
            report.skipped(code.billing_id, "restricted_code", detail)
        elif made.promotion_code is not None:
            detail = f"A coupon has one code: {text!r} is one more."
            report.skipped(code.billing_id, "further_code", detail)
        elif text.lower() in codes or _CODE.fullmatch(text) is None:
            report.skipped(code.billing_id, "code_taken", f"The code {text!r} can't be had here.")
        else:
            codes.add(text.lower())
            made = replace(made, promotion_code=text)
    return made
