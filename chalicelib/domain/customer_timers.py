"""When time alone next changes something that a customer's application is told of: how the minute's sweep finds it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chalicelib.domain.ids import CustomerId

ARMED: Final = "armed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerTimer:
    """One for each customer, written with the snapshot: `told_at` is when the customer's state was last told.

    `at` None: time changes nothing; such a one is not found by its state.
    """

    customer_id: CustomerId
    told_at: datetime
    at: datetime | None = None

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one timer from another."""
        return (self.customer_id,)

    @property
    def state(self) -> str:
        """What the sweep looks for."""
        return ARMED if self.at is not None else ""
