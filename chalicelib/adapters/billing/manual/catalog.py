"""Plans and add-ons as this provider holds them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from chalicelib.adapters.billing.manual.records import (
    ENTITY_URL,
    HeldPrice,
    HeldProduct,
    Pointer,
    digest,
    missing,
    require_same,
)
from chalicelib.adapters.billing.manual.shelves import Shelf
from chalicelib.domain.billing import (
    ArchivePrice,
    CatalogStep,
    CreatePrice,
    CreateProduct,
    MirrorProduct,
    ObservedPrice,
    ObservedProduct,
    SetDefaultPrice,
    UpdatePrice,
    UpdateProduct,
)
from chalicelib.domain.errors import ProviderRefusedError
from chalicelib.domain.ids import derived_id
from chalicelib.domain.prices import fingerprint
from chalicelib.ports import Put, Store


class ManualCatalog:
    """The products and prices. A product's id is its key."""

    def __init__(self, store: Store) -> None:
        self._products = Shelf(store, "product", HeldProduct)
        self._pointers = Shelf(store, "price", Pointer)

    def product_url(self, product_key: str) -> str | None:
        """Our own page of what the product stands for."""
        held = self._products.get(product_key)
        return None if held is None else held.metadata.get(ENTITY_URL)

    def price_url(self, billing_id: str) -> str | None:
        """Our own page of what the price belongs to."""
        return self.price(billing_id).metadata.get(ENTITY_URL)

    def price(self, billing_id: str) -> HeldPrice:
        """The price of this id; refuses one that was never made."""
        held = self._products.get(self._product_of(billing_id))
        return _price_in(held.prices if held is not None else (), billing_id)

    def observe(self, product_key: str) -> ObservedProduct | None:
        """The product of this key with all its prices, newest first."""
        held = self._products.get(product_key)
        if held is None:
            return None
        return ObservedProduct(
            billing_id=product_key,
            name=held.name,
            description=held.description,
            active=held.active,
            metadata=held.metadata,
            prices=tuple(_observed(price) for price in reversed(held.prices)),
            default_price=held.default_price,
        )

    def apply(self, step: CatalogStep, idempotency_key: str) -> str:
        """The step is done; the id of what it made or changed."""
        match step:
            case CreateProduct(product=product):
                self._products.change(product.product_key, lambda held: _wished(held, product, ()))
                return product.product_key
            case UpdateProduct(product=product, unset_metadata=unset):
                return self._change(product.product_key, lambda held: _wished(held, product, unset))
            case CreatePrice():
                return self._create_price(step, idempotency_key)
            case UpdatePrice(billing_id=billing_id):
                self._change(self._product_of(billing_id), lambda held: _with_updated(held, step))
                return billing_id
            case SetDefaultPrice(product_key=product_key):
                return self._change(product_key, lambda held: _with_default(held, step))
            case ArchivePrice(billing_id=billing_id):
                self._change(self._product_of(billing_id), lambda held: _without(held, billing_id))
                return billing_id

    def _create_price(self, step: CreatePrice, idempotency_key: str) -> str:
        billing_id = derived_id("man_price_", idempotency_key)
        made_with = digest(step)
        pointer = self._pointers.get(billing_id)
        if pointer is not None:
            require_same(self.price(billing_id).made_with, made_with)
            return billing_id
        new = HeldPrice(
            billing_id=billing_id,
            made_with=made_with,
            price=step.price.price,
            lookup_key=step.price.lookup_key,
            metadata=dict(step.price.metadata),
        )

        def add(held: HeldProduct) -> HeldProduct:
            if any(price.billing_id == billing_id for price in held.prices):
                return held
            return replace(held, prices=(*_released(held.prices, step.price.lookup_key), new))

        self._change(
            step.product_key, add, self._pointers.put(billing_id, Pointer(key=step.product_key))
        )
        return billing_id

    def _change(
        self, product_key: str, change: Callable[[HeldProduct], HeldProduct], *also: Put
    ) -> str:
        def changed(held: HeldProduct | None) -> HeldProduct:
            if held is None:
                raise missing("product", product_key)
            return change(held)

        self._products.change(product_key, changed, *also)
        return product_key

    def _product_of(self, billing_id: str) -> str:
        pointer = self._pointers.get(billing_id)
        if pointer is None:
            raise missing("price", billing_id)
        return pointer.key


def _observed(held: HeldPrice) -> ObservedPrice:
    return ObservedPrice(
        billing_id=held.billing_id,
        lookup_key=held.lookup_key,
        fingerprint=fingerprint(held.price),
        active=held.active,
        metadata=held.metadata,
    )


def _wished(held: HeldProduct | None, product: MirrorProduct, unset: Sequence[str]) -> HeldProduct:
    return HeldProduct(
        name=product.name,
        description=product.description,
        active=product.active,
        metadata=_merged(held.metadata if held else {}, product.metadata, unset),
        prices=held.prices if held else (),
        default_price=held.default_price if held else None,
    )


def _with_updated(held: HeldProduct, step: UpdatePrice) -> HeldProduct:
    price = _price_in(held.prices, step.billing_id)
    metadata = _merged(price.metadata, step.price.metadata, step.unset_metadata)
    updated = replace(price, active=True, lookup_key=step.price.lookup_key, metadata=metadata)
    return _with(replace(held, prices=_released(held.prices, step.price.lookup_key)), updated)


def _with_default(held: HeldProduct, step: SetDefaultPrice) -> HeldProduct:
    if step.lookup_key is None:
        return replace(held, default_price=None)
    for price in held.prices:
        if price.active and price.lookup_key == step.lookup_key:
            return replace(held, default_price=price.billing_id)
    raise missing("price", step.lookup_key)


def _without(held: HeldProduct, billing_id: str) -> HeldProduct:
    if held.default_price == billing_id:
        raise ProviderRefusedError("This is the default price of its product.")
    return _with(held, replace(_price_in(held.prices, billing_id), active=False))


def _with(held: HeldProduct, changed: HeldPrice) -> HeldProduct:
    same = changed.billing_id
    prices = (changed if price.billing_id == same else price for price in held.prices)
    return replace(held, prices=tuple(prices))


def _released(prices: Sequence[HeldPrice], lookup_key: str) -> tuple[HeldPrice, ...]:
    """The prices, none of which holds the lookup key. Keys name their package: no other product has it."""
    return tuple(
        replace(price, lookup_key=None) if price.lookup_key == lookup_key else price
        for price in prices
    )


def _price_in(prices: Sequence[HeldPrice], billing_id: str) -> HeldPrice:
    for price in prices:
        if price.billing_id == billing_id:
            return price
    raise missing("price", billing_id)


def _merged(
    held: Mapping[str, str], wanted: Mapping[str, str], unset: Sequence[str]
) -> dict[str, str]:
    return {key: value for key, value in {**held, **wanted}.items() if key not in unset}
