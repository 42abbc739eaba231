"""Features: the things an application asks about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from chalicelib.domain.errors import Violation
from chalicelib.domain.ids import FeatureId


class FeatureType(StrEnum):
    """What an entitlement to the feature consists of: a yes, a number, some names, or an allowance."""

    BOOLEAN = "boolean"
    NUMERIC = "numeric"
    ENUM = "enum"
    METERED = "metered"


class UsageKind(StrEnum):
    """Whether usage only grows within a period or goes up and down (seats)."""

    INCREMENTAL = "incremental"
    FLUCTUATING = "fluctuating"


class Aggregation(StrEnum):
    """How a meter makes one number of many events."""

    SUM = "sum"
    COUNT = "count"
    UNIQUE = "unique"
    MAX = "max"
    MIN = "min"
    LATEST = "latest"


class Lifecycle(StrEnum):
    """Whether a thing can still be used for something new."""

    ACTIVE = "active"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterCondition:
    """One comparison of an event's property."""

    property: str
    op: str
    value: str | int | bool | tuple[str | int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """How usage is computed from events: `filters` is an OR of ANDs."""

    aggregation: Aggregation
    property: str | None = None
    filters: tuple[tuple[MeterCondition, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A named capability of the application."""

    id: FeatureId
    name: str
    type: FeatureType
    usage_kind: UsageKind | None = None
    unit: str | None = None
    values: tuple[str, ...] = ()
    meter: Meter | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    status: Lifecycle = Lifecycle.ACTIVE
    version: int = 1
    created_at: datetime

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one feature from another."""
        return (self.id,)


def default_usage_kind(kind: FeatureType, meter: Meter | None = None) -> UsageKind | None:
    """The kind of usage of a feature of this type when nobody says which; None where there is no usage."""
    return usual_kind(meter) if kind is FeatureType.METERED else None


def feature_change_violations(before: Feature, after: Feature) -> tuple[Violation, ...]:
    """Every reason why the one can't become the other: what a feature is stays, and values are only ever added."""
    found = [
        Violation(param=name, code="immutable", detail=f"The {name} of a feature never changes.")
        for name in ("type", "usage_kind", "meter")
        if getattr(before, name) != getattr(after, name)
    ]
    gone = [value for value in before.values if value not in after.values]
    if gone:
        detail = f"The value {gone[0]!r} can't be removed."
        found.append(Violation(param="values", code="in_use", detail=detail))
    return (*found, *feature_violations(after))


def feature_violations(feature: Feature) -> tuple[Violation, ...]:
    """Every contradiction between the feature's type and its fields; empty when there is none."""
    refusals = [*_type_refusals(feature)]
    if feature.meter is not None:
        refusals += _meter_refusals(feature, feature.meter)
    return tuple(
        Violation(param=param, code=code, detail=detail) for param, code, detail in refusals
    )


_Refusal = tuple[str, str, str]
"""The field's path, a stable code, and what is wrong with it."""


def _type_refusals(feature: Feature) -> Iterable[_Refusal]:
    is_metered = feature.type is FeatureType.METERED
    if feature.type is FeatureType.ENUM and not feature.values:
        yield "values", "required", "An enum feature lists its values."
    if feature.type is not FeatureType.ENUM and feature.values:
        yield "values", "not_allowed", f"A {feature.type} feature has no values."
    if len(set(feature.values)) != len(feature.values):
        yield "values", "duplicate", "The values of an enum feature differ from each other."
    if feature.usage_kind is not None and not is_metered:
        yield "usage_kind", "not_allowed", f"A {feature.type} feature has no usage."


def _meter_refusals(feature: Feature, meter: Meter) -> Iterable[_Refusal]:
    if feature.type is not FeatureType.METERED:
        yield "meter", "not_allowed", f"A {feature.type} feature has no meter."
    if meter.aggregation is not Aggregation.COUNT and not meter.property:
        detail = f"{meter.aggregation} needs the property it aggregates."
        yield "meter.property", "required", detail
    if meter.aggregation is Aggregation.COUNT and meter.property:
        yield "meter.property", "not_allowed", "A count looks at no property."
    wanted = _USAGE_KINDS.get(meter.aggregation)
    if None not in (wanted, feature.usage_kind) and feature.usage_kind is not wanted:
        detail = f"What is metered by {meter.aggregation} is {wanted}."
        yield "usage_kind", "contradicts_meter", detail
    for group_index, group in enumerate(meter.filters):
        if not group:
            at = f"meter.filters[{group_index}]"
            yield at, "required", "A group of conditions has at least one."
        for index, condition in enumerate(group):
            yield from _condition_refusals(condition, f"meter.filters[{group_index}][{index}]")


def _condition_refusals(condition: MeterCondition, at: str) -> Iterable[_Refusal]:
    allowed = _OPERANDS.get(condition.op)
    value = condition.value
    if allowed is None:
        detail = f"An operation is one of {', '.join(sorted(_OPERANDS))}."
        yield f"{at}.op", "unknown_value", detail
    elif not allowed:
        if value is not None:
            yield f"{at}.value", "not_allowed", f"{condition.op} compares with nothing."
    elif value is None or value == ():
        yield f"{at}.value", "required", f"{condition.op} needs something to compare with."
    elif type(value) not in allowed:
        yield f"{at}.value", "wrong_type", f"{condition.op} can't compare with that."


# What a kind of aggregation makes of usage: a count only grows, the latest value goes up and down.
_USAGE_KINDS: Final = {
    Aggregation.COUNT: UsageKind.INCREMENTAL,
    Aggregation.LATEST: UsageKind.FLUCTUATING,
}
_ANY: Final = frozenset({str, int, bool})
_OPERANDS: Final[Mapping[str, frozenset[type]]] = {
    "equals": _ANY,
    "not_equals": _ANY,
    "contains": frozenset({str}),
    "starts_with": frozenset({str}),
    "ends_with": frozenset({str}),
    "in": frozenset({tuple}),
    "greater_than": frozenset({int}),
    "greater_than_or_equal": frozenset({int}),
    "less_than": frozenset({int}),
    "less_than_or_equal": frozenset({int}),
    "is_null": frozenset(),
    "is_not_null": frozenset(),
}


def usual_kind(meter: Meter | None) -> UsageKind:
    """What kind of usage it is when nobody says so."""
    usual = _USAGE_KINDS.get(meter.aggregation) if meter is not None else None
    return usual or UsageKind.INCREMENTAL
