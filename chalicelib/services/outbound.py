"""The outbox of events for the operator's application: written in the change's own commit, hurried along after it.

Whoever writes a customer's snapshot commits through `commit_customer_change`; whoever has something else to tell adds
`announcement` to its writes and commits through `commit_announced`.
"""

from collections.abc import Iterator, Mapping

from chalicelib.domain.customer_changes import CustomerChange, events_of, next_change
from chalicelib.domain.customer_timers import CustomerTimer
from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.domain.outbound_events import OutboundEvent, OutboundType
from chalicelib.ports import Absent, Anyhow, AtRevision, Message, Ports, Put, QueueName, Write


def commit_customer_change(ports: Ports, change: CustomerChange, *writes: Write) -> None:
    """The snapshot that replaces the one before, these writes and their events are stored, or nothing is.

    Raises `StoreConflictError` if the snapshot is not the one before any more, or as the writes' conditions say.
    """
    commit_announced(ports, *change_writes(ports, change), *writes)


def change_writes(ports: Ports, change: CustomerChange) -> Iterator[Put]:
    """The new snapshot, on condition of the one before, with its timer and its events; for `commit_announced`."""
    now = ports.clock.now()
    customer_id = change.after.customer_id
    # Fenced like all the rest: nobody writes a timer without raising the snapshot.
    timer = ports.store.get(CustomerTimer, customer_id)
    since = timer.told_at if timer is not None else now
    at = next_change(change.after, change.held, now)
    yield Put(change.after, AtRevision(number=change.before.version))
    yield Put(CustomerTimer(customer_id=customer_id, told_at=now, at=at), Anyhow())
    for kind, data in events_of(change, since, now):
        yield announcement(ports, kind, data, customer_id=customer_id)


def announcement(
    ports: Ports, kind: OutboundType, data: Mapping[str, object], *, customer_id: str | None = None
) -> Put:
    """The event that this happened, for the commit by which it does. `data` holds JSON values only, no secrets."""
    event = OutboundEvent(
        id=ports.ids.new("event_"),
        type=kind,
        customer_id=customer_id,
        data=data,
        created_at=ports.clock.now(),
    )
    return Put(event, Absent())


def commit_announced(ports: Ports, *writes: Write) -> None:
    """All of the writes are done, or none; a worker will soon deliver the events among them."""
    ports.store.commit(*writes)
    hurry(ports, [one.record for one in writes if isinstance(one.record, OutboundEvent)])


def hurry(ports: Ports, events: list[OutboundEvent]) -> bool:
    """Whether a worker will soon dispatch them. If the queue is down, the sweep of pending events sends them later."""
    if not events:
        return True
    ids = ",".join(event.id for event in events)
    group = f"events:{events[0].customer_id or events[0].id}"
    try:
        ports.queue.send(Message(queue=QueueName.DELIVER, group=group, body={"event_ids": ids}))
    except StoreUnavailableError as error:
        ports.monitor.event("outbound_event_not_queued", event_id=events[0].id, error=error.code)
        return False
    return True
