"""Telling the application that usage has reached a part of its limit: once for each part, period and limit.

The event's id is derived from these, and it is written with a count that finds the part reached and the event not
there. So none is told twice; of two that count at once neither may see the part reached, and then the next one does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from chalicelib.domain.decisions import Decision
from chalicelib.domain.ids import CustomerId, derived_id
from chalicelib.domain.outbound_events import OutboundEvent, OutboundType
from chalicelib.domain.snapshot_documents import epoch_ms
from chalicelib.domain.usage_scopes import counted_by
from chalicelib.ports import Ports

PERCENT: Final = (80, 100)
# From the end of the period, or, of usage that never resets, from the event.
_KEPT: Final = timedelta(days=30)
_KEPT_ALWAYS: Final = timedelta(days=36_500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a counter stands when a report is counted."""

    counter: str
    state: Decision


def reached(
    ports: Ports, customer_id: CustomerId, standing: Standing, now: datetime
) -> Iterator[OutboundEvent]:
    """The events of all parts that are reached and were not told of."""
    state = standing.state
    if state.usage_limit is None or state.current_usage is None:
        return
    for percent in PERCENT:
        if state.current_usage * 100 < state.usage_limit * percent or not state.usage_limit:
            continue
        part = (str(state.period_start_ms), str(state.usage_limit), str(percent))
        event_id = derived_id("event_", customer_id, standing.counter, *part)
        if ports.store.get(OutboundEvent, event_id) is None:
            yield _event(event_id, customer_id, standing, percent, now)


def _event(
    event_id: str, customer_id: CustomerId, standing: Standing, percent: int, now: datetime
) -> OutboundEvent:
    feature_id, resource_id = counted_by(standing.counter)
    return OutboundEvent(
        id=event_id,
        type=OutboundType.USAGE_THRESHOLD_REACHED,
        customer_id=customer_id,
        data={
            "customer_id": customer_id,
            "feature_id": feature_id,
            "resource_id": resource_id,
            "threshold_percent": percent,
            "current_usage": standing.state.current_usage,
            "usage_limit": standing.state.usage_limit,
        },
        created_at=now,
        kept_until=_kept_until(standing.state, now),
    )


def _kept_until(state: Decision, now: datetime) -> datetime:
    """Until when the same limit could be reached again in this period, and long enough to be delivered."""
    if state.period_end_ms is None:
        return now + _KEPT_ALWAYS
    return now + timedelta(milliseconds=max(0, state.period_end_ms - epoch_ms(now))) + _KEPT
