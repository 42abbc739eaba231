"""The notifications' pages of a reconciliation: what never reached us is taken in, what waits is applied.

State was compared before this, so nothing of a customer's depends on it: it completes the record of what happened.
"""

from datetime import datetime

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing_events import BillingEvent, BillingEventStatus
from chalicelib.domain.errors import DomainError
from chalicelib.domain.reconciliations import (
    Drift,
    DriftAction,
    DriftKind,
    DriftPolicy,
    Reconciliation,
)
from chalicelib.ports import EventHistory, Ports
from chalicelib.services.apply_billing_event import apply_billing_event, keep_billing_event
from chalicelib.services.choose_provider import reached
from chalicelib.services.reconcile_parts import (
    PAGE_SIZE,
    STUCK,
    Answering,
    Page,
    next_provider,
)


def history_page(ports: Ports, since: datetime | None, cursor: str | None) -> Page:
    """Some of what the providers say they told us is kept if we never heard of it; the next phase applies it."""
    found, unknown = reached(ports)
    able = {name: one for name, one in found.items() if isinstance(one, EventHistory)}
    name, inner, following = next_provider(tuple(able), cursor)
    if since is None or name is None:
        return Page(counts={"events_missed": 0}, away=unknown)
    answering = Answering(ports)
    try:
        page = able[name].past_events(since, inner)
    except DomainError as error:
        answering.pass_over(f"history:{name}", name, error)
        return Page(counts={"failed": 1}, cursor=following, away=(*unknown, *answering.away))
    now = ports.clock.now()
    missed = [
        event for event in reversed(page.events) if ports.store.get(BillingEvent, event.id) is None
    ]
    drifts: list[Drift] = []
    for event in missed:
        keep_billing_event(ports, name, event, fetched=True)
        if now - event.created_at > STUCK:
            # A younger one may still be on its way.
            drifts.append(
                Drift(
                    kind=DriftKind.EVENT_MISSED,
                    entity=f"billing_event:{event.id}",
                    ours=None,
                    theirs={"type": event.type, "created_at": event.created_at.isoformat()},
                    action=DriftAction.REPAIRED,
                )
            )
    if page.unreadable:
        ports.monitor.event("billing_events_unreadable", provider=name, unreadable=page.unreadable)
    return Page(
        drifts=tuple(drifts),
        counts={"events_missed": len(drifts)},
        cursor=f"{name}|{page.next_cursor}" if page.next_cursor is not None else following,
        away=unknown,
    )


def event_page(ports: Ports, cause: Cause, run: Reconciliation) -> Page:
    """Some of the events that wait were applied; parked ones no more often than the sweep would."""
    page = ports.store.find_by(
        BillingEvent, "status", BillingEventStatus.PENDING, limit=PAGE_SIZE, cursor=run.cursor
    )
    now = ports.clock.now()
    settles = run.policy is DriftPolicy.RESTORE
    drifts: list[Drift] = []
    failed = 0
    answering = Answering(ports)
    for event in page.items:
        if event.provider in answering.away:
            continue
        applied = event
        if not event.is_parked or event.is_due_at(now):
            try:
                applied = apply_billing_event(ports, cause, event.id, settles=settles)
            except DomainError as error:
                answering.pass_over(f"billing_event:{event.id}", event.provider, error)
                failed += 1
                continue
        if now - event.received_at > STUCK:
            done = applied.status is BillingEventStatus.PROCESSED
            drifts.append(
                Drift(
                    kind=DriftKind.EVENT_STUCK,
                    entity=f"billing_event:{event.id}",
                    ours={"type": event.type, "reason": applied.reason},
                    theirs=None,
                    action=DriftAction.REPAIRED if done else DriftAction.REPORTED,
                )
            )
    counts = {"events": len(page.items), "failed": failed}
    return Page(drifts=tuple(drifts), counts=counts, cursor=page.next_cursor, away=answering.away)
