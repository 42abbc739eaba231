"""Settling a customer: what time alone has brought about is stored and told, within a minute of its coming about.

No check waits for it: answers are right at any instant. It is for those who want to hear of a trial's end, of a
subscription's, of a grant's, and for the lists that read what is stored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.customer_changes import CustomerChange, events_of, next_change
from chalicelib.domain.customer_timers import ARMED, CustomerTimer
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import NotFoundError, StoreUnavailableError
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.outbound_events import OutboundType
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.subscriptions import Subscription, SubscriptionStatus
from chalicelib.ports import (
    Absent,
    Anyhow,
    AtRevision,
    Message,
    Ports,
    Put,
    QueueName,
    Require,
    Write,
)
from chalicelib.services.audit import entry
from chalicelib.services.listing import all_within
from chalicelib.services.optimistic import retried
from chalicelib.services.outbound import commit_customer_change
from chalicelib.services.snapshots import compile_for
from chalicelib.services.store_subscription import subscription_writes

_AT_ONCE: Final = 500
# A commit takes 100 writes; a changed subscription needs up to six of them.
_CHANGES_AT_ONCE: Final = 12


def sweep_timers(ports: Ports) -> int:
    """Every customer whose time has come is on the queue; returns how many."""
    now = ports.clock.now()
    due = ports.store.find_by(CustomerTimer, "state", ARMED, limit=_AT_ONCE).items
    sent = 0
    for timer in due:
        if timer.at is None or timer.at > now:
            break
        body = {"customer_id": timer.customer_id}
        group = f"events:{timer.customer_id}"
        try:
            ports.queue.send(Message(queue=QueueName.DELIVER, group=group, body=body))
        except StoreUnavailableError as error:
            ports.monitor.event("timer_not_queued", error=error.code, **body)
            break
        sent += 1
    return sent


def settle_customer(ports: Ports, cause: Cause, customer_id: CustomerId) -> bool:
    """Whether there was anything to tell; its next time is known. Doing it again tells nothing again."""
    return retried(lambda: _settle(ports, cause, customer_id))


def _settle(ports: Ports, cause: Cause, customer_id: CustomerId) -> bool:
    snapshot = ports.store.get(Snapshot, customer_id)
    customer = ports.store.get(Customer, customer_id)
    timer = ports.store.get(CustomerTimer, customer_id)
    if snapshot is None or customer is None:
        raise NotFoundError("customer", customer_id)
    now = ports.clock.now()
    if timer is None or timer.at is None or timer.at > now:
        return False
    stored = all_within(ports.store, Subscription, customer_id)
    changed = [*_settled(stored, now)][:_CHANGES_AT_ONCE]
    after = {one.id: one for one in stored} | {one.id: one for _, one in changed}
    held = tuple(after[key] for key in sorted(after))
    compiled = compile_for(ports, customer, held, version=snapshot.version + 1)
    change = CustomerChange(before=snapshot, after=compiled, held=held, changed=changed)
    kinds = [kind for kind, _ in events_of(change, timer.told_at, now)]
    if kinds == [OutboundType.CUSTOMER_STATE_CHANGED] and not changed:
        rearmed = replace(timer, at=next_change(snapshot, held, now))
        fence = Require(snapshot, AtRevision(number=snapshot.version))
        ports.store.commit(Put(rearmed, Anyhow()), fence)
        return False
    commit_customer_change(ports, change, *_writes(ports, cause, changed))
    return True


def _settled(
    stored: Sequence[Subscription], now: datetime
) -> Iterator[tuple[Subscription, Subscription]]:
    """The subscriptions that time has changed for good, as stored and as they are."""
    for one in stored:
        view = one.at(now)
        if view != one and view.status is not SubscriptionStatus.NOT_STARTED:
            yield one, replace(view, version=one.version + 1)


def _writes(
    ports: Ports, cause: Cause, changed: Sequence[tuple[Subscription, Subscription]]
) -> Iterator[Write]:
    for before, after in changed:
        yield from subscription_writes(before, after)
        audited = entry(
            ports, cause, f"subscription:{after.id}", "subscription.settled", before, after
        )
        yield Put(audited, Absent())
