"""Events that the operator's application hears of: what they are called, and the record that announces one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final


class OutboundType(StrEnum):
    """What can have happened. Names are `noun.verb`; a subscription to events may name all of a noun (`noun.*`)."""

    SUBSCRIPTION_CREATED = "subscription.created"
    SUBSCRIPTION_UPDATED = "subscription.updated"
    SUBSCRIPTION_ACTIVATED = "subscription.activated"
    SUBSCRIPTION_PAST_DUE = "subscription.past_due"
    SUBSCRIPTION_PAUSED = "subscription.paused"
    SUBSCRIPTION_CANCELED = "subscription.canceled"
    SUBSCRIPTION_EXPIRED = "subscription.expired"
    TRIAL_STARTED = "trial.started"
    TRIAL_WILL_END = "trial.will_end"
    TRIAL_ENDED = "trial.ended"
    TRIAL_CONVERTED = "trial.converted"
    ENTITLEMENTS_UPDATED = "entitlements.updated"
    CUSTOMER_STATE_CHANGED = "customer.state_changed"
    USAGE_THRESHOLD_REACHED = "usage.threshold_reached"
    SYNC_FAILED = "sync.failed"
    WEBHOOK_TEST = "webhook.test"


EVERYTHING: Final = "*"


def event_patterns() -> tuple[str, ...]:
    """All that an endpoint may ask for: everything, a noun's events, or one type."""
    nouns = dict.fromkeys(f"{kind.partition('.')[0]}.*" for kind in OutboundType)
    return (EVERYTHING, *nouns, *OutboundType)


def is_wanted(kind: OutboundType, patterns: tuple[str, ...]) -> bool:
    """Whether one of the patterns names this type."""
    return any(
        pattern in (EVERYTHING, kind.value, f"{kind.partition('.')[0]}.*") for pattern in patterns
    )


class OutboundStatus(StrEnum):
    """Whether deliveries of the event exist yet."""

    PENDING = "pending"
    DISPATCHED = "dispatched"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundEvent:
    """Something that happened, written in the commit by which it did. `data` holds JSON values only.

    Ids sort by time. `customer_id` is None of what concerns no customer. `kept_until` is set where it has to be
    there for long, because that it is there keeps the same from being told again.
    """

    id: str
    type: OutboundType
    customer_id: str | None = None
    data: Mapping[str, object]
    created_at: datetime
    status: OutboundStatus = OutboundStatus.PENDING
    kept_until: datetime | None = None
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one event from another."""
        return (self.id,)


def dispatched(event: OutboundEvent) -> OutboundEvent:
    """The event, with a delivery for each endpoint that wants it."""
    return replace(event, status=OutboundStatus.DISPATCHED, revision=event.revision + 1)


def envelope(event: OutboundEvent, environment: str) -> dict[str, object]:
    """What is sent, as JSON values: the same in every attempt."""
    return {
        "object": "event",
        "id": event.id,
        "type": event.type.value,
        "timestamp": event.created_at.isoformat().replace("+00:00", "Z"),
        "environment": environment,
        "data": dict(event.data),
    }
