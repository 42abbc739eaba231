"""Billing events: what providers notified us of, and what became of it."""

from datetime import datetime
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.http import Call, endpoint
from chalicelib.api.wire import ListOut, NoBody, NoQuery, PageQuery, Wire, newest_of_status
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.billing_events import BillingEvent, BillingEventStatus
from chalicelib.domain.errors import NotFoundError
from chalicelib.services.apply_billing_event import replay_billing_event

bp = Blueprint(__name__)


class BillingEventOut(Wire):
    """One event of a provider; its payload is not kept."""

    object: Literal["billing_event"] = "billing_event"
    id: str
    provider: str
    type: str
    status: BillingEventStatus
    reason: str | None
    live: bool
    api_version: str | None
    object_id: str | None
    customer_id: str | None
    customer_billing_id: str | None
    attempts: int
    created_at: datetime
    received_at: datetime
    processed_at: datetime | None


def from_domain(event: BillingEvent) -> BillingEventOut:
    """The event as it is shown."""
    return BillingEventOut(
        id=event.id,
        provider=event.provider,
        type=event.type,
        status=event.status,
        reason=event.reason,
        live=event.live,
        api_version=event.api_version,
        object_id=event.object_id,
        customer_id=event.customer_id,
        customer_billing_id=event.customer_billing_id,
        attempts=event.attempts,
        created_at=event.created_at,
        received_at=event.received_at,
        processed_at=event.processed_at,
    )


class BillingEventsQuery(PageQuery):
    """Which events are wanted."""

    status: Annotated[BillingEventStatus, Field(description="What became of them.")] = (
        BillingEventStatus.PROCESSED
    )


@endpoint(
    bp,
    "GET",
    "/billing_events",
    scope=Scope.OPERATIONS_READ,
    summary="List billing events",
    query=BillingEventsQuery,
    answer=ListOut[BillingEventOut],
)
def list_billing_events(call: Call[NoBody, BillingEventsQuery]) -> ListOut[BillingEventOut]:
    """Those of one status, newest first."""
    query = call.query
    return newest_of_status(call.ports.store, BillingEvent, query.status, query, from_domain)


@endpoint(
    bp,
    "GET",
    "/billing_events/{event_id}",
    scope=Scope.OPERATIONS_READ,
    summary="Retrieve a billing event",
    answer=BillingEventOut,
)
def retrieve_billing_event(call: Call[NoBody, NoQuery]) -> BillingEventOut:
    """The event and what became of it."""
    event = call.ports.store.get(BillingEvent, call.path["event_id"])
    if event is None:
        raise NotFoundError("billing_event", call.path["event_id"])
    return from_domain(event)


@endpoint(
    bp,
    "POST",
    "/billing_events/{event_id}/replay",
    scope=Scope.OPERATIONS_WRITE,
    summary="Take a billing event again",
    answer=BillingEventOut,
)
def replay(call: Call[NoBody, NoQuery]) -> BillingEventOut:
    """Looks at the provider's truth of the event's customer again. Harmless however often it is done."""
    return from_domain(replay_billing_event(call.ports, call.cause, call.path["event_id"]))
