"""Plans and add-ons as Stripe products and prices: looking at them, and changing them step by step.

Only creating a price uses the idempotency key: prices get their ids from Stripe. All other steps
set absolute values on an id that we know, so repeating them is harmless, while a replayed answer
would hide that somebody changed the object in between.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final

import stripe

from chalicelib.adapters.billing.stripe.connection import PAGE_SIZE, Connection
from chalicelib.adapters.billing.stripe.errors import Benign, Effect, is_benign
from chalicelib.adapters.billing.stripe.meters import StripeMeters
from chalicelib.adapters.billing.stripe.prices import create_params, observed_price
from chalicelib.adapters.billing.stripe.subscriptions import id_of
from chalicelib.domain.billing import (
    ArchivePrice,
    CatalogStep,
    CreatePrice,
    CreateProduct,
    MirrorPrice,
    MirrorProduct,
    ObservedProduct,
    SetDefaultPrice,
    UpdatePrice,
    UpdateProduct,
)
from chalicelib.domain.errors import ProviderUnavailableError

if TYPE_CHECKING:
    from stripe.params import PriceListParams, ProductCreateParams

_PRODUCTS: Final = "products"
_PRICES: Final = "prices"
# A list may lag behind a creation by a moment.
_LOOKS: Final = 4
_LOOK_AGAIN_SECONDS: Final = 0.5


class StripeCatalog:
    """The products and prices of one account."""

    def __init__(self, connection: Connection, meters: StripeMeters) -> None:
        self._at = connection
        self._meters = meters

    def product_url(self, billing_id: str) -> str:
        """The product's page."""
        return self._at.page_url(f"products/{billing_id}")

    def price_url(self, billing_id: str) -> str:
        """The price's page."""
        return self._at.page_url(f"prices/{billing_id}")

    def observe(self, product_key: str) -> ObservedProduct | None:
        """The product of this id with all its prices, as they are now; None if there is none."""
        found = self._at.attempt(
            _PRODUCTS,
            Effect.READ,
            lambda: self._at.v1.products.retrieve(product_key),
            lambda error: is_benign(error, Benign.MISSING),
        )
        if found is None:
            return None
        product = found.to_dict(for_json=True)
        if product.get("deleted"):
            return None
        # Lists show active prices unless asked for the others. One that is archived between the
        # two lists comes in both, and its later state wins; in the other order it would come in
        # neither.
        both = chain(self._list(product_key, active=True), self._list(product_key, active=False))
        prices = {price["id"]: price.to_dict(for_json=True) for price in both}
        # Few products have metered prices; the others need no list of meters.
        is_metered = any((price.get("recurring") or {}).get("meter") for price in prices.values())
        event_names = self._meters.event_names() if is_metered else {}
        default = product.get("default_price")
        return ObservedProduct(
            billing_id=product["id"],
            name=product["name"],
            description=product.get("description"),
            active=product["active"],
            metadata=dict(product.get("metadata") or {}),
            prices=tuple(observed_price(price, event_names) for price in prices.values()),
            default_price=None if default is None else id_of(default),
        )

    def _list(self, product_key: str, *, active: bool) -> "Sequence[stripe.Price]":
        def fetch(after: str | None) -> "stripe.ListObject[stripe.Price]":
            params: PriceListParams = {
                "product": product_key,
                "active": active,
                "limit": PAGE_SIZE,
                "expand": ["data.tiers"],
            }
            if after is not None:
                params["starting_after"] = after
            return self._at.v1.prices.list(params)

        return tuple(self._at.pages(_PRICES, fetch))

    def apply(self, step: CatalogStep, idempotency_key: str) -> str:
        """The step is done; the id of the object that it made or changed."""
        match step:
            case CreateProduct(product=product):
                return self._create_product(product)
            case UpdateProduct(product=product, unset_metadata=unset):
                return self._update_product(product, unset)
            case CreatePrice(product_key=product_key, price=price):
                return self._create_price(product_key, price, idempotency_key)
            case UpdatePrice(billing_id=billing_id, price=price, unset_metadata=unset):
                return self._update_price(billing_id, price, unset)
            case SetDefaultPrice(product_key=product_key, lookup_key=lookup_key):
                return self._set_default_price(product_key, lookup_key)
            case ArchivePrice(billing_id=billing_id):
                return self._archive_price(billing_id)

    def _create_product(self, product: MirrorProduct) -> str:
        params: ProductCreateParams = {
            "id": product.product_key,
            "name": product.name,
            "active": product.active,
            "metadata": dict(product.metadata),
        }
        if product.description:
            params["description"] = product.description
        created = self._at.attempt(
            _PRODUCTS,
            Effect.SET,
            lambda: self._at.v1.products.create(params),
            lambda error: is_benign(error, Benign.EXISTS),
        )
        # An earlier try made it, and its answer was lost; it may have said something else then.
        return self._update_product(product, ()) if created is None else created.id

    def _update_product(self, product: MirrorProduct, unset: Sequence[str]) -> str:
        return self._at.run(
            _PRODUCTS,
            Effect.SET,
            lambda: self._at.v1.products.update(
                product.product_key,
                {
                    "name": product.name,
                    "description": product.description or "",
                    "active": product.active,
                    "metadata": _metadata(product.metadata, unset),
                },
            ),
        ).id

    def _create_price(self, product_key: str, price: MirrorPrice, idempotency_key: str) -> str:
        meter_id = self._meters.id_of(price.meter) if price.meter is not None else None
        params = create_params(product_key, price, meter_id)
        return self._at.run(
            _PRICES,
            Effect.CREATE,
            lambda: self._at.v1.prices.create(params, {"idempotency_key": idempotency_key}),
        ).id

    def _update_price(self, billing_id: str, price: MirrorPrice, unset: Sequence[str]) -> str:
        return self._at.run(
            _PRICES,
            Effect.SET,
            lambda: self._at.v1.prices.update(
                billing_id,
                {
                    "active": True,
                    "lookup_key": price.lookup_key,
                    "transfer_lookup_key": True,
                    "metadata": _metadata(price.metadata, unset),
                },
            ),
        ).id

    def _set_default_price(self, product_key: str, lookup_key: str | None) -> str:
        # An empty string unsets it: github.com/stripe/stripe-python/issues/658.
        default = "" if lookup_key is None else self._price_of_slot(product_key, lookup_key)
        return self._at.run(
            _PRODUCTS,
            Effect.SET,
            lambda: self._at.v1.products.update(product_key, {"default_price": default}),
        ).id

    def _price_of_slot(self, product_key: str, lookup_key: str) -> str:
        for look in range(_LOOKS):
            if look:
                self._at.clock.sleep(_LOOK_AGAIN_SECONDS * look)
            found = self._at.run(
                _PRICES,
                Effect.READ,
                lambda: self._at.v1.prices.list(
                    {"product": product_key, "lookup_keys": [lookup_key], "active": True}
                ),
            )
            if found.data:
                return found.data[0].id
        raise ProviderUnavailableError(f"Stripe lists no active price {lookup_key!r} yet.")

    def _archive_price(self, billing_id: str) -> str:
        return self._at.run(
            _PRICES,
            Effect.SET,
            lambda: self._at.v1.prices.update(billing_id, {"active": False}),
        ).id


def _metadata(wanted: Mapping[str, str], unset: Sequence[str]) -> dict[str, str]:
    """An empty value removes a key; keys that are not named stay (https://docs.stripe.com/metadata)."""
    return {**wanted, **dict.fromkeys(unset, "")}
