"""Meters at billing providers: one for each feature whose usage is charged, shared by all its prices."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from chalicelib.domain.features import Aggregation, Feature, FeatureType, UsageKind
from chalicelib.domain.prices import meter_token

# Stripe's bound of an event name; names are readable and end in the token.
_EVENT_NAME_LENGTH: Final = 100
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_]")
_OURS: Final = re.compile(r"pg_.*_([0-9a-f]{12})")


class MeterFormula(StrEnum):
    """How a provider makes one number of what is reported to it."""

    SUM = "sum"
    COUNT = "count"
    LAST = "last"


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorMeter:
    """How a feature's meter must look at the provider. `event_name` is its identity, and the formula never changes."""

    event_name: str
    display_name: str
    formula: MeterFormula


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedMeter:
    """A meter as the provider holds it; of several with one event name, the active one."""

    billing_id: str
    event_name: str
    display_name: str
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateMeter:
    """Have an active meter of this event name: one that is there serves."""

    meter: MirrorMeter


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateMeter:
    """Set what the meter is called, and have it take events if it does not."""

    billing_id: str
    meter: MirrorMeter
    reactivate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteredUsage:
    """Usage of one customer as its provider is told of it: counted once for each `id`, for a day at least."""

    id: str
    event_name: str
    customer_billing_id: str
    value: int
    at: datetime


MeterStep = CreateMeter | UpdateMeter


_FORMULAS: Final[Mapping[Aggregation, MeterFormula]] = {
    Aggregation.SUM: MeterFormula.SUM,
    Aggregation.COUNT: MeterFormula.COUNT,
    Aggregation.LATEST: MeterFormula.LAST,
}


def formula_of(feature: Feature) -> MeterFormula | None:
    """What the provider computes for the feature; None if no provider can, or nothing is metered.

    Usage that is reported and not computed from events adds up, or, where it goes up and down, the latest counts.
    """
    if feature.type is not FeatureType.METERED:
        return None
    if feature.meter is not None:
        return _FORMULAS.get(feature.meter.aggregation)
    if feature.usage_kind is UsageKind.FLUCTUATING:
        return MeterFormula.LAST
    return MeterFormula.SUM


def event_name(environment: str, feature: Feature) -> str:
    """The name under which the feature's usage is reported: the same for ever, and no other feature's."""
    token = meter_token(feature.id)
    readable = _UNSAFE.sub("_", f"pg_{environment}_{feature.id}")
    return f"{readable[: _EVENT_NAME_LENGTH - len(token) - 1]}_{token}"


def token_in(name: str) -> str | None:
    """The token of the meter with this event name; None if it is none of ours."""
    match = _OURS.fullmatch(name)
    return match[1] if match else None


def mirror_meter(environment: str, feature: Feature) -> MirrorMeter | None:
    """How the feature's meter must look; None if no provider can compute its usage."""
    formula = formula_of(feature)
    if formula is None:
        return None
    return MirrorMeter(
        event_name=event_name(environment, feature),
        display_name=feature.name,
        formula=formula,
    )
