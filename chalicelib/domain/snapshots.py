"""The snapshot: all of a customer's entitlements compiled into one small document that answers every check.

The document keeps each source with the time it is valid for, so an answer is right at any instant without a
job having to run first. Times in it are integer milliseconds since the epoch: cheap to read and to compare.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NotRequired, TypedDict

from chalicelib.domain.customers import Customer
from chalicelib.domain.entitlements import Behavior, Entitlement, ResetAnchor
from chalicelib.domain.features import Feature, FeatureType
from chalicelib.domain.grants import Grant
from chalicelib.domain.ids import CustomerId, FeatureId, PackageId
from chalicelib.domain.plans import PackageKind, PackageVersion, per_unit_features
from chalicelib.domain.subscriptions import GIVING_ACCESS, Subscription

VersionKey = tuple[PackageKind, PackageId, int]

# The latest ones; those before are told from what was never granted by the audit log alone.
MAX_REVOKED: Final = 100


class SourceDocument(TypedDict):
    """Where entitlements come from, and from when until when (half open) they count."""

    type: Literal["plan", "addon", "grant"]
    id: str
    version: NotRequired[int]
    subscription_id: NotRequired[str]
    quantity: NotRequired[int]
    start: int
    end: NotRequired[int]


class ShareDocument(TypedDict):
    """What one source (by its index) says of one feature; absent fields are false or none."""

    source: int
    value: NotRequired[bool | int]
    values: NotRequired[list[str]]
    limit: NotRequired[int]
    unlimited: NotRequired[bool]
    soft: NotRequired[bool]
    reset: NotRequired[str]
    calendar: NotRequired[bool]
    increment: NotRequired[bool]


class FeatureDocument(TypedDict):
    """All that is said of one feature."""

    type: str
    shares: list[ShareDocument]


class SnapshotDocument(TypedDict):
    """A customer's compiled entitlements. `revoked` names features of which a grant was taken back."""

    version: int
    customer_status: str
    sources: list[SourceDocument]
    features: dict[str, FeatureDocument]
    revoked: NotRequired[list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The stored snapshot. `version` only rises; every change of what it is compiled from is conditional on it."""

    customer_id: CustomerId
    version: int
    document: str

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one snapshot from another."""
        return (self.customer_id,)


def epoch_ms(moment: datetime) -> int:
    """Whole milliseconds since the epoch."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def compile_snapshot(
    customer: Customer,
    subscriptions: Iterable[Subscription],
    versions: Mapping[VersionKey, PackageVersion],
    features: Mapping[FeatureId, Feature],
    *,
    version: int,
    grants: Iterable[Grant] = (),
) -> Snapshot:
    """The snapshot of this customer: the same inputs, in any order, give the same text."""
    sources: list[SourceDocument] = []
    shares: dict[str, FeatureDocument] = {}
    giving = [
        subscription for subscription in subscriptions if subscription.status in GIVING_ACCESS
    ]
    for subscription in sorted(giving, key=lambda held: held.id):
        plan: VersionKey = (PackageKind.PLAN, subscription.plan_id, subscription.plan_version)
        packages: list[tuple[VersionKey, int]] = [(plan, 1)]
        packages += [
            ((PackageKind.ADDON, addon.id, addon.version), addon.quantity)
            for addon in sorted(subscription.addons, key=lambda held: held.id)
        ]
        of_addons = {
            feature_id
            for key, _ in packages[1:]
            for feature_id in per_unit_features(versions[key].content)
        }
        for key, quantity in packages:
            own = set(subscription.quantities) & per_unit_features(versions[key].content)
            if key == plan:
                # Whatever no add-on sells is the plan's, even if its price there is gone.
                own = set(subscription.quantities) - of_addons
            bought = {feature_id: subscription.quantities[feature_id] for feature_id in own}
            behavior = Behavior.OVERRIDE if key == plan else Behavior.INCREMENT
            entitlements = _with_bought(versions[key].entitlements, bought, features, behavior)
            sources.append(_source(subscription, key, quantity))
            _add_shares(shares, entitlements, len(sources) - 1, features)
    given = sorted(grants, key=lambda grant: grant.id)
    for grant in given:
        if grant.revoked_at is None:
            sources.append(_granted_by(grant))
            _add_shares(shares, [grant.entitlement], len(sources) - 1, features)
    document: SnapshotDocument = {
        "version": version,
        "customer_status": customer.status,
        "sources": sources,
        "features": shares,
    }
    revoked = _revoked(given)
    if revoked:
        document["revoked"] = revoked
    text = json.dumps(document, separators=(",", ":"), sort_keys=True)
    return Snapshot(customer_id=customer.id, version=version, document=text)


def _with_bought(
    entitlements: Sequence[Entitlement],
    quantities: Mapping[FeatureId, int],
    features: Mapping[FeatureId, Feature],
    behavior: Behavior,
) -> Sequence[Entitlement]:
    """What is paid for by the unit is had by the unit: the bought quantity is the limit, or the value.

    `behavior` is that of features which the package grants by the unit alone: an add-on's units are additional.
    """
    merged = {entitlement.feature_id: entitlement for entitlement in entitlements}
    for feature_id, quantity in quantities.items():
        fresh = Entitlement(feature_id=feature_id, behavior=behavior)
        granted = merged.get(feature_id, fresh)
        if features[feature_id].type is FeatureType.NUMERIC:
            merged[feature_id] = replace(granted, value=quantity)
        else:
            merged[feature_id] = replace(granted, usage_limit=quantity, is_unlimited=False)
    return tuple(merged[feature_id] for feature_id in sorted(merged))


def _source(subscription: Subscription, key: VersionKey, quantity: int) -> SourceDocument:
    kind, package_id, number = key
    source: SourceDocument = {
        "type": "plan" if kind is PackageKind.PLAN else "addon",
        "id": package_id,
        "version": number,
        "subscription_id": subscription.id,
        "start": epoch_ms(subscription.started_at),
    }
    if quantity != 1:
        source["quantity"] = quantity
    ends = [subscription.cancel_at]
    if subscription.is_unbilled_trial:
        ends.append(subscription.trial_end)
    known = [epoch_ms(end) for end in ends if end is not None]
    if known:
        source["end"] = min(known)
    return source


def _granted_by(grant: Grant) -> SourceDocument:
    source: SourceDocument = {"type": "grant", "id": grant.id, "start": epoch_ms(grant.created_at)}
    if grant.expires_at is not None:
        source["end"] = epoch_ms(grant.expires_at)
    return source


def _revoked(grants: Iterable[Grant]) -> list[str]:
    latest: dict[str, datetime] = {}
    for grant in grants:
        if grant.revoked_at is not None:
            feature_id = grant.entitlement.feature_id
            latest[feature_id] = max(latest.get(feature_id, grant.revoked_at), grant.revoked_at)
    newest_first = sorted(latest, key=lambda feature_id: (latest[feature_id], feature_id))[::-1]
    return sorted(newest_first[:MAX_REVOKED])


def _add_shares(
    shares: dict[str, FeatureDocument],
    entitlements: Sequence[Entitlement],
    source: int,
    features: Mapping[FeatureId, Feature],
) -> None:
    for entitlement in entitlements:
        feature = features[entitlement.feature_id]
        entry = shares.setdefault(feature.id, {"type": feature.type, "shares": []})
        entry["shares"].append(_share(entitlement, source))


def _share(entitlement: Entitlement, source: int) -> ShareDocument:
    share: ShareDocument = {"source": source}
    if entitlement.value is not None:
        share["value"] = entitlement.value
    if entitlement.values:
        share["values"] = sorted(entitlement.values)
    if entitlement.usage_limit is not None:
        share["limit"] = entitlement.usage_limit
    if entitlement.is_unlimited:
        share["unlimited"] = True
    if entitlement.has_soft_limit:
        share["soft"] = True
    if entitlement.reset_period is not None:
        share["reset"] = entitlement.reset_period
        if entitlement.reset_anchor is ResetAnchor.CALENDAR:
            share["calendar"] = True
    if entitlement.behavior is Behavior.INCREMENT:
        share["increment"] = True
    return share
