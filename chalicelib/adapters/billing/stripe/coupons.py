"""Coupons and their promotion codes at Stripe (https://docs.stripe.com/api/coupons, /promotion_codes).

No step needs an idempotency key: a coupon has an id of ours, and a code is single among the active ones.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from chalicelib.adapters.billing.stripe.connection import PAGE_SIZE, Connection
from chalicelib.adapters.billing.stripe.errors import Benign, Effect, is_benign
from chalicelib.domain.coupons import (
    CouponStep,
    CouponTerms,
    CreateCode,
    CreateCoupon,
    DeleteCoupon,
    MirrorCoupon,
    ObservedCode,
    ObservedCoupon,
    SwitchCode,
    UpdateCoupon,
)
from chalicelib.domain.errors import ProviderRefusedError

if TYPE_CHECKING:
    import stripe
    from stripe.params import CouponCreateParams, PromotionCodeListParams

_COUPONS: Final = "coupons"
_CODES: Final = "promotion_codes"


class StripeCoupons:
    """The coupons of one account."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    def observe(self, key: str) -> ObservedCoupon | None:
        """The coupon of this id with its codes; None if there is none or it was deleted."""
        found = self._at.attempt(
            _COUPONS,
            Effect.READ,
            lambda: self._at.v1.coupons.retrieve(key, {"expand": ["currency_options"]}),
            lambda error: is_benign(error, Benign.MISSING),
        )
        if found is None:
            return None
        value = found.to_dict(for_json=True)
        if value.get("deleted"):
            return None
        return ObservedCoupon(
            billing_id=value["id"],
            name=value.get("name"),
            metadata=dict(value.get("metadata") or {}),
            codes=self._codes(key),
            terms=coupon_terms(value),
        )

    def _codes(self, key: str) -> tuple[ObservedCode, ...]:
        def fetch(after: str | None) -> "stripe.ListObject[stripe.PromotionCode]":
            params: PromotionCodeListParams = {"coupon": key, "limit": PAGE_SIZE}
            if after is not None:
                params["starting_after"] = after
            return self._at.v1.promotion_codes.list(params)

        return tuple(
            ObservedCode(billing_id=one.id, code=one.code, active=one.active)
            for one in self._at.pages(_CODES, fetch)
        )

    def apply(self, step: CouponStep) -> str:
        """The step is done; the id of what it made or changed."""
        match step:
            case CreateCoupon(mirror=mirror):
                return self._create(mirror)
            case UpdateCoupon(mirror=mirror):
                return self._update(mirror)
            case DeleteCoupon(key=key):
                self._at.attempt(
                    _COUPONS,
                    Effect.SET,
                    lambda: self._at.v1.coupons.delete(key),
                    lambda error: is_benign(error, Benign.MISSING),
                )
                return key
            case CreateCode():
                return self._create_code(step)
            case SwitchCode(billing_id=billing_id, active=active):
                return self._at.run(
                    _CODES,
                    Effect.SET,
                    lambda: self._at.v1.promotion_codes.update(billing_id, {"active": active}),
                ).id

    def _create(self, mirror: MirrorCoupon) -> str:
        params = coupon_params(mirror)
        created = self._at.attempt(
            _COUPONS,
            Effect.SET,
            lambda: self._at.v1.coupons.create(params),
            lambda error: is_benign(error, Benign.EXISTS),
        )
        return self._update(mirror) if created is None else created.id

    def _update(self, mirror: MirrorCoupon) -> str:
        return self._at.run(
            _COUPONS,
            Effect.SET,
            lambda: self._at.v1.coupons.update(
                mirror.key, {"name": mirror.name, "metadata": dict(mirror.metadata)}
            ),
        ).id

    def _create_code(self, step: CreateCode) -> str:
        created = self._at.attempt(
            _CODES,
            Effect.SET,
            lambda: self._at.v1.promotion_codes.create(
                {
                    "promotion": {"type": "coupon", "coupon": step.key},
                    "code": step.code,
                    "metadata": dict(step.metadata),
                }
            ),
            lambda error: is_benign(error, Benign.EXISTS),
        )
        if created is not None:
            return created.id
        for held in self._codes(step.key):
            if held.active and held.code.lower() == step.code.lower():
                return held.billing_id
        raise ProviderRefusedError(f"The promotion code {step.code!r} leads to another coupon.")


def coupon_terms(value: Mapping[str, Any]) -> CouponTerms:
    """What Stripe's coupon takes off; needs `currency_options` expanded."""
    percent, amount = value.get("percent_off"), value.get("amount_off")
    amounts = {
        currency: option["amount_off"]
        for currency, option in (value.get("currency_options") or {}).items()
        if option.get("amount_off") is not None
    }
    if amount is not None:
        amounts[value["currency"]] = amount
    return CouponTerms(
        percent_off=None if percent is None else Decimal(str(percent)),
        amounts_off=amounts,
        duration=value["duration"],
        duration_months=value.get("duration_in_months"),
    )


def coupon_params(mirror: MirrorCoupon) -> "CouponCreateParams":
    """What creates the coupon; the first amount's currency is its own, the others are options."""
    coupon = mirror.coupon
    params: CouponCreateParams = {
        "id": mirror.key,
        "name": mirror.name,
        "duration": coupon.duration.value,
        "metadata": dict(mirror.metadata),
    }
    if coupon.duration_months is not None:
        params["duration_in_months"] = coupon.duration_months
    if coupon.percent_off is not None:
        params["percent_off"] = float(coupon.percent_off)  # two places: exact as text
    elif coupon.amounts_off:
        first, *others = coupon.amounts_off
        params["amount_off"] = first.amount
        params["currency"] = first.currency
        if others:
            params["currency_options"] = {
                one.currency: {"amount_off": one.amount} for one in others
            }
    return params
