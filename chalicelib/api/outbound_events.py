"""Outbound events: what the operator's application is told of, whether or not an endpoint listens."""

from datetime import datetime
from typing import Annotated, Any, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.http import Call, endpoint
from chalicelib.api.wire import ListOut, NoBody, NoQuery, PageQuery, Wire, newest_of_status
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.outbound_events import OutboundEvent, OutboundStatus, OutboundType
from chalicelib.services.deliver_webhooks import get_event, replay_event

bp = Blueprint(__name__)


class OutboundEventOut(Wire):
    """One event. `data` depends on its type."""

    object: Literal["outbound_event"] = "outbound_event"
    id: str
    type: OutboundType
    customer_id: str | None
    data: dict[str, Any]
    status: OutboundStatus
    created_at: datetime


def from_domain(event: OutboundEvent) -> OutboundEventOut:
    """The event as it is shown."""
    return OutboundEventOut(
        id=event.id,
        type=event.type,
        customer_id=event.customer_id,
        data=dict(event.data),
        status=event.status,
        created_at=event.created_at,
    )


class OutboundEventsQuery(PageQuery):
    """Which events are wanted."""

    status: Annotated[
        OutboundStatus, Field(description="Whether its deliveries have been made out yet.")
    ] = OutboundStatus.DISPATCHED


@endpoint(
    bp,
    "GET",
    "/outbound_events",
    scope=Scope.OPERATIONS_READ,
    summary="List outbound events",
    query=OutboundEventsQuery,
    answer=ListOut[OutboundEventOut],
)
def list_outbound_events(call: Call[NoBody, OutboundEventsQuery]) -> ListOut[OutboundEventOut]:
    """Newest first; kept for 30 days."""
    query = call.query
    return newest_of_status(call.ports.store, OutboundEvent, query.status, query, from_domain)


@endpoint(
    bp,
    "GET",
    "/outbound_events/{event_id}",
    scope=Scope.OPERATIONS_READ,
    summary="Retrieve an outbound event",
    answer=OutboundEventOut,
)
def retrieve_outbound_event(call: Call[NoBody, NoQuery]) -> OutboundEventOut:
    """The event as it was announced."""
    return from_domain(get_event(call.ports, call.path["event_id"]))


@endpoint(
    bp,
    "POST",
    "/outbound_events/{event_id}/replay",
    scope=Scope.OPERATIONS_WRITE,
    summary="Deliver an event again",
    answer=OutboundEventOut,
)
def replay_outbound_event(call: Call[NoBody, NoQuery]) -> OutboundEventOut:
    """Every enabled endpoint that wants it gets it again, under the same `webhook-id`."""
    return from_domain(replay_event(call.ports, call.cause, call.path["event_id"]))
