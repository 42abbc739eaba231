"""The sweep: sends again what a crash, a lost message or a dead-letter queue has left behind."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from chalicelib.domain.billing_events import BillingEvent, BillingEventStatus
from chalicelib.domain.errors import DomainError
from chalicelib.domain.sync import SyncTask, SyncTaskStatus
from chalicelib.domain.usage_charges import ChargeStatus, UsageCharge
from chalicelib.ports import Ports, R
from chalicelib.services.apply_billing_event import enqueue_billing_event
from chalicelib.services.queue_sync import queue_task

# Old enough that the message sent with the change has surely had its chance.
_STUCK_AFTER: Final = timedelta(seconds=60)
_AT_MOST: Final = 500
# Those that are not due yet, and parked events are many where the account is shared, hide none that are.
_PAGES_AT_MOST: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """How many items were sent again."""

    sync_tasks: int
    billing_events: int


def sweep(ports: Ports) -> Swept:
    """Every stuck outbox item and every parked event that is due was sent to its queue again.

    Operators are told how long the longest of them has been waiting, or usage that is to be charged.
    """
    now = ports.clock.now()
    pending = _found(ports, SyncTask, SyncTaskStatus.PENDING, lambda _: True)
    tasks = [task for task in pending if now - task.updated_at > _STUCK_AFTER]
    events = _found(
        ports, BillingEvent, BillingEventStatus.PENDING, lambda event: event.is_due_at(now)
    )
    sent_tasks = sum(queue_task(ports, task) for task in tasks)
    sent_events = 0
    for event in events:
        try:
            enqueue_billing_event(ports, event)
            sent_events += 1
        except DomainError as error:
            ports.monitor.event("sweep_send_failed", event_id=event.id, code=error.code)
    if sent_tasks or sent_events:
        ports.monitor.event("swept", sync_tasks=sent_tasks, billing_events=sent_events)
    waits = (
        *(now - task.created_at for task in pending),
        *(now - event.received_at - event.wait for event in events),
        _charges_wait(ports, now),
    )
    # Last: whatever is wrong with what is only counted here, what is owed has been sent.
    ports.monitor.event("backlog", oldest_pending_seconds=int(max(waits).total_seconds()))
    return Swept(sync_tasks=sent_tasks, billing_events=sent_events)


def _charges_wait(ports: Ports, now: datetime) -> timedelta:
    """For how long the oldest usage has been owed to the provider that charges it.

    Without what a provider refused, though that is tried again: each refusal has an alarm of its own, and as one may
    stand for weeks, it would hide behind this age whatever else begins to wait.
    """
    oldest = ports.store.find_by(UsageCharge, "status", ChargeStatus.PENDING, limit=1).items
    return max((now - charge.created_at for charge in oldest), default=timedelta(0))


def _found(ports: Ports, kind: type[R], status: str, is_due: Callable[[R], bool]) -> list[R]:
    """The oldest that are due."""
    found: list[R] = []
    cursor: str | None = None
    for _ in range(_PAGES_AT_MOST):
        page = ports.store.find_by(kind, "status", status, cursor=cursor)
        found += filter(is_due, page.items)
        cursor = page.next_cursor
        if cursor is None or len(found) >= _AT_MOST:
            break
    return found[:_AT_MOST]
