"""What a provider's copy of a package differs in from its mirror, each difference by its own name.

Pure, like the steps that make it good (`package_mirror`): there is a difference exactly when there is a step.
"""

from collections.abc import Iterator

from chalicelib.domain.billing import MirrorPrice, MirrorProduct, ObservedPrice, ObservedProduct
from chalicelib.domain.catalog_mirror import matching_prices
from chalicelib.domain.differences import between, of_metadata
from chalicelib.domain.meters import MirrorMeter, ObservedMeter
from chalicelib.domain.package_mirror import ObservedPackage, PackageMirror, retired_products
from chalicelib.domain.plain import plain
from chalicelib.domain.prices import Price
from chalicelib.domain.reconciliations import Difference, DriftKind

_MONEY = ("currency", "amount", "amount_decimal", "billing_period", "interval_count", "tiers_mode")


def package_differences(
    desired: PackageMirror, observed: ObservedPackage
) -> tuple[Difference, ...]:
    """All that differs; empty exactly when the provider holds the package's mirror."""
    found: list[Difference] = []
    for meter in desired.meters:
        found += _of_meter(meter, observed.meters.get(meter.event_name))
    for product in (*desired.products, *retired_products(desired, observed)):
        found += _of_product(product, observed.products.get(product.product_key))
    return tuple(found)


def _of_meter(desired: MirrorMeter, held: ObservedMeter | None) -> Iterator[Difference]:
    named: dict[str, object] = {"meter": desired.event_name}
    if held is None:
        ours = {**named, "name": desired.display_name}
        yield Difference(kind=DriftKind.METER_MISSING, ours=ours, theirs=None)
        return
    if not held.active:
        yield between(DriftKind.METER_ARCHIVED, named, {"active": True}, {"active": False})
    if held.display_name != desired.display_name:
        yield between(
            DriftKind.METER_CHANGED,
            named,
            {"name": desired.display_name},
            {"name": held.display_name},
        )


def _of_product(desired: MirrorProduct, held: ObservedProduct | None) -> Iterator[Difference]:
    named: dict[str, object] = {"product": desired.product_key}
    if held is None:
        if desired.active:
            keys = [price.lookup_key for price in desired.prices]
            ours = {**named, "name": desired.name, "prices": keys}
            yield Difference(kind=DriftKind.PRODUCT_MISSING, ours=ours, theirs=None)
        return
    if desired.active != held.active:
        kind = DriftKind.PRODUCT_ARCHIVED if desired.active else DriftKind.PRODUCT_UNARCHIVED
        yield between(kind, named, {"active": desired.active}, {"active": held.active})
    ours = {"name": desired.name, "description": desired.description}
    theirs = {"name": held.name, "description": held.description}
    if ours != theirs:
        yield between(DriftKind.PRODUCT_CHANGED, named, ours, theirs)
    yield from of_metadata(DriftKind.PRODUCT_METADATA, named, desired.metadata, held.metadata)
    yield from _of_prices(desired, held)
    yield from _of_default(desired, held)


def _of_prices(desired: MirrorProduct, held: ObservedProduct) -> Iterator[Difference]:
    kept = matching_prices(desired, held)
    known = {price.billing_id for price in kept.values()}
    extra = [one for one in held.prices if one.active and one.billing_id not in known]
    for price in desired.prices:
        match = kept.get(price.lookup_key)
        if match is not None:
            yield from _of_price(price, match, held)
            continue
        # Money never changes in place: another price in our slot is what an edited one looks like.
        twin = next((one for one in extra if one.lookup_key == price.lookup_key), None)
        ours = {"lookup_key": price.lookup_key, **_money(price.price)}
        if twin is None:
            yield Difference(kind=DriftKind.PRICE_MISSING, ours=ours, theirs=None)
        else:
            extra.remove(twin)
            yield Difference(kind=DriftKind.PRICE_CHANGED, ours=ours, theirs=_shown(twin))
    for one in extra:
        yield Difference(kind=DriftKind.PRICE_EXTRA, ours=None, theirs=_shown(one))


def _of_price(
    desired: MirrorPrice, match: ObservedPrice, held: ObservedProduct
) -> Iterator[Difference]:
    named: dict[str, object] = {"price": match.billing_id}
    if not match.active:
        named["lookup_key"] = desired.lookup_key
        yield between(DriftKind.PRICE_ARCHIVED, named, {"active": True}, {"active": False})
    if match.lookup_key != desired.lookup_key:
        theirs: dict[str, object] = {"lookup_key": match.lookup_key}
        holders = [one for one in held.prices if one.lookup_key == desired.lookup_key]
        if holders:
            theirs["held_by"] = holders[0].billing_id
        yield Difference(
            kind=DriftKind.PRICE_LOOKUP_KEY,
            ours={"price": match.billing_id, "lookup_key": desired.lookup_key},
            theirs={"price": match.billing_id, **theirs},
        )
    yield from of_metadata(DriftKind.PRICE_METADATA, named, desired.metadata, match.metadata)


def _of_default(desired: MirrorProduct, held: ObservedProduct) -> Iterator[Difference]:
    key = desired.default_lookup_key
    match = matching_prices(desired, held).get(key or "")
    ours = match.billing_id if match is not None else None
    # One that is yet to be made has no id, but can't be the default either.
    if ours != held.default_price or (key is not None and match is None):
        yield Difference(
            kind=DriftKind.DEFAULT_PRICE_CHANGED,
            ours={"product": desired.product_key, "default_price": ours, "lookup_key": key},
            theirs={"product": desired.product_key, "default_price": held.default_price},
        )


def _money(price: Price) -> dict[str, object]:
    told = {name: plain(getattr(price, name)) for name in _MONEY}
    return {name: value for name, value in told.items() if value is not None}


def _shown(price: ObservedPrice) -> dict[str, object]:
    return {"price": price.billing_id, "lookup_key": price.lookup_key, **price.money}
