"""Entitlements: what a plan, add-on or grant says about one feature, and whether it may say so."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.errors import Violation
from chalicelib.domain.features import Feature, FeatureType, Lifecycle
from chalicelib.domain.ids import FeatureId


class ResetPeriod(StrEnum):
    """How often usage starts again from zero."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class ResetAnchor(StrEnum):
    """Where the periods begin: at the subscription's start or at the calendar's (UTC, weeks on Monday)."""

    SUBSCRIPTION_START = "subscription_start"
    CALENDAR = "calendar"


class Behavior(StrEnum):
    """Whether the entitlement competes with the others or adds to the winner."""

    OVERRIDE = "override"
    INCREMENT = "increment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """One feature's share of a plan, add-on or grant.

    `value` is a bool for boolean features and an int for numeric ones; `values` are the allowed names of an
    enum; the limit fields belong to metered features, where `usage_limit` None needs `is_unlimited`. Where it is
    granted, so is the feature that it depends on.
    """

    feature_id: FeatureId
    value: bool | int | None = None
    values: tuple[str, ...] = ()
    usage_limit: int | None = None
    is_unlimited: bool = False
    has_soft_limit: bool = False
    reset_period: ResetPeriod | None = None
    reset_anchor: ResetAnchor = ResetAnchor.SUBSCRIPTION_START
    behavior: Behavior = Behavior.OVERRIDE
    depends_on_feature_id: FeatureId | None = None


def entitlement_violations(
    entitlements: Sequence[Entitlement], features: Mapping[FeatureId, Feature]
) -> tuple[Violation, ...]:
    """Every contradiction between entitlements and their features; empty when all can be granted."""
    found: list[Violation] = []
    first_at: dict[FeatureId, int] = {}
    for index, entitlement in enumerate(entitlements):
        at = f"entitlements[{index}]"
        feature = features.get(entitlement.feature_id)
        if entitlement.feature_id in first_at:
            detail = (
                f"entitlements[{first_at[entitlement.feature_id]}] is about this feature already."
            )
            found.append(Violation(param=f"{at}.feature_id", code="duplicate", detail=detail))
        first_at.setdefault(entitlement.feature_id, index)
        if feature is None:
            detail = f"No feature has the id {entitlement.feature_id!r}."
            found.append(Violation(param=f"{at}.feature_id", code="unknown_feature", detail=detail))
        elif feature.status is Lifecycle.ARCHIVED:
            detail = f"The feature {feature.id!r} is archived."
            found.append(Violation(param=f"{at}.feature_id", code="archived", detail=detail))
        else:
            found += (
                Violation(param=f"{at}.{field}", code=code, detail=detail)
                for field, code, detail in _mismatches(entitlement, feature)
            )
    return tuple(found)


_Mismatch = tuple[str, str, str]
"""The field, a stable code, and what is wrong with it."""


def _mismatches(entitlement: Entitlement, feature: Feature) -> Iterable[_Mismatch]:
    yield from _value_mismatches(entitlement, feature.type)
    yield from _values_mismatches(entitlement, feature)
    if feature.type is FeatureType.METERED:
        yield from _limit_mismatches(entitlement)
    else:
        yield from _usage_mismatches(entitlement, feature.type)


def _value_mismatches(entitlement: Entitlement, kind: FeatureType) -> Iterable[_Mismatch]:
    value = entitlement.value
    if kind is FeatureType.BOOLEAN:
        if not isinstance(value, bool):
            yield "value", "required", "The value of a boolean feature is true or false."
        if entitlement.behavior is Behavior.INCREMENT:
            yield "behavior", "not_allowed", "A boolean feature can't be incremented."
    elif kind is FeatureType.NUMERIC:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            detail = "The value of a numeric feature is a whole number of at least 0."
            yield "value", "required", detail
    elif value is not None:
        yield "value", "not_allowed", f"A {kind} feature has no single value."


def _values_mismatches(entitlement: Entitlement, feature: Feature) -> Iterable[_Mismatch]:
    if feature.type is not FeatureType.ENUM:
        if entitlement.values:
            yield "values", "not_allowed", f"A {feature.type} feature has no values."
        return
    unknown = sorted(set(entitlement.values) - set(feature.values))
    if unknown:
        yield "values", "unknown_value", f"The feature has no value {unknown[0]!r}."
    if not entitlement.values:
        yield "values", "required", "An enum entitlement lists at least one value."


def _limit_mismatches(entitlement: Entitlement) -> Iterable[_Mismatch]:
    if entitlement.is_unlimited == (entitlement.usage_limit is not None):
        detail = "A metered entitlement has either a usage_limit or is_unlimited."
        yield "usage_limit", "required", detail
    if entitlement.usage_limit is not None and entitlement.usage_limit < 0:
        yield "usage_limit", "out_of_range", "A usage limit is at least 0."
    if entitlement.is_unlimited and entitlement.has_soft_limit:
        yield "has_soft_limit", "not_allowed", "An unlimited entitlement has no limit to be soft."


def _usage_mismatches(entitlement: Entitlement, kind: FeatureType) -> Iterable[_Mismatch]:
    is_limited = entitlement.usage_limit is not None
    if is_limited or entitlement.is_unlimited or entitlement.has_soft_limit:
        yield "usage_limit", "not_allowed", f"A {kind} feature has no usage limit."
    if entitlement.reset_period is not None:
        yield "reset_period", "not_allowed", f"A {kind} feature has no usage to reset."


def inherit(parent: Sequence[Entitlement], own: Sequence[Entitlement]) -> tuple[Entitlement, ...]:
    """The parent's entitlements, each replaced by the child's own of the same feature, in feature order."""
    merged = {entitlement.feature_id: entitlement for entitlement in parent}
    merged.update({entitlement.feature_id: entitlement for entitlement in own})
    return tuple(merged[feature_id] for feature_id in sorted(merged))
