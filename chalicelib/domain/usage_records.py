"""What is remembered of each report of usage: enough to answer a repetition as the first time, and to be counted."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from chalicelib.domain.ids import CustomerId, derived_id

# How late a report may be, and how early by somebody's fast clock: what billing providers take, too.
OLDEST: Final = timedelta(days=35)
NEWEST: Final = timedelta(minutes=5)
# A key binds for as long as what it stands for could be reported again.
KEPT_FOR: Final = timedelta(days=40)


class UsageKey(StrEnum):
    """What a key was used for: the same key for something else is another request."""

    REPORT = "report"
    EVENT = "event"
    CONSUME = "consume"
    RESERVE = "reserve"
    COMMIT = "commit"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRecord:
    """One report that was counted. `fingerprint` tells its request, `answer` is what was answered, as JSON.

    `counted` is what it added to the counters of the present period, and to those of its hour.
    """

    id: str
    customer_id: CustomerId
    kind: UsageKey
    fingerprint: str
    counter: str | None
    counted: int
    at: datetime
    recorded_at: datetime
    expires_at: datetime
    answer: str

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one report from another: a digest of customer and key."""
        return (self.id,)


def record_id(customer_id: CustomerId, kind: UsageKey, key: str) -> str:
    """The id of what is counted under this key: the customer's own keys are one set, ids of reservations another."""
    if kind is UsageKey.COMMIT:
        return derived_id("rec_", customer_id, kind, key)
    return derived_id("rec_", customer_id, key)


class ReservationStatus(StrEnum):
    """What became of a reservation. An open one that has expired binds nobody."""

    OPEN = "open"
    COMMITTED = "committed"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Units that count against the limit from `created_at` until they are used, released, or expire."""

    id: str
    customer_id: CustomerId
    feature_id: str
    counter: str
    amount: int
    period_start_ms: int
    status: ReservationStatus
    created_at: datetime
    expires_at: datetime
    committed: int | None = None
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one reservation from another."""
        return (self.id,)


@dataclass(frozen=True, slots=True, kw_only=True)
class UniqueValue:
    """A value that a `unique` meter has counted in the period that began then; `value` is a digest of it."""

    customer_id: CustomerId
    counter: str
    period_start_ms: int
    value: str
    expires_at: datetime | None = None

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one value of a period from another."""
        return (self.customer_id, self.counter, str(self.period_start_ms), self.value)
