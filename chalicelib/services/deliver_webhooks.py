"""Delivering events to webhook endpoints: at least once, with patience, and with a record of every attempt."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.errors import NotFoundError, StoreConflictError, StoreUnavailableError
from chalicelib.domain.outbound_events import (
    OutboundEvent,
    OutboundStatus,
    dispatched,
    envelope,
    is_wanted,
)
from chalicelib.domain.webhook_endpoints import (
    Attempt,
    Delivery,
    DeliveryStatus,
    EndpointStatus,
    WebhookEndpoint,
    abandoned,
    begun,
    concluded,
    is_gone,
    new_delivery,
    replayed,
    signature_headers,
)
from chalicelib.ports import Absent, AtRevision, Message, Ports, Put, QueueName, Write
from chalicelib.services.audit import entry
from chalicelib.services.listing import all_within
from chalicelib.services.optimistic import retried

TIMEOUT_SECONDS: Final = 10.0


def dispatch_event(ports: Ports, event_id: str) -> OutboundEvent:
    """Each enabled endpoint that wants the event has a delivery, on its queue. A repetition finds it done."""
    event = get_event(ports, event_id)
    if event.status is OutboundStatus.DISPATCHED:
        return event
    after = dispatched(event)
    deliveries = [
        new_delivery(endpoint.id, event.id, event.type, ports.clock.now())
        for endpoint in all_within(ports.store, WebhookEndpoint)
        if endpoint.status is EndpointStatus.ENABLED and is_wanted(event.type, endpoint.event_types)
    ]
    try:
        ports.store.commit(
            Put(after, AtRevision(number=event.revision)),
            *(Put(delivery, Absent()) for delivery in deliveries),
        )
    except StoreConflictError:
        # Another delivery of the same message was first, with the endpoints that it saw.
        return get_event(ports, event_id)
    queue_deliveries(ports, event, deliveries)
    return after


def get_event(ports: Ports, event_id: str) -> OutboundEvent:
    """The event; raises `NotFoundError`."""
    event = ports.store.get(OutboundEvent, event_id)
    if event is None:
        raise NotFoundError("outbound_event", event_id)
    return event


def queue_deliveries(
    ports: Ports, event: OutboundEvent | None, deliveries: Iterable[Delivery]
) -> int:
    """How many of them a worker will soon attempt; the sweep sends the others later.

    One after the other for each endpoint and customer: of what concerns one, the earlier is attempted first.
    """
    sent = 0
    for delivery in deliveries:
        about = delivery.event_id if event is None else event.customer_id or event.id
        body = {"endpoint_id": delivery.endpoint_id, "event_id": delivery.event_id}
        group = f"{delivery.endpoint_id}:{about}"
        try:
            ports.queue.send(Message(queue=QueueName.DELIVER, group=group, body=body))
        except StoreUnavailableError as error:
            ports.monitor.event("delivery_not_queued", error=error.code, **body)
            break
        sent += 1
    return sent


def attempt_delivery(ports: Ports, cause: Cause, endpoint_id: str, event_id: str) -> Delivery:
    """The delivery was attempted, if it was due; what became of it is stored."""
    delivery = ports.store.get(Delivery, endpoint_id, event_id)
    if delivery is None:
        raise NotFoundError("delivery", f"{endpoint_id}/{event_id}")
    now = ports.clock.now()
    if delivery.status is not DeliveryStatus.PENDING or delivery.next_attempt_at > now:
        return delivery
    endpoint = ports.store.get(WebhookEndpoint, endpoint_id)
    event = ports.store.get(OutboundEvent, event_id)
    if event is None:
        return _store(ports, abandoned(delivery, "event_expired", now), delivery)
    if endpoint is None:
        return _store(ports, abandoned(delivery, "endpoint_deleted", now), delivery)
    if endpoint.status is EndpointStatus.DISABLED:
        return _store(ports, abandoned(delivery, "endpoint_disabled", now), delivery)
    try:
        # Counted before it is made: of two workers one goes on, and one that dies has made its attempt.
        claimed = begun(delivery, now)
        ports.store.commit(Put(claimed, AtRevision(number=delivery.revision)))
    except StoreConflictError:
        return ports.store.get(Delivery, endpoint_id, event_id) or delivery
    attempt = send(ports, endpoint, event)
    ended = concluded(claimed, attempt, ports.clock.now())
    ports.monitor.event(
        "webhook_attempted",
        endpoint_id=endpoint_id,
        event_id=event_id,
        event_type=event.type,
        status=ended.status,
        response_status=attempt.response_status,
        error=attempt.error,
        duration_ms=attempt.duration_ms,
    )
    stored = _store(ports, ended, claimed)
    if is_gone(attempt):
        _disable(ports, cause, endpoint_id)
    return stored


def send(ports: Ports, endpoint: WebhookEndpoint, event: OutboundEvent) -> Attempt:
    """One signed request, and what came of it."""
    document = envelope(event, ports.environment.name)
    body = json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
    at = ports.clock.now()
    headers = {
        "content-type": "application/json",
        "user-agent": "Paygrade-Webhooks/1",
        **signature_headers(endpoint, event.id, body, at, ports.webhooks.now()),
    }
    sent = ports.webhooks.send(endpoint.url, headers, body, timeout_seconds=TIMEOUT_SECONDS)
    return Attempt(
        at=at, duration_ms=sent.duration_ms, response_status=sent.status, error=sent.error
    )


def replay_event(ports: Ports, cause: Cause, event_id: str) -> OutboundEvent:
    """Every enabled endpoint that wants the event gets it again, under the same id; those new since get it, too."""
    event = get_event(ports, event_id)
    now = ports.clock.now()
    deliveries: list[Delivery] = []
    writes: list[Write] = []
    for endpoint in all_within(ports.store, WebhookEndpoint):
        known = ports.store.get(Delivery, endpoint.id, event_id)
        wanted = is_wanted(event.type, endpoint.event_types)
        if endpoint.status is EndpointStatus.DISABLED or not (wanted or known):
            continue
        if known is None:
            deliveries.append(new_delivery(endpoint.id, event_id, event.type, now))
            writes.append(Put(deliveries[-1], Absent()))
        else:
            deliveries.append(replayed(known, now))
            writes.append(Put(deliveries[-1], AtRevision(number=known.revision)))
    if event.status is OutboundStatus.PENDING:
        writes.append(Put(dispatched(event), AtRevision(number=event.revision)))
    targets = [delivery.endpoint_id for delivery in deliveries]
    audited = entry(
        ports, cause, f"outbound_event:{event_id}", "outbound_event.replayed", after={"to": targets}
    )
    ports.store.commit(*writes, Put(audited, Absent()))
    queue_deliveries(ports, event, deliveries)
    return get_event(ports, event_id)


def _store(ports: Ports, after: Delivery, before: Delivery) -> Delivery:
    try:
        ports.store.commit(Put(after, AtRevision(number=before.revision)))
    except StoreConflictError:
        # Replayed meanwhile: that is a wish for another attempt, whatever came of this one.
        return ports.store.get(Delivery, *after.identity) or after
    return after


def _disable(ports: Ports, cause: Cause, endpoint_id: str) -> None:
    """Standard Webhooks: who answers 410 wants nothing any more."""

    def attempt() -> None:
        endpoint = ports.store.get(WebhookEndpoint, endpoint_id)
        if endpoint is None or endpoint.status is EndpointStatus.DISABLED:
            return
        after = replace(
            endpoint,
            status=EndpointStatus.DISABLED,
            disabled_reason="gone",
            revision=endpoint.revision + 1,
        )
        audited = entry(
            ports,
            cause,
            f"webhook_endpoint:{endpoint_id}",
            "webhook_endpoint.disabled",
            {"status": endpoint.status, "disabled_reason": endpoint.disabled_reason},
            {"status": after.status, "disabled_reason": after.disabled_reason},
        )
        ports.store.commit(Put(after, AtRevision(number=endpoint.revision)), Put(audited, Absent()))

    retried(attempt)
