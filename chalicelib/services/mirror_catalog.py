"""A package at one provider: how it must look there, and what is there of it."""

from dataclasses import replace

from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.features import Feature
from chalicelib.domain.ids import FeatureId
from chalicelib.domain.meters import MeterStep
from chalicelib.domain.package_mirror import (
    ObservedPackage,
    PackageMirror,
    package_mirror,
    usage_prices,
)
from chalicelib.domain.plans import Package, PackageVersion
from chalicelib.domain.sync import CatalogLink
from chalicelib.ports import BillingProvider, Ports, UsageCharging


def wanted_at(
    ports: Ports, provider: BillingProvider, package: Package, version: PackageVersion
) -> PackageMirror:
    """How the package must look at this provider; meters only where the provider has such things."""
    features: dict[FeatureId, Feature] = {}
    for price in usage_prices(version):
        feature = ports.store.get(Feature, str(price.feature_id))
        if feature is None:
            raise NotFoundError("feature", str(price.feature_id))
        features[feature.id] = feature
    environment = ports.environment
    mirror = package_mirror(
        package,
        version,
        features,
        environment=environment.name,
        public_url=environment.public_url,
    )
    return mirror if isinstance(provider, UsageCharging) else replace(mirror, meters=())


def held_at(
    provider: BillingProvider, desired: PackageMirror, link: CatalogLink
) -> ObservedPackage:
    """What the provider holds of it, products that are not wanted any more included."""
    wanted = (product.product_key for product in desired.products)
    products = {}
    for key in dict.fromkeys((*wanted, *link.product_keys)):
        found = provider.observe_product(key)
        if found is not None:
            products[key] = found
    meters = {}
    if desired.meters and isinstance(provider, UsageCharging):
        names = frozenset(meter.event_name for meter in desired.meters)
        meters = dict(provider.observe_meters(names))
    return ObservedPackage(products=products, meters=meters)


def apply_meter(provider: BillingProvider, step: MeterStep) -> None:
    """The step is done; only providers with meters are told to."""
    if isinstance(provider, UsageCharging):
        provider.apply_meter(step)
