"""Compiling a customer's snapshot from what is stored."""

from collections.abc import Iterable

from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.features import Feature
from chalicelib.domain.ids import FeatureId
from chalicelib.domain.plans import PackageKind, PackageVersion, version_key
from chalicelib.domain.snapshots import Snapshot, VersionKey, compile_snapshot
from chalicelib.domain.subscriptions import GIVING_ACCESS, Subscription
from chalicelib.ports import Ports


def compile_for(
    ports: Ports, customer: Customer, subscriptions: Iterable[Subscription], *, version: int
) -> Snapshot:
    """The snapshot that these subscriptions give the customer, numbered `version`."""
    held = tuple(subscriptions)
    keys: set[VersionKey] = set()
    for subscription in held:
        if subscription.status in GIVING_ACCESS:
            keys.add((PackageKind.PLAN, subscription.plan_id, subscription.plan_version))
            keys.update(
                (PackageKind.ADDON, addon.id, addon.version) for addon in subscription.addons
            )
    versions = {key: published_version(ports, *key) for key in keys}
    wanted = {share.feature_id for found in versions.values() for share in found.entitlements}
    wanted.update(feature_id for subscription in held for feature_id in subscription.quantities)
    features: dict[FeatureId, Feature] = {}
    for feature_id in wanted:
        feature = ports.store.get(Feature, feature_id)
        if feature is None:
            raise NotFoundError("feature", feature_id)
        features[feature_id] = feature
    return compile_snapshot(customer, held, versions, features, version=version)


def published_version(
    ports: Ports, kind: PackageKind, package_id: str, number: int
) -> PackageVersion:
    """That version of the package; published versions are never deleted."""
    found = ports.store.get(PackageVersion, kind, package_id, version_key(number))
    if found is None:
        raise NotFoundError(kind, f"{package_id} (version {number})")
    return found
