"""All that one plan or add-on needs at a billing provider: its own product, one for each usage-based price, meters.

Pure, as the mapping of a single product is (`catalog_mirror`); the steps of all parts are put into one safe order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from chalicelib.domain.billing import (
    ArchivePrice,
    CatalogStep,
    MirrorProduct,
    ObservedPrice,
    ObservedProduct,
    UpdateProduct,
)
from chalicelib.domain.catalog_mirror import (
    entity_metadata,
    is_sold,
    matching_prices,
    mirror_of,
    mirror_price,
    steps_between,
)
from chalicelib.domain.features import Feature
from chalicelib.domain.ids import FeatureId, derived_id
from chalicelib.domain.meters import (
    CreateMeter,
    MeterStep,
    MirrorMeter,
    ObservedMeter,
    UpdateMeter,
    mirror_meter,
)
from chalicelib.domain.plans import Package, PackageVersion
from chalicelib.domain.prices import Price, PriceModel

_NAME_LENGTH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageMirror:
    """How a package must look at any provider. The first product is its own; the others each hold one usage price."""

    products: tuple[MirrorProduct, ...]
    meters: tuple[MirrorMeter, ...]

    @property
    def own(self) -> MirrorProduct:
        """The package's own product."""
        return self.products[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPackage:
    """What the provider holds of it: products that are wanted or once were, and meters by event name."""

    products: Mapping[str, ObservedProduct]
    meters: Mapping[str, ObservedMeter]


def package_mirror(
    package: Package,
    version: PackageVersion,
    features: Mapping[FeatureId, Feature],
    *,
    environment: str,
    public_url: str,
) -> PackageMirror:
    """How the package at this version must look; `features` are at least those that it charges usage of."""
    own = mirror_of(package, version, environment=environment, public_url=public_url)
    products = [own]
    meters: dict[str, MirrorMeter] = {}
    for price in usage_prices(version) if is_sold(package, version) else ():
        feature = features[price.feature_id] if price.feature_id is not None else None
        meter = mirror_meter(environment, feature) if feature is not None else None
        if feature is None or meter is None:
            raise ValueError(f"the usage of price {price.id} can't be metered")
        meters[meter.event_name] = meter
        held = mirror_price(
            package, price, environment=environment, public_url=public_url, meter=meter.event_name
        )
        path = f"{package.kind}s/{package.id}"
        products.append(
            MirrorProduct(
                product_key=usage_product_key(environment, package, price),
                name=f"{version.content.name}: {feature.name}"[:_NAME_LENGTH],
                description=None,
                active=True,
                metadata=entity_metadata(
                    package.kind, package.id, path, environment=environment, public_url=public_url
                )
                | {"paygrade_price_id": price.id},
                prices=(held,),
                default_lookup_key=held.lookup_key,
            )
        )
    return PackageMirror(products=tuple(products), meters=tuple(meters.values()))


def usage_prices(version: PackageVersion) -> tuple[Price, ...]:
    """The prices that are charged by usage."""
    return tuple(price for price in version.content.prices if price.model is PriceModel.USAGE_BASED)


def usage_product_key(environment: str, package: Package, price: Price) -> str:
    """The provider's id of the product that holds this usage-based price: the same for ever."""
    return derived_id("pgu_", environment, package.kind, package.id, price.id)


def package_steps(
    desired: PackageMirror, observed: ObservedPackage
) -> tuple[CatalogStep | MeterStep, ...]:
    """What turns the observed objects into the desired ones, in an order that is safe to stop after any step.

    Meters come before the prices that count them. Nothing that is sold is taken away before all that is new is
    there. A meter that nothing counts any more stays: old subscriptions still report to it.
    """
    steps: list[CatalogStep | MeterStep] = []
    for meter in desired.meters:
        held = observed.meters.get(meter.event_name)
        if held is None:
            steps.append(CreateMeter(meter=meter))
        elif not held.active or held.display_name != meter.display_name:
            steps.append(
                UpdateMeter(billing_id=held.billing_id, meter=meter, reactivate=not held.active)
            )
    for product in (*desired.products, *retired_products(desired, observed)):
        steps += steps_between(product, observed.products.get(product.product_key))
    return (
        *(step for step in steps if not _takes_away(step)),
        *(step for step in steps if _takes_away(step)),
    )


def package_matches(desired: PackageMirror, observed: ObservedPackage) -> dict[str, ObservedPrice]:
    """For each desired price, by lookup key, the observed one that serves for it already or can again."""
    found: dict[str, ObservedPrice] = {}
    for product in desired.products:
        found |= matching_prices(product, observed.products.get(product.product_key))
    return found


def _takes_away(step: CatalogStep | MeterStep) -> bool:
    if isinstance(step, UpdateProduct):
        return not step.product.active
    return isinstance(step, ArchivePrice)


def retired_products(desired: PackageMirror, observed: ObservedPackage) -> Sequence[MirrorProduct]:
    """The products of usage-based prices that are no longer sold, as they must be from now on."""
    wanted = {product.product_key for product in desired.products}
    return [
        MirrorProduct(
            product_key=key,
            name=held.name,
            description=held.description,
            active=False,
            metadata={},
            prices=(),
            default_lookup_key=None,
        )
        for key, held in observed.products.items()
        if key not in wanted
    ]
