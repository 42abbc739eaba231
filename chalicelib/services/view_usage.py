"""The history of usage: what the hours remember, put together by hour, day, week or month of the UTC calendar."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from chalicelib.domain.errors import FeatureNotMeteredError, NotFoundError, invalid
from chalicelib.domain.features import Aggregation, Feature, FeatureType, UsageKind
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.periods import usage_period
from chalicelib.domain.snapshot_documents import epoch_ms
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.usage_scopes import counter_name
from chalicelib.ports import Ports
from chalicelib.services.known_features import find_feature

MAX_INTERVALS: Final = 1000


class Interval(StrEnum):
    """How long each part of a history is."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Usage from `start_ms` until before `end_ms`: its sum; of what has a value, that value, or None if unknown."""

    start_ms: int
    end_ms: int
    usage: int | None


def view_usage(
    ports: Ports,
    customer_id: CustomerId,
    feature_id: str,
    interval: Interval,
    begin: datetime,
    end: datetime,
    *,
    resource_id: str | None = None,
) -> tuple[Span, ...]:
    """The intervals that the time from `begin` until before `end` touches, each whole, in order.

    Raises:
        NotFoundError: There is no such customer or feature.
        FeatureNotMeteredError: The feature has no usage.
        InvalidError: The end is not after the beginning, or there are too many intervals.
    """
    if end <= begin:
        raise invalid("to", "out_of_range", "The end comes after the beginning.")
    feature = find_feature(ports, feature_id)
    if feature is None:
        raise NotFoundError("feature", feature_id)
    if feature.type is not FeatureType.METERED:
        raise FeatureNotMeteredError(f"The feature {feature_id!r} has no usage.")
    if ports.store.get(Snapshot, customer_id) is None:
        raise NotFoundError("customer", customer_id)
    spans = _spans(interval, epoch_ms(begin), epoch_ms(end))
    name = counter_name(feature_id, resource_id)
    hours = ports.usage.hours(customer_id, name, spans[0][0], spans[-1][1] - 1)
    whole = _whole(feature)
    return tuple(
        Span(start_ms=first, end_ms=last, usage=whole(_within(hours, first, last)))
        for first, last in spans
    )


def _spans(interval: Interval, begin_ms: int, end_ms: int) -> list[tuple[int, int]]:
    spans = [usage_period(interval, None, begin_ms)]
    while spans[-1][1] < end_ms:
        if len(spans) == MAX_INTERVALS:
            raise invalid("interval", "too_many", f"A history has at most {MAX_INTERVALS} parts.")
        spans.append(usage_period(interval, None, spans[-1][1]))
    return spans


def _within(hours: Mapping[int, int], first_ms: int, last_ms: int) -> list[int]:
    """What the hours of the span remember, in order."""
    return [number for at, number in sorted(hours.items()) if first_ms <= at < last_ms]


def _whole(feature: Feature) -> Callable[[list[int]], int | None]:
    """How hours make a longer time."""
    aggregation = feature.meter.aggregation if feature.meter is not None else None
    if aggregation is Aggregation.MAX:
        return lambda hours: max(hours, default=None)
    if aggregation is Aggregation.MIN:
        return lambda hours: min(hours, default=None)
    if aggregation is Aggregation.LATEST or feature.usage_kind is UsageKind.FLUCTUATING:
        return lambda hours: hours[-1] if hours else None
    return _sum


def _sum(hours: Iterable[int]) -> int:
    return sum(hours)
