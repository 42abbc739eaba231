"""Webhook endpoints: where the operator's application hears of events."""

import secrets
from datetime import datetime
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.http import Call, endpoint
from chalicelib.api.wire import (
    Description,
    ListOut,
    NoBody,
    NoQuery,
    PageQuery,
    Wire,
    absent,
    given,
    list_answer,
)
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.outbound_events import EVERYTHING, OutboundType
from chalicelib.domain.webhook_addresses import MAX_URL_LENGTH
from chalicelib.domain.webhook_endpoints import (
    HINT_LENGTH,
    SECRET_BYTES,
    Delivery,
    DeliveryStatus,
    EndpointStatus,
    WebhookEndpoint,
)
from chalicelib.services import manage_webhook_endpoints as service

bp = Blueprint(__name__)

Url = Annotated[str, Field(min_length=1, max_length=MAX_URL_LENGTH)]
EventTypes = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=64)], ...],
    Field(
        min_length=1,
        max_length=32,
        description="Types of events, all of a noun (`subscription.*`), or everything (`*`).",
    ),
]


class WebhookEndpointCreate(Wire):
    """An endpoint to be: public, https, port 443 or 8443."""

    url: Url
    event_types: EventTypes = (EVERYTHING,)
    description: Description = ""
    status: EndpointStatus = EndpointStatus.ENABLED


class WebhookEndpointPatch(Wire):
    """What is to change; fields that are left out stay."""

    url: Url = absent("")
    event_types: EventTypes = absent(())
    description: Description = absent("")
    status: EndpointStatus = absent(EndpointStatus.ENABLED)


class SigningSecretOut(Wire):
    """A secret that signs; `hint` is its last four characters."""

    hint: str
    created_at: datetime
    expires_at: datetime | None


class WebhookEndpointOut(Wire):
    """An endpoint without its secrets."""

    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    id: str
    url: str
    event_types: tuple[str, ...]
    description: str
    status: EndpointStatus
    disabled_reason: str | None
    secrets: tuple[SigningSecretOut, ...]
    created_at: datetime


class WebhookEndpointCreated(WebhookEndpointOut):
    """An endpoint with its newest secret, which is shown this once."""

    secret: str


class AttemptOut(Wire):
    """One request; the answer's body is not kept."""

    at: datetime
    duration_ms: int
    response_status: int | None
    error: str | None


class DeliveryOut(Wire):
    """One event on its way to one endpoint; `log` has its latest attempts."""

    object: Literal["webhook_delivery"] = "webhook_delivery"
    id: str
    endpoint_id: str
    event_id: str
    event_type: OutboundType
    status: DeliveryStatus
    attempts: int
    response_status: int | None
    error: str | None
    log: tuple[AttemptOut, ...]
    created_at: datetime
    next_attempt_at: datetime | None
    finished_at: datetime | None


class WebhookEndpointDeleted(Wire):
    """What was deleted."""

    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    id: str
    deleted: Literal[True] = True


def from_domain(held: WebhookEndpoint) -> WebhookEndpointOut:
    """The endpoint as it is shown."""
    return WebhookEndpointOut(
        id=held.id,
        url=held.url,
        event_types=held.event_types,
        description=held.description,
        status=held.status,
        disabled_reason=held.disabled_reason,
        secrets=tuple(
            SigningSecretOut(
                hint=one.value[-HINT_LENGTH:],
                created_at=one.created_at,
                expires_at=one.expires_at,
            )
            for one in held.secrets
        ),
        created_at=held.created_at,
    )


def delivery_from_domain(delivery: Delivery) -> DeliveryOut:
    """The delivery as it is shown."""
    is_pending = delivery.status is DeliveryStatus.PENDING
    return DeliveryOut(
        id=f"{delivery.endpoint_id}:{delivery.event_id}",
        endpoint_id=delivery.endpoint_id,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        status=delivery.status,
        attempts=delivery.attempts,
        response_status=delivery.response_status,
        error=delivery.error,
        log=tuple(
            AttemptOut(
                at=one.at,
                duration_ms=one.duration_ms,
                response_status=one.response_status,
                error=one.error,
            )
            for one in delivery.log
        ),
        created_at=delivery.created_at,
        next_attempt_at=delivery.next_attempt_at if is_pending else None,
        finished_at=delivery.finished_at,
    )


def _with_secret(held: WebhookEndpoint, secret: str) -> WebhookEndpointCreated:
    shown = from_domain(held).model_dump(exclude={"object"})
    return WebhookEndpointCreated(**shown, secret=secret)


@endpoint(
    bp,
    "POST",
    "/webhook_endpoints",
    scope=Scope.OPERATIONS_WRITE,
    summary="Register a webhook endpoint",
    body=WebhookEndpointCreate,
    answer=WebhookEndpointCreated,
    status=201,
    secret_answer=True,
)
def create_webhook_endpoint(call: Call[WebhookEndpointCreate, NoQuery]) -> WebhookEndpointCreated:
    """Deliveries follow Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`.

    `secret` verifies them and is shown this once. For the same reason a repetition under the same
    Idempotency-Key is not replayed: it is refused with `already_exists`, naming the endpoint.
    """
    body = call.body
    held, secret = service.create_webhook_endpoint(
        call.ports,
        call.cause,
        url=body.url,
        event_types=body.event_types,
        description=body.description,
        status=body.status,
        entropy=secrets.token_bytes(SECRET_BYTES),  # noqa: TID251 -- there is no port for secrets
    )
    return _with_secret(held, secret)


@endpoint(
    bp,
    "GET",
    "/webhook_endpoints",
    scope=Scope.OPERATIONS_READ,
    summary="List webhook endpoints",
    query=PageQuery,
    answer=ListOut[WebhookEndpointOut],
)
def list_webhook_endpoints(call: Call[NoBody, PageQuery]) -> ListOut[WebhookEndpointOut]:
    """Disabled ones included."""
    query = call.query
    page = call.ports.store.list_within(WebhookEndpoint, limit=query.limit, cursor=query.cursor)
    return list_answer(page, from_domain)


@endpoint(
    bp,
    "GET",
    "/webhook_endpoints/{endpoint_id}",
    scope=Scope.OPERATIONS_READ,
    summary="Retrieve a webhook endpoint",
    answer=WebhookEndpointOut,
)
def retrieve_webhook_endpoint(call: Call[NoBody, NoQuery]) -> WebhookEndpointOut:
    """The endpoint without its secrets."""
    return from_domain(service.get_webhook_endpoint(call.ports, call.path["endpoint_id"]))


@endpoint(
    bp,
    "PATCH",
    "/webhook_endpoints/{endpoint_id}",
    scope=Scope.OPERATIONS_WRITE,
    summary="Change a webhook endpoint",
    body=WebhookEndpointPatch,
    answer=WebhookEndpointOut,
)
def update_webhook_endpoint(call: Call[WebhookEndpointPatch, NoQuery]) -> WebhookEndpointOut:
    """Takes effect with the next attempt of whatever is on its way."""
    changes = given(call.body, "url", "event_types", "description", "status")
    return from_domain(
        service.update_webhook_endpoint(call.ports, call.cause, call.path["endpoint_id"], changes)
    )


@endpoint(
    bp,
    "DELETE",
    "/webhook_endpoints/{endpoint_id}",
    scope=Scope.OPERATIONS_WRITE,
    summary="Delete a webhook endpoint",
    answer=WebhookEndpointDeleted,
)
def delete_webhook_endpoint(call: Call[NoBody, NoQuery]) -> WebhookEndpointDeleted:
    """What is on its way to it is given up."""
    gone = service.delete_webhook_endpoint(call.ports, call.cause, call.path["endpoint_id"])
    return WebhookEndpointDeleted(id=gone.id)


@endpoint(
    bp,
    "POST",
    "/webhook_endpoints/{endpoint_id}/rotate_secret",
    scope=Scope.OPERATIONS_WRITE,
    summary="Rotate an endpoint's secret",
    answer=WebhookEndpointCreated,
    secret_answer=True,
)
def rotate_secret(call: Call[NoBody, NoQuery]) -> WebhookEndpointCreated:
    """The new secret is shown this once; for 24 hours deliveries are signed with the old one as well."""
    held, secret = service.rotate_webhook_secret(
        call.ports,
        call.cause,
        call.path["endpoint_id"],
        secrets.token_bytes(SECRET_BYTES),  # noqa: TID251 -- there is no port for secrets
    )
    return _with_secret(held, secret)


@endpoint(
    bp,
    "POST",
    "/webhook_endpoints/{endpoint_id}/test",
    scope=Scope.OPERATIONS_WRITE,
    summary="Send a test event",
    answer=DeliveryOut,
)
def test_webhook_endpoint(call: Call[NoBody, NoQuery]) -> DeliveryOut:
    """Sends `webhook.test` at once, a single time, and answers what became of it."""
    return delivery_from_domain(
        service.try_webhook_endpoint(call.ports, call.cause, call.path["endpoint_id"])
    )


@endpoint(
    bp,
    "GET",
    "/webhook_endpoints/{endpoint_id}/deliveries",
    scope=Scope.OPERATIONS_READ,
    summary="List an endpoint's deliveries",
    query=PageQuery,
    answer=ListOut[DeliveryOut],
)
def list_deliveries(call: Call[NoBody, PageQuery]) -> ListOut[DeliveryOut]:
    """Newest event first; kept for 30 days."""
    held = service.get_webhook_endpoint(call.ports, call.path["endpoint_id"])
    query = call.query
    page = call.ports.store.list_within(
        Delivery, held.id, limit=query.limit, cursor=query.cursor, newest_first=True
    )
    return list_answer(page, delivery_from_domain)
