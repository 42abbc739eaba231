"""What a change of a plan or add-on will do at a billing provider that holds what is sold now, in words for people."""

from collections.abc import Mapping
from typing import assert_never

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
from chalicelib.domain.catalog_changes import Action
from chalicelib.domain.features import Feature
from chalicelib.domain.ids import FeatureId
from chalicelib.domain.meters import CreateMeter, MeterStep, ObservedMeter, UpdateMeter
from chalicelib.domain.package_mirror import (
    ObservedPackage,
    PackageMirror,
    package_mirror,
    package_steps,
)
from chalicelib.domain.plans import Package, PackageVersion

Sold = tuple[Package, PackageVersion]


def expected_steps(
    before: Sold | None,
    after: Sold | None,
    features: Mapping[FeatureId, Feature],
    *,
    environment: str,
    public_url: str,
) -> tuple[str, ...]:
    """What will be done at a provider that holds `before`, and nothing else, of the package."""

    def mirrored(sold: Sold | None) -> PackageMirror | None:
        if sold is None:
            return None
        return package_mirror(*sold, features, environment=environment, public_url=public_url)

    desired = mirrored(after)
    return () if desired is None else _described(package_steps(desired, _held(mirrored(before))))


def coupon_step(action: Action, name: str) -> str:
    """What will be done about a coupon; one that comes back from the archive is a new one there."""
    if action is Action.ARCHIVE:
        return f"archive coupon {name!r}"
    return f"{'update' if action is Action.UPDATE else 'new'} coupon {name!r}"


def _held(mirror: PackageMirror | None) -> ObservedPackage:
    if mirror is None:
        return ObservedPackage(products={}, meters={})
    products = {one.product_key: _observed(one) for one in mirror.products if one.active}
    meters = {
        one.event_name: ObservedMeter(
            billing_id=one.event_name,
            event_name=one.event_name,
            display_name=one.display_name,
            active=True,
        )
        for one in mirror.meters
    }
    return ObservedPackage(products=products, meters=meters)


def _observed(product: MirrorProduct) -> ObservedProduct:
    """The product at a provider that did all it was told; lookup keys stand for the ids of prices."""
    prices = tuple(
        ObservedPrice(
            billing_id=price.price.id,
            lookup_key=price.lookup_key,
            fingerprint=price.fingerprint,
            active=True,
            metadata=price.metadata,
        )
        for price in product.prices
    )
    default = next(
        (p.price.id for p in product.prices if p.lookup_key == product.default_lookup_key), None
    )
    return ObservedProduct(
        billing_id=product.product_key,
        name=product.name,
        description=product.description,
        active=product.active,
        metadata=product.metadata,
        prices=prices,
        default_price=default,
    )


def _described(steps: tuple[CatalogStep | MeterStep, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_described_step(step) for step in steps))


def _described_step(step: CatalogStep | MeterStep) -> str:  # noqa: PLR0911 -- one line for each kind of step
    match step:
        case CreateProduct(product=product):
            return f"new product {product.name!r}"
        case UpdateProduct(product=product):
            done = "update" if product.active else "archive"
            return f"{done} product {product.name!r}"
        case CreatePrice(price=price):
            return f"new price {price.price.id}"
        case UpdatePrice(price=price):
            return f"update price {price.price.id}"
        case ArchivePrice(billing_id=billing_id):
            return f"archive price {billing_id}"
        case SetDefaultPrice(lookup_key=lookup_key):
            if lookup_key is None:
                return "no default price"
            return f"default price {lookup_key.rpartition(':')[2]}"
        case CreateMeter(meter=meter):
            return f"new meter {meter.display_name!r}"
        case UpdateMeter(meter=meter):
            return f"update meter {meter.display_name!r}"
        case _:
            assert_never(step)
