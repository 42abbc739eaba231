"""The snapshot: all of a customer's entitlements compiled into one small document that answers every check.

The document keeps each source with the time it is valid for, so an answer is right at any instant without a
job having to run first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from chalicelib.domain.customers import Customer
from chalicelib.domain.entitlements import Behavior, Entitlement, ResetAnchor
from chalicelib.domain.features import Feature, FeatureType
from chalicelib.domain.grants import Grant
from chalicelib.domain.ids import CustomerId, FeatureId
from chalicelib.domain.plans import PackageKind, PackageVersion, per_unit_features
from chalicelib.domain.prices import PriceModel
from chalicelib.domain.snapshot_documents import (
    FeatureDocument,
    ShareDocument,
    SnapshotDocument,
    SourceDocument,
    document_text,
    epoch_ms,
)
from chalicelib.domain.spans import Span, VersionKey, spans
from chalicelib.domain.subscriptions import ENDED, Subscription
from chalicelib.domain.usage_scopes import counter_name

# The latest ones; those before are told from what was never granted by the audit log alone.
MAX_REVOKED: Final = 100


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
    compiled = _Compilation(versions, features)
    held = sorted(subscriptions, key=lambda one: one.id)
    for subscription in held:
        for span in spans(subscription, _grace_days(subscription, versions)):
            compiled.add_span(subscription, span)
    given = sorted(grants, key=lambda grant: grant.id)
    for grant in given:
        if grant.revoked_at is None:
            compiled.add(_granted_by(grant), [grant.entitlement])
    document: SnapshotDocument = {
        "version": version,
        "customer_status": customer.status,
        "sources": compiled.sources,
        "features": compiled.shares,
    }
    if customer.timezone is not None:
        document["timezone"] = customer.timezone
    revoked = _revoked(given)
    if revoked:
        document["revoked"] = revoked
    charged = charged_by(held, versions)
    if charged:
        document["charged"] = charged
    scopes = {*(one.resource_id for one in held), *(one.resource_id for one in given)}
    resources = sorted(one for one in scopes if one is not None)
    if resources:
        document["resources"] = resources
    if customer.usage_shards:
        document["shards"] = {
            feature_id: [over.count, over.total]
            for feature_id, over in customer.usage_shards.items()
        }
    return Snapshot(customer_id=customer.id, version=version, document=document_text(document))


def _grace_days(
    subscription: Subscription, versions: Mapping[VersionKey, PackageVersion]
) -> int | None:
    plan = versions.get((PackageKind.PLAN, subscription.plan_id, subscription.plan_version))
    return plan.content.grace_period_days if plan is not None else None


def charged_by(
    subscriptions: Iterable[Subscription], versions: Mapping[VersionKey, PackageVersion]
) -> dict[str, list[str]]:
    """By provider, the counters whose usage it charges: a feature's own stands for all of the feature."""
    found: dict[str, set[str]] = {}
    for subscription in subscriptions:
        if subscription.provider is None or subscription.status in ENDED:
            continue
        plan: VersionKey = (PackageKind.PLAN, subscription.plan_id, subscription.plan_version)
        addons = ((PackageKind.ADDON, one.id, one.version) for one in subscription.addons)
        for key in (plan, *addons):
            version = versions.get(key)
            prices = version.content.prices if version is not None else ()
            found.setdefault(subscription.provider, set()).update(
                counter_name(price.feature_id, subscription.resource_id)
                for price in prices
                if price.model is PriceModel.USAGE_BASED and price.feature_id is not None
            )
    return {provider: sorted(features) for provider, features in sorted(found.items()) if features}


class _Compilation:
    """Sources, and what each says of which feature."""

    def __init__(
        self,
        versions: Mapping[VersionKey, PackageVersion],
        features: Mapping[FeatureId, Feature],
    ) -> None:
        self._versions = versions
        self._features = features
        self.sources: list[SourceDocument] = []
        self.shares: dict[str, FeatureDocument] = {}

    def add(self, source: SourceDocument, entitlements: Sequence[Entitlement]) -> None:
        """The source gives these entitlements."""
        index = len(self.sources)
        self.sources.append(source)
        for entitlement in entitlements:
            feature = self._features[entitlement.feature_id]
            entry = self.shares.setdefault(feature.id, {"type": feature.type, "shares": []})
            entry["shares"].append(_share(entitlement, index))

    def add_span(self, subscription: Subscription, span: Span) -> None:
        """The subscription gives this for this long."""
        sold_by_unit = {
            key: per_unit_features(self._versions[key].content) for key, _ in span.packages
        }
        of_addons = {
            feature_id
            for key, sold in sold_by_unit.items()
            if key != span.plan
            for feature_id in sold
        }
        for key, quantity in span.packages:
            own = set(span.quantities) & sold_by_unit[key]
            if key == span.plan:
                # Whatever no add-on sells is the plan's, even if its price there is gone.
                own = set(span.quantities) - of_addons
            bought = {feature_id: span.quantities[feature_id] for feature_id in own}
            behavior = Behavior.OVERRIDE if key == span.plan else Behavior.INCREMENT
            entitlements = _with_bought(
                self._versions[key].entitlements, bought, self._features, behavior
            )
            self.add(_source(subscription, span, key, quantity), entitlements)


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


def bought_share(
    entitlement: Entitlement | None, feature: Feature, units: int | None, source: int
) -> ShareDocument | None:
    """What a plan with this entitlement says of the feature when so many units are bought; None: nothing."""
    given = [entitlement] if entitlement is not None else []
    bought = {feature.id: units} if units is not None else {}
    merged = _with_bought(given, bought, {feature.id: feature}, Behavior.OVERRIDE)
    return _share(merged[0], source) if merged else None


def _source(
    subscription: Subscription, span: Span, key: VersionKey, quantity: int
) -> SourceDocument:
    kind, package_id, number = key
    source: SourceDocument = {
        "type": "plan" if kind is PackageKind.PLAN else "addon",
        "id": package_id,
        "version": number,
        "subscription_id": subscription.id,
        "start": epoch_ms(span.start),
    }
    if subscription.resource_id is not None:
        source["resource"] = subscription.resource_id
    if quantity != 1:
        source["quantity"] = quantity
    if span.end is not None:
        source["end"] = epoch_ms(span.end)
    anchor = epoch_ms(subscription.started_at)
    if anchor != source["start"]:
        # A change in the middle of a usage period does not begin another.
        source["anchor"] = anchor
    return source


def _granted_by(grant: Grant) -> SourceDocument:
    source: SourceDocument = {"type": "grant", "id": grant.id, "start": epoch_ms(grant.created_at)}
    if grant.resource_id is not None:
        source["resource"] = grant.resource_id
    if grant.expires_at is not None:
        source["end"] = epoch_ms(grant.expires_at)
    return source


def _revoked(grants: Iterable[Grant]) -> list[str]:
    latest: dict[str, datetime] = {}
    for grant in grants:
        if grant.revoked_at is not None:
            name = counter_name(grant.entitlement.feature_id, grant.resource_id)
            latest[name] = max(latest.get(name, grant.revoked_at), grant.revoked_at)
    newest_first = sorted(latest, key=lambda name: (latest[name], name))[::-1]
    return sorted(newest_first[:MAX_REVOKED])


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
