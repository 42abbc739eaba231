"""A look at what the environment stands on: can tables and queues be reached, and does work pile up.

It fails for nothing: that something can't be reached is what is asked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from chalicelib.domain.billing_events import BillingEvent, BillingEventStatus
from chalicelib.domain.customers import Customer
from chalicelib.domain.products import Product
from chalicelib.domain.sync import SyncTask, SyncTaskStatus
from chalicelib.domain.usage_charges import ChargeStatus, UsageCharge
from chalicelib.ports import Ports, QueueDepth, QueueName

T = TypeVar("T")
# No id of ours: reading it costs the least, and finds nothing.
_NOBODY: Final = "health-check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """`tables` by name; `queues` is None if they can't be reached, the age if nothing waits or nobody can tell."""

    tables: Mapping[str, bool]
    queues: Mapping[QueueName, QueueDepth] | None
    oldest_pending_seconds: int | None

    @property
    def is_well(self) -> bool:
        """Everything is reached, and nothing lies dead."""
        if self.queues is None or not all(self.tables.values()):
            return False
        return not any(depth.dead for depth in self.queues.values())


def check_health(ports: Ports) -> Health:
    """How it stands, now."""
    reached, ages = _try(lambda: _ages(ports))
    queues_reached, depths = _try(ports.queue.depths)
    tables = {
        "catalog": _try(lambda: ports.store.get(Product, _NOBODY))[0],
        "customers": _try(lambda: ports.store.get(Customer, _NOBODY))[0],
        "operations": reached,
    }
    return Health(
        tables=tables,
        queues=depths if queues_reached else None,
        oldest_pending_seconds=max(ages or (), default=None),
    )


def _ages(ports: Ports) -> list[int]:
    """Of the oldest change, the oldest event and the oldest usage to be charged that wait."""
    tasks = ports.store.find_by(SyncTask, "status", SyncTaskStatus.PENDING, limit=1).items
    events = ports.store.find_by(BillingEvent, "status", BillingEventStatus.PENDING, limit=1).items
    charges = ports.store.find_by(UsageCharge, "status", ChargeStatus.PENDING, limit=1).items
    since = [
        *(task.created_at for task in tasks),
        *(event.received_at for event in events),
        *(charge.created_at for charge in charges),
    ]
    now = ports.clock.now()
    return [int((now - moment).total_seconds()) for moment in since]


def _try(ask: Callable[[], T]) -> tuple[bool, T | None]:
    try:
        return True, ask()
    except Exception:  # noqa: BLE001 -- whatever it is, it is not reached
        return False, None
