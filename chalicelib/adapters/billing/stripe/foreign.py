"""All that an account sells, whoever made it: some lists, page by page, and nothing is written."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from chalicelib.adapters.billing.stripe.connection import PAGE_SIZE, Connection
from chalicelib.adapters.billing.stripe.foreign_objects import (
    foreign_code,
    foreign_coupon,
    foreign_price,
    foreign_product,
)
from chalicelib.adapters.billing.stripe.subscriptions import id_of
from chalicelib.domain.foreign_catalog import (
    ForeignCatalog,
    ForeignCode,
    ForeignCoupon,
    ForeignMeter,
    ForeignPrice,
    ForeignProduct,
)

if TYPE_CHECKING:
    import stripe
    from stripe.params import (
        CouponListParams,
        PriceListParams,
        ProductListParams,
        PromotionCodeListParams,
    )
    from stripe.params.billing import MeterListParams

Json = Mapping[str, Any]

_EITHER: Final = (True, False)


class ForeignObjects:
    """The catalog of one account as it is there."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    def catalog(self) -> ForeignCatalog:
        """Products with all their prices, meters and coupons, the newest first."""
        prices: dict[str, dict[str, ForeignPrice]] = defaultdict(dict)
        for price in chain.from_iterable(self._prices(active=one) for one in _EITHER):
            # One that is archived between the two lists comes in both, and its later state wins.
            prices[id_of(price["product"])][price["id"]] = foreign_price(price)
        products: dict[str, ForeignProduct] = {}
        for product in chain.from_iterable(self._products(active=one) for one in _EITHER):
            of_product = tuple(prices[product["id"]].values())
            products[product["id"]] = foreign_product(product, of_product)
        return ForeignCatalog(
            products=tuple(products.values()), meters=self._meters(), coupons=self._coupons()
        )

    def _products(self, *, active: bool) -> list[Json]:
        def fetch(after: str | None) -> "stripe.ListObject[stripe.Product]":
            params: ProductListParams = {"active": active, "limit": PAGE_SIZE}
            if after is not None:
                params["starting_after"] = after
            return self._at.v1.products.list(params)

        return [one.to_dict(for_json=True) for one in self._at.pages("products", fetch)]

    def _prices(self, *, active: bool) -> list[Json]:
        def fetch(after: str | None) -> "stripe.ListObject[stripe.Price]":
            params: PriceListParams = {
                "active": active,
                "limit": PAGE_SIZE,
                "expand": ["data.tiers", "data.currency_options"],
            }
            if after is not None:
                params["starting_after"] = after
            return self._at.v1.prices.list(params)

        return [one.to_dict(for_json=True) for one in self._at.pages("prices", fetch)]

    def _meters(self) -> tuple[ForeignMeter, ...]:
        def fetch(after: str | None) -> "stripe.ListObject[stripe.billing.Meter]":
            params: MeterListParams = {"limit": PAGE_SIZE}
            if after is not None:
                params["starting_after"] = after
            return self._at.v1.billing.meters.list(params)

        return tuple(
            ForeignMeter(
                billing_id=one.id,
                event_name=one.event_name,
                display_name=one.display_name,
                formula=one.default_aggregation.formula,
            )
            for one in self._at.pages("billing.meters", fetch)
        )

    def _coupons(self) -> tuple[ForeignCoupon, ...]:
        def fetch(after: str | None) -> "stripe.ListObject[stripe.Coupon]":
            params: CouponListParams = {
                "limit": PAGE_SIZE,
                "expand": ["data.currency_options", "data.applies_to"],
            }
            if after is not None:
                params["starting_after"] = after
            return self._at.v1.coupons.list(params)

        codes = self._codes()
        found = (one.to_dict(for_json=True) for one in self._at.pages("coupons", fetch))
        return tuple(foreign_coupon(one, codes.get(one["id"], ())) for one in found)

    def _codes(self) -> dict[str, list[ForeignCode]]:
        def fetch(after: str | None) -> "stripe.ListObject[stripe.PromotionCode]":
            params: PromotionCodeListParams = {"active": True, "limit": PAGE_SIZE}
            if after is not None:
                params["starting_after"] = after
            return self._at.v1.promotion_codes.list(params)

        found: dict[str, list[ForeignCode]] = defaultdict(list)
        for one in self._at.pages("promotion_codes", fetch):
            value: Json = one.to_dict(for_json=True)
            coupon = (value.get("promotion") or {}).get("coupon")
            if coupon is not None:
                found[id_of(coupon)].append(foreign_code(value))
        return found
