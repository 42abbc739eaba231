"""Billing events: every notification a provider ever delivered, kept once, and what became of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chalicelib.domain.ids import CustomerId


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
