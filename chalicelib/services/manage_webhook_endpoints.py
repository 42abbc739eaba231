"""Webhook endpoints: registered, changed, tested, deleted. A secret is shown once, in the answer that made it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.errors import AlreadyExistsError, InUseError, NotFoundError, invalid
from chalicelib.domain.ids import derived_id
from chalicelib.domain.outbound_events import (
    OutboundEvent,
    OutboundStatus,
    OutboundType,
    event_patterns,
)
from chalicelib.domain.webhook_endpoints import (
    MAX_ENDPOINTS,
    Delivery,
    EndpointStatus,
    SigningSecret,
    WebhookEndpoint,
    abandoned,
    begun,
    concluded,
    is_success,
    new_delivery,
    rotated,
    spell_secret,
)
from chalicelib.ports import Absent, AtRevision, Delete, Ports, Put
from chalicelib.services import audit
from chalicelib.services.deliver_webhooks import send
from chalicelib.services.listing import all_within
from chalicelib.services.optimistic import retried

_FIELDS: Final = ("url", "event_types", "description", "status")


def create_webhook_endpoint(
    ports: Ports,
    cause: Cause,
    *,
    url: str,
    event_types: tuple[str, ...],
    description: str,
    status: EndpointStatus,
    entropy: bytes,
) -> tuple[WebhookEndpoint, str]:
    """The endpoint, and its secret, which is shown this once.

    Raises:
        InvalidError: Events can't be sent there, or there are no such events.
        InUseError: There are as many endpoints as there may be.
        AlreadyExistsError: An earlier try of this operation made the endpoint; its secret was lost with the answer.
    """
    endpoint_id = derived_id("we_", "webhook_endpoint", cause.operation_id)
    if ports.store.get(WebhookEndpoint, endpoint_id) is not None:
        raise AlreadyExistsError(
            f"The endpoint {endpoint_id!r} was made by this request before; its secret is not shown again: rotate it."
        )
    _check(ports, url, event_types)
    if len(all_within(ports.store, WebhookEndpoint)) >= MAX_ENDPOINTS:
        raise InUseError(f"There are {MAX_ENDPOINTS} webhook endpoints already.")
    secret = spell_secret(entropy)
    now = ports.clock.now()
    endpoint = WebhookEndpoint(
        id=endpoint_id,
        url=url,
        event_types=tuple(dict.fromkeys(event_types)),
        description=description,
        status=status,
        secrets=(SigningSecret(value=secret, created_at=now),),
        created_at=now,
    )
    entry = audit.entry(
        ports, cause, _entity(endpoint_id), "webhook_endpoint.created", after=_audited(endpoint)
    )
    ports.store.commit(Put(endpoint, Absent()), Put(entry, Absent()))
    return endpoint, secret


def get_webhook_endpoint(ports: Ports, endpoint_id: str) -> WebhookEndpoint:
    """The endpoint; raises `NotFoundError`."""
    endpoint = ports.store.get(WebhookEndpoint, endpoint_id)
    if endpoint is None:
        raise NotFoundError("webhook_endpoint", endpoint_id)
    return endpoint


def update_webhook_endpoint(
    ports: Ports, cause: Cause, endpoint_id: str, changes: Mapping[str, Any]
) -> WebhookEndpoint:
    """The endpoint with these fields changed; raises `InvalidError` as for a new one."""

    def attempt() -> WebhookEndpoint:
        before = get_webhook_endpoint(ports, endpoint_id)
        after = replace(before, **{name: changes[name] for name in _FIELDS if name in changes})
        if after.status is EndpointStatus.ENABLED:
            after = replace(after, disabled_reason=None)
        if after == before:
            return before
        _check(ports, after.url, after.event_types)
        after = replace(after, revision=before.revision + 1)
        entry = audit.entry(
            ports,
            cause,
            _entity(endpoint_id),
            "webhook_endpoint.updated",
            _audited(before),
            _audited(after),
        )
        ports.store.commit(Put(after, AtRevision(number=before.revision)), Put(entry, Absent()))
        return after

    return retried(attempt)


def delete_webhook_endpoint(ports: Ports, cause: Cause, endpoint_id: str) -> WebhookEndpoint:
    """The endpoint is gone; what is on its way to it is given up."""

    def attempt() -> WebhookEndpoint:
        endpoint = get_webhook_endpoint(ports, endpoint_id)
        entry = audit.entry(
            ports,
            cause,
            _entity(endpoint_id),
            "webhook_endpoint.deleted",
            before=_audited(endpoint),
        )
        ports.store.commit(
            Delete(endpoint, AtRevision(number=endpoint.revision)), Put(entry, Absent())
        )
        return endpoint

    return retried(attempt)


def rotate_webhook_secret(
    ports: Ports, cause: Cause, endpoint_id: str, entropy: bytes
) -> tuple[WebhookEndpoint, str]:
    """The endpoint with a new secret, which is shown this once. The old one signs, too, for another 24 hours.

    Raises `AlreadyExistsError` if an earlier try of this operation rotated it: that secret was lost with the answer.
    """
    secret = spell_secret(entropy)
    action = "webhook_endpoint.secret_rotated"

    def attempt() -> WebhookEndpoint:
        before = get_webhook_endpoint(ports, endpoint_id)
        if audit.was_done(ports, cause, _entity(endpoint_id), action):
            raise AlreadyExistsError(
                "This request rotated the secret before, and it is not shown again: rotate anew."
            )
        after = rotated(before, secret, ports.clock.now())
        entry = audit.entry(
            ports,
            cause,
            _entity(endpoint_id),
            action,
            {"secrets": len(before.secrets)},
            {"secrets": len(after.secrets), "rotated_at": after.secrets[0].created_at},
        )
        ports.store.commit(Put(after, AtRevision(number=before.revision)), Put(entry, Absent()))
        return after

    return retried(attempt), secret


def try_webhook_endpoint(ports: Ports, cause: Cause, endpoint_id: str) -> Delivery:
    """A test event was sent to the endpoint, once, whatever types it wants; returns what became of it."""
    endpoint = get_webhook_endpoint(ports, endpoint_id)
    now = ports.clock.now()
    event = OutboundEvent(
        id=ports.ids.new("event_"),
        type=OutboundType.WEBHOOK_TEST,
        data={"endpoint_id": endpoint_id},
        created_at=now,
        status=OutboundStatus.DISPATCHED,
    )
    claimed = begun(new_delivery(endpoint_id, event.id, event.type, now), now)
    entry = audit.entry(
        ports,
        cause,
        _entity(endpoint_id),
        "webhook_endpoint.tested",
        after={"event_id": event.id},
    )
    ports.store.commit(Put(event, Absent()), Put(claimed, Absent()), Put(entry, Absent()))
    attempt = send(ports, endpoint, event)
    ended = concluded(claimed, attempt, ports.clock.now())
    if not is_success(attempt):
        # Somebody is watching: no retries.
        log = ended.log
        ended = replace(abandoned(claimed, attempt.error or "refused", ports.clock.now()), log=log)
    ports.store.commit(Put(ended, AtRevision(number=claimed.revision)))
    return ended


def _check(ports: Ports, url: str, event_types: tuple[str, ...]) -> None:
    known = event_patterns()
    for position, name in enumerate(event_types):
        if name not in known:
            detail = "There is no such type of event."
            raise invalid(f"event_types[{position}]", "unknown_value", detail)
    refusal = ports.webhooks.refusal(url)
    if refusal is not None:
        raise invalid("url", "not_allowed", refusal)


def _entity(endpoint_id: str) -> str:
    return f"webhook_endpoint:{endpoint_id}"


def _audited(endpoint: WebhookEndpoint) -> dict[str, object]:
    """What the audit log tells of an endpoint: no secret, and of its URL what is no secret for sure."""
    return {
        "url": endpoint.url.partition("?")[0],
        "event_types": endpoint.event_types,
        "description": endpoint.description,
        "status": endpoint.status,
    }
