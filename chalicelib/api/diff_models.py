"""What a draft's difference and its impact look like over HTTP."""

from typing import Any, Literal

from chalicelib.api.wire import Wire
from chalicelib.domain.diffs import ChangeKind, PartChange
from chalicelib.domain.impacts import Effect, ImpactStatus, Tally, whole_minor_units
from chalicelib.domain.plans import PackageKind
from chalicelib.services.diff_package import PackageDiff


class EntitlementChangeOut(Wire):
    """An entitlement that differs; `before` and `after` hold the fields that do."""

    feature_id: str
    change: ChangeKind
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class PriceChangeOut(Wire):
    """A price that differs; `before` and `after` hold the fields that do."""

    price_id: str
    change: ChangeKind
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class FieldChangeOut(Wire):
    """Another field that differs."""

    field: str
    before: Any
    after: Any


class FeatureImpactOut(Wire):
    """How many subscribers gain or lose the feature, get more or less of it, or already use more than the new limit.

    `customers` names the first ten of each.
    """

    feature_id: str
    gained: int
    lost: int
    raised: int
    lowered: int
    changed: int
    over_limit: int
    customers: dict[Effect, tuple[str, ...]]


class RevenueOut(Wire):
    """What the subscribers are charged a month in one currency, in minor units, without usage and one-off prices."""

    currency: str
    before: int
    after: int
    change: int


class ImpactOut(Wire):
    """What it would mean if every subscriber got the draft.

    Up to 500 subscribers are counted at once. For more, `POST .../impact` starts a count, and this shows how far it
    is. `unpriced` paying subscribers have terms that the draft has no price for: they would stay as they are.
    """

    object: Literal["impact"] = "impact"
    status: ImpactStatus
    subscribers: int
    subscribers_by_version: dict[str, int]
    features: tuple[FeatureImpactOut, ...]
    monthly_revenue: tuple[RevenueOut, ...]
    unpriced: int


class DiffOut(Wire):
    """A draft against what is sold (`from_version`; null: nothing yet)."""

    object: Literal["diff"] = "diff"
    package_type: PackageKind
    package_id: str
    from_version: int | None
    revision: int
    entitlements: tuple[EntitlementChangeOut, ...]
    prices: tuple[PriceChangeOut, ...]
    fields: tuple[FieldChangeOut, ...]
    impact: ImpactOut


def diff_from_domain(found: PackageDiff) -> DiffOut:
    """The difference as it is shown."""
    package, diff = found.package, found.diff
    return DiffOut(
        package_type=package.kind,
        package_id=package.id,
        from_version=package.published_version,
        revision=package.revision,
        entitlements=tuple(
            EntitlementChangeOut(feature_id=part.id, **_part(part)) for part in diff.entitlements
        ),
        prices=tuple(PriceChangeOut(price_id=part.id, **_part(part)) for part in diff.prices),
        fields=tuple(
            FieldChangeOut(field=one.field, before=one.before, after=one.after)
            for one in diff.fields
        ),
        impact=impact_from_domain(found.impact.status, found.impact.tally),
    )


def _part(part: PartChange) -> dict[str, Any]:
    return {
        "change": part.change,
        "before": None if part.before is None else dict(part.before),
        "after": None if part.after is None else dict(part.after),
    }


def impact_from_domain(status: ImpactStatus, tally: Tally) -> ImpactOut:
    """The tally as it is shown."""
    money = {
        currency: (whole_minor_units(held.before), whole_minor_units(held.after))
        for currency, held in sorted(tally.money.items())
    }
    return ImpactOut(
        status=status,
        subscribers=tally.subscribers,
        subscribers_by_version={
            str(version): count for version, count in sorted(tally.by_version.items())
        },
        features=tuple(
            FeatureImpactOut(
                feature_id=feature_id,
                **{effect.value: impact.counts.get(effect, 0) for effect in Effect},
                customers={effect: impact.customers[effect] for effect in sorted(impact.customers)},
            )
            for feature_id, impact in sorted(tally.features.items())
        ),
        monthly_revenue=tuple(
            RevenueOut(currency=currency, before=before, after=after, change=after - before)
            for currency, (before, after) in money.items()
        ),
        unpriced=tally.unpriced,
    )
