"""How often a customer may begin to pay: cards are tested by beginning again and again.

A log of the last attempts, not a counter by the minute: no minute, wherever it begins, has more than the limit.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from chalicelib.domain.ids import CustomerId

WINDOW: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutAttempts:
    """When the customer last began a checkout, oldest first; forgotten at `expires_at`."""

    customer_id: CustomerId
    at: tuple[datetime, ...]
    expires_at: datetime
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one customer's attempts from another's."""
        return (self.customer_id,)


def first(customer_id: CustomerId, now: datetime) -> CheckoutAttempts:
    """The attempts of a customer who begins now for the first time."""
    return CheckoutAttempts(customer_id=customer_id, at=(now,), expires_at=now + WINDOW)


def one_more(attempts: CheckoutAttempts, now: datetime, limit: int) -> CheckoutAttempts | int:
    """The attempts with one at `now`; or the seconds to wait where the window has `limit` of them already."""
    # What lies in the future was written by a clock ahead of ours: it counts, and never for longer than the window.
    recent = tuple(min(one, now) for one in attempts.at if one > now - WINDOW)
    if len(recent) >= limit:
        return max(1, ceil((recent[-limit] + WINDOW - now).total_seconds()))
    return replace(
        attempts,
        at=(*recent, now),
        expires_at=now + WINDOW,
        revision=attempts.revision + 1,
    )
