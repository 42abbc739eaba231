"""Features: the things an application asks about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

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
    value: str | int | bool | None = None


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


def feature_violations(feature: Feature) -> tuple[Violation, ...]:
    """Every contradiction between the feature's type and its fields; empty when there is none."""
    found: list[Violation] = []

    def refuse(param: str, code: str, detail: str) -> None:
        found.append(Violation(param=param, code=code, detail=detail))

    is_metered = feature.type is FeatureType.METERED
    if feature.type is FeatureType.ENUM and not feature.values:
        refuse("values", "required", "An enum feature lists its values.")
    if feature.type is not FeatureType.ENUM and feature.values:
        refuse("values", "not_allowed", f"A {feature.type} feature has no values.")
    if len(set(feature.values)) != len(feature.values):
        refuse("values", "duplicate", "The values of an enum feature differ from each other.")
    if feature.usage_kind is not None and not is_metered:
        refuse("usage_kind", "not_allowed", f"A {feature.type} feature has no usage.")
    if feature.meter is not None:
        if not is_metered:
            refuse("meter", "not_allowed", f"A {feature.type} feature has no meter.")
        needs_property = feature.meter.aggregation is not Aggregation.COUNT
        if needs_property and not feature.meter.property:
            refuse(
                "meter.property",
                "required",
                f"{feature.meter.aggregation} needs the property it aggregates.",
            )
    return tuple(found)
