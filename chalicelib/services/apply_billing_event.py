"""Taking in what a billing provider notifies us of: keep it once, then look at the provider's truth."""

from dataclasses import replace

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import ProviderEvent
from chalicelib.domain.billing_events import UNKNOWN_CUSTOMER, BillingEvent, BillingEventStatus
from chalicelib.domain.errors import (
    BillingNotConnectedError,
    DomainError,
    NotFoundError,
    ProviderRefusedError,
    StoreConflictError,
)
from chalicelib.domain.ids import CustomerId
from chalicelib.ports import Absent, AtRevision, Message, Ports, Put, QueueName
from chalicelib.services.audit import entry
from chalicelib.services.billing_account import account_in_use
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.disconnect_account import notice_revocation
from chalicelib.services.find_customer import find_customer
from chalicelib.services.settle_duplicates import settle_soon

_ABOUT_SUBSCRIPTIONS = "customer.subscription."
_WRONG_MODE = "wrong_mode"
_WRONG_VERSION = "wrong_api_version"
_WRONG_ACCOUNT = "wrong_account"
_QUARANTINED = frozenset({_WRONG_MODE, _WRONG_VERSION, _WRONG_ACCOUNT})


def keep_billing_event(
    ports: Ports, provider: str, event: ProviderEvent, *, fetched: bool = False
) -> BillingEvent:
    """The event is stored, exactly once; the stored one comes back, so a repetition shows what became of it.

    `fetched`: we asked for it ourselves, so that no endpoint of another API version can be behind it.
    """
    quarantined = _why_quarantined(ports, provider, event, fetched=fetched)
    reason = quarantined or _why_ignored(event)
    now = ports.clock.now()
    kept = BillingEvent(
        provider=provider,
        id=event.id,
        type=event.type,
        status=BillingEventStatus.IGNORED if reason else BillingEventStatus.PENDING,
        reason=reason,
        live=event.live,
        api_version=event.api_version,
        object_id=event.object_id,
        customer_billing_id=event.customer_billing_id,
        created_at=event.created_at,
        received_at=now,
        processed_at=now if reason else None,
    )
    try:
        ports.store.commit(Put(kept, Absent()))
    except StoreConflictError:
        stored = ports.store.get(BillingEvent, event.id)
        if stored is None:
            raise
        if quarantined is None and stored.reason in _QUARANTINED:
            return _revived(ports, stored, kept)
        return stored
    if quarantined and not _is_expected(ports, event, quarantined):
        ports.monitor.event("billing_event_quarantined", event_id=event.id, reason=reason)
    return kept


def _revived(ports: Ports, stored: BillingEvent, kept: BillingEvent) -> BillingEvent:
    """The event as it is meant for us: what came first was a copy of it by a wrong endpoint."""
    revived = replace(kept, revision=stored.revision + 1)
    try:
        ports.store.commit(Put(revived, AtRevision(number=stored.revision)))
    except StoreConflictError:
        return ports.store.get(BillingEvent, kept.id) or revived
    return revived


def _is_expected(ports: Ports, event: ProviderEvent, reason: str) -> bool:
    """Whether nothing is wrong: a platform's endpoint gets the events of all its accounts, and of both modes."""
    is_platforms = ports.environment.connecting is not None and event.account_id is not None
    return is_platforms and reason in (_WRONG_ACCOUNT, _WRONG_MODE)


def _why_quarantined(
    ports: Ports, provider: str, event: ProviderEvent, *, fetched: bool
) -> str | None:
    """Why it is not meant for this environment. Somebody has to know: an endpoint at the provider is a wrong one."""
    if event.live != ports.environment.live:
        return _WRONG_MODE
    if fetched:
        return None  # by ourselves, so from the right account and in our version
    if event.api_version != ports.environment.billing_api_version:
        return _WRONG_VERSION
    if not event.ends_connection and not _is_of_our_account(ports, provider, event):
        return _WRONG_ACCOUNT
    return None


def _why_ignored(event: ProviderEvent) -> str | None:
    if event.ends_connection:
        return "connection_ended"
    if not event.about_customer:
        return "not_about_a_customer"
    if event.customer_billing_id is None:
        return "names_no_customer"
    return None


def _is_of_our_account(ports: Ports, provider: str, event: ProviderEvent) -> bool:
    try:
        return event.account_id == account_in_use(
            ports.store, provider, ports.environment.connecting
        )
    except BillingNotConnectedError:
        return False  # the environment works with no account at all


def apply_billing_event(
    ports: Ports, cause: Cause, event_id: str, *, settles: bool = True
) -> BillingEvent:
    """The customer that the event is about has converged, and the event is marked in the same commit.

    An event whose customer is not known (yet) stays pending, with the reason: the link may be stored a moment
    later; after three days it has failed, and can be replayed. What no retry can cure is marked failed, too;
    anything else is raised and the event stays pending. A second paid subscription that shows is settled, unless
    nothing may be changed at the provider now.
    """
    event = ports.store.get(BillingEvent, event_id)
    if event is None:
        raise NotFoundError("billing_event", event_id)
    if event.status in (BillingEventStatus.PROCESSED, BillingEventStatus.IGNORED):
        return event
    found = find_customer(ports, event.provider, event.customer_billing_id)
    if found.is_gone:
        # Whatever it told of is gone with its customer, who never was ours: nothing to wait for.
        return _mark(ports, event, BillingEventStatus.IGNORED, "customer_deleted")
    customer_id = found.customer_id
    if customer_id is None:
        return _park(ports, event)
    done = _moved(ports, event, BillingEventStatus.PROCESSED, None, customer_id)
    try:
        converged = converge_customer(
            ports,
            cause,
            customer_id,
            event.provider,
            also=[Put(done, AtRevision(number=event.revision))],
            hinted=event.object_id if event.type.startswith(_ABOUT_SUBSCRIPTIONS) else None,
        )
    except StoreConflictError:
        # Either the customer is contended, and the retry goes on, or another worker took this same event.
        current = ports.store.get(BillingEvent, event_id)
        if current is not None and current.status is BillingEventStatus.PROCESSED:
            return current
        raise
    except (ProviderRefusedError, NotFoundError) as error:
        ports.monitor.event("billing_event_failed", event_id=event.id, code=error.code)
        return _mark(ports, event, BillingEventStatus.FAILED, error.detail)
    if settles:
        settle_soon(ports, cause, customer_id, event.provider, converged.drifts)
    return done


def replay_billing_event(ports: Ports, cause: Cause, event_id: str) -> BillingEvent:
    """The event was taken as if it had just come in, unless it is none of ours to apply."""
    event = ports.store.get(BillingEvent, event_id)
    if event is None:
        raise NotFoundError("billing_event", event_id)
    change = {"status": event.status}, {"status": BillingEventStatus.PENDING}
    entity = f"billing_event:{event_id}"
    audited = Put(entry(ports, cause, entity, "billing_event.replayed", *change), Absent())
    if event.status in (BillingEventStatus.PROCESSED, BillingEventStatus.FAILED):
        _mark(ports, event, BillingEventStatus.PENDING, None, audited)
    return apply_billing_event(ports, cause, event_id)


def enqueue_billing_event(ports: Ports, event: BillingEvent) -> None:
    """A worker will apply the event."""
    group = event.customer_billing_id or event.id
    ports.queue.send(Message(queue=QueueName.CONVERGE, group=group, body={"event_id": event.id}))


def receive_billing_event(
    ports: Ports, cause: Cause, provider: str, event: ProviderEvent
) -> BillingEvent:
    """The event is stored, and applied now if that works, otherwise by a worker.

    Once it is stored nothing is lost: whatever fails after that, the sweep finds the event pending.
    """
    kept = keep_billing_event(ports, provider, event)
    if event.ends_connection and ports.environment.connecting and event.account_id is not None:
        # Whatever fails here, the provider delivers it again.
        notice_revocation(ports, cause, provider, event.account_id)
    if kept.status is not BillingEventStatus.PENDING:
        return kept
    try:
        return apply_billing_event(ports, cause, kept.id)
    except DomainError as error:
        ports.monitor.event("billing_event_deferred", event_id=kept.id, code=error.code)
    try:
        enqueue_billing_event(ports, kept)
    except DomainError as error:
        ports.monitor.event("billing_event_left_to_sweep", event_id=kept.id, code=error.code)
    return kept


def _park(ports: Ports, event: BillingEvent) -> BillingEvent:
    if not event.is_given_up_at(ports.clock.now()):
        return _mark(ports, event, BillingEventStatus.PENDING, UNKNOWN_CUSTOMER)
    ports.monitor.event(
        "billing_event_given_up", event_id=event.id, billing_id=event.customer_billing_id
    )
    return _mark(ports, event, BillingEventStatus.FAILED, UNKNOWN_CUSTOMER)


def _moved(
    ports: Ports,
    event: BillingEvent,
    status: BillingEventStatus,
    reason: str | None,
    customer_id: CustomerId | None = None,
) -> BillingEvent:
    pending = status is BillingEventStatus.PENDING
    return replace(
        event,
        status=status,
        reason=reason,
        customer_id=customer_id or event.customer_id,
        attempts=event.attempts + 1,
        processed_at=None if pending else ports.clock.now(),
        revision=event.revision + 1,
    )


def _mark(
    ports: Ports,
    event: BillingEvent,
    status: BillingEventStatus,
    reason: str | None,
    *also: Put,
) -> BillingEvent:
    marked = _moved(ports, event, status, reason)
    try:
        ports.store.commit(Put(marked, AtRevision(number=event.revision)), *also)
    except StoreConflictError:
        return ports.store.get(BillingEvent, event.id) or marked
    return marked
