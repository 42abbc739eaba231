"""Compiling a customer's snapshot from what is stored."""

from collections.abc import Iterable

from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.features import Feature
from chalicelib.domain.grants import Grant, GrantStatus
from chalicelib.domain.ids import CustomerId, FeatureId
from chalicelib.domain.plans import PackageKind, PackageVersion, version_key
from chalicelib.domain.snapshots import Snapshot, compile_snapshot
from chalicelib.domain.spans import VersionKey, spans
from chalicelib.domain.subscriptions import Subscription, with_coming
from chalicelib.ports import Ports
from chalicelib.services.listing import all_within


def compile_for(
    ports: Ports,
    customer: Customer,
    subscriptions: Iterable[Subscription],
    *,
    version: int,
    changed: Grant | None = None,
) -> Snapshot:
    """The snapshot that these subscriptions and the customer's stored grants give it, numbered `version`.

    `changed` takes the place of its stored self. Grants are read here: whoever compiles has read the snapshot's
    version before, and nobody writes a grant without raising it.
    """
    held = with_coming(subscriptions)
    versions = held_versions(ports, held)
    grants = current_grants(ports, customer.id)
    if changed is not None:
        grants = (*(grant for grant in grants if grant.id != changed.id), changed)
    wanted = {share.feature_id for found in versions.values() for share in found.entitlements}
    wanted.update(
        feature_id
        for subscription in held
        for span in spans(subscription)
        for feature_id in span.quantities
    )
    wanted.update(grant.entitlement.feature_id for grant in grants)
    features: dict[FeatureId, Feature] = {}
    for feature_id in wanted:
        feature = ports.store.get(Feature, feature_id)
        if feature is None:
            raise NotFoundError("feature", feature_id)
        features[feature_id] = feature
    return compile_snapshot(customer, held, versions, features, version=version, grants=grants)


def held_versions(
    ports: Ports, subscriptions: Iterable[Subscription]
) -> dict[VersionKey, PackageVersion]:
    """The versions of plans and add-ons from which these subscriptions give access, now or by themselves later."""
    keys = {
        key
        for subscription in subscriptions
        for span in spans(subscription)
        for key, _ in span.packages
    }
    return {key: published_version(ports, *key) for key in keys}


def current_grants(ports: Ports, customer_id: CustomerId) -> tuple[Grant, ...]:
    """The customer's grants but for those that have expired by themselves."""
    now = ports.clock.now()
    stored = all_within(ports.store, Grant, customer_id)
    return tuple(grant for grant in stored if grant.status(now) is not GrantStatus.EXPIRED)


def published_version(
    ports: Ports, kind: PackageKind, package_id: str, number: int
) -> PackageVersion:
    """That version of the package; published versions are never deleted."""
    found = ports.store.get(PackageVersion, kind, package_id, version_key(number))
    if found is None:
        raise NotFoundError(kind, f"{package_id} (version {number})")
    return found
