"""What a provider's copy of a coupon differs in from ours, each difference by its own name."""

from collections.abc import Iterator
from typing import Final

from chalicelib.domain.coupons import CouponTerms, MirrorCoupon, ObservedCoupon, terms_of
from chalicelib.domain.differences import between
from chalicelib.domain.plain import plain
from chalicelib.domain.reconciliations import Difference, DriftKind

# Terms are immutable: to restore them the coupon would have to be taken from those who hold it.
REPORTED_ONLY: Final = frozenset({DriftKind.COUPON_TERMS})


def coupon_differences(
    desired: MirrorCoupon, observed: ObservedCoupon | None
) -> tuple[Difference, ...]:
    """All that differs; empty exactly when the provider holds the coupon as it must be."""
    if observed is None:
        if not desired.active:
            return ()
        ours = {"coupon": desired.key, "name": desired.name, **_terms(terms_of(desired.coupon))}
        return (Difference(kind=DriftKind.COUPON_MISSING, ours=ours, theirs=None),)
    if not desired.active:
        theirs = {"coupon": observed.billing_id, "name": observed.name}
        return (Difference(kind=DriftKind.COUPON_EXTRA, ours=None, theirs=theirs),)
    return (
        *_of_details(desired, observed),
        *_of_terms(desired, observed),
        *_of_code(desired, observed),
    )


def _of_details(desired: MirrorCoupon, observed: ObservedCoupon) -> Iterator[Difference]:
    ours: dict[str, object] = {}
    theirs: dict[str, object] = {}
    if observed.name != desired.name:
        ours["name"], theirs["name"] = desired.name, observed.name
    held = {name: observed.metadata.get(name) for name in desired.metadata}
    lacking = [name for name, value in desired.metadata.items() if held[name] != value]
    if lacking:
        ours["metadata"] = {name: desired.metadata[name] for name in lacking}
        theirs["metadata"] = {name: held[name] for name in lacking}
    if ours:
        yield Difference(
            kind=DriftKind.COUPON_CHANGED,
            ours={"coupon": desired.key, **ours},
            theirs={"coupon": desired.key, **theirs},
        )


def _of_terms(desired: MirrorCoupon, observed: ObservedCoupon) -> Iterator[Difference]:
    if observed.terms is None:
        return
    ours, theirs = _terms(terms_of(desired.coupon)), _terms(observed.terms)
    if ours != theirs:
        yield between(DriftKind.COUPON_TERMS, {"coupon": desired.key}, ours, theirs)


def _of_code(desired: MirrorCoupon, observed: ObservedCoupon) -> Iterator[Difference]:
    wanted = desired.coupon.promotion_code
    if wanted is None:
        return
    held = [code for code in observed.codes if code.code.lower() == wanted.lower()]
    if not any(code.active for code in held):
        yield Difference(
            kind=DriftKind.COUPON_CODE,
            ours={"coupon": desired.key, "code": wanted, "active": True},
            theirs={"coupon": desired.key, "code": wanted, "active": False} if held else None,
        )


def _terms(terms: CouponTerms) -> dict[str, object]:
    return {
        "percent_off": plain(terms.percent_off),
        "amounts_off": dict(terms.amounts_off),
        "duration": terms.duration,
        "duration_months": terms.duration_months,
    }
