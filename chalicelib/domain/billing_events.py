"""Billing events: every notification a provider ever delivered, kept once, and what became of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from chalicelib.domain.ids import CustomerId

UNKNOWN_CUSTOMER: Final = "unknown_customer"
# An event whose customer nobody knows is most likely another system's in the same account: it is asked for
# less and less often, and given up when the provider, too, would have stopped retrying.
_FIRST_WAIT: Final = timedelta(minutes=1)
_GIVE_UP_AFTER: Final = timedelta(days=3)


class BillingEventStatus(StrEnum):
    """What became of a delivery. `pending` covers those parked until their customer is known."""

    PENDING = "pending"
    PROCESSED = "processed"
    FAILED = "failed"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingEvent:
    """One event of a provider. Its payload is not kept: it may hold personal data and is never truth."""

    provider: str
    id: str
    type: str
    status: BillingEventStatus
    reason: str | None = None
    live: bool
    api_version: str | None
    object_id: str | None
    customer_billing_id: str | None
    customer_id: CustomerId | None = None
    attempts: int = 0
    created_at: datetime
    received_at: datetime
    processed_at: datetime | None = None
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one event from another."""
        return (self.id,)

    @property
    def is_parked(self) -> bool:
        """Whether it waits for its customer to become known."""
        return self.status is BillingEventStatus.PENDING and self.reason == UNKNOWN_CUSTOMER

    def is_given_up_at(self, now: datetime) -> bool:
        """Whether its customer has been waited for long enough."""
        return now - self.received_at >= _GIVE_UP_AFTER

    @property
    def wait(self) -> timedelta:
        """How long after its coming in it is tried again: twice as long as the time before."""
        doublings = min(self.attempts, 13)  # longer than we go on
        wait = _FIRST_WAIT * (1 << doublings)
        return min(wait, _GIVE_UP_AFTER) if self.is_parked else wait

    def is_due_at(self, now: datetime) -> bool:
        """Whether it is worth another try; a parked one is a last time when it is given up.

        What a provider's silence held up for so long is left to reconciliation.
        """
        is_late = self.is_given_up_at(now) and not self.is_parked
        return not is_late and now - self.received_at >= self.wait
