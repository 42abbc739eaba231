"""Reservations: a part of a limit, kept for work that has begun."""

from datetime import datetime
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.check_models import CheckOut, from_domain
from chalicelib.api.http import Call, endpoint
from chalicelib.api.usage_models import Units, UsageKey
from chalicelib.api.wire import MAX_INTEGER, ChosenId, NoBody, NoQuery, Wire
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.usage_records import Reservation, ReservationStatus
from chalicelib.services.consume import Consumption
from chalicelib.services.reserve import (
    MAX_SECONDS,
    commit_reservation,
    find_reservation,
    release_reservation,
    reserve,
)

bp = Blueprint(__name__)


class ReserveIn(Wire):
    """How much is kept, and how long."""

    amount: Units = 1
    ttl_seconds: Annotated[int, Field(ge=1, le=MAX_SECONDS)] = 300
    idempotency_key: UsageKey
    resource_id: ChosenId | None = None


class CommitIn(Wire):
    """How much of it was used."""

    amount: Annotated[
        int | None, Field(ge=0, le=MAX_INTEGER, description="All of it without this.")
    ] = None


class ReservationOut(Wire):
    """A reservation. While it is `open` and not expired, its amount counts against the limit."""

    object: Literal["reservation"] = "reservation"
    id: str
    customer_id: str
    feature_id: str
    amount: int
    committed_amount: int | None
    status: ReservationStatus
    created_at: datetime
    expires_at: datetime


class ReserveOut(CheckOut):
    """The check's answer; with a yes, the reservation."""

    reservation: ReservationOut | None


def from_reservation(held: Reservation) -> ReservationOut:
    """The reservation as it is shown."""
    return ReservationOut(
        id=held.id,
        customer_id=held.customer_id,
        feature_id=held.feature_id,
        amount=held.amount,
        committed_amount=held.committed,
        status=held.status,
        created_at=held.created_at,
        expires_at=held.expires_at,
    )


@endpoint(
    bp,
    "POST",
    "/customers/{customer_id}/entitlements/{feature_id}/reserve",
    scope=Scope.USAGE_WRITE,
    summary="Check and reserve in one step",
    body=ReserveIn,
    answer=ReserveOut,
)
def reserve_entitlement(call: Call[ReserveIn, NoQuery]) -> ReserveOut:
    """A yes, and the amount counts against the limit until the reservation is committed, released or expires.

    Or a no with its reason, and nothing is reserved.
    """
    body = call.body
    customer_id, feature_id = call.path["customer_id"], call.path["feature_id"]
    wanted = Consumption(
        customer_id=CustomerId(customer_id),
        feature_id=feature_id,
        amount=body.amount,
        key=body.idempotency_key,
        resource_id=body.resource_id,
    )
    done = reserve(call.ports, wanted, body.ttl_seconds)
    shown = None if done.reservation is None else from_reservation(done.reservation)
    check = from_domain(customer_id, feature_id, done.checked)
    return ReserveOut(**dict(check), reservation=shown)


@endpoint(
    bp,
    "GET",
    "/reservations/{reservation_id}",
    scope=Scope.CUSTOMERS_READ,
    summary="A reservation",
    answer=ReservationOut,
)
def get_reservation(call: Call[NoBody, NoQuery]) -> ReservationOut:
    """The reservation, whatever became of it; for 40 days after its end."""
    return from_reservation(find_reservation(call.ports, call.path["reservation_id"]))


@endpoint(
    bp,
    "POST",
    "/reservations/{reservation_id}/commit",
    scope=Scope.USAGE_WRITE,
    summary="Use what was reserved",
    body=CommitIn,
    answer=ReservationOut,
)
def commit(call: Call[CommitIn, NoQuery]) -> ReservationOut:
    """The amount counts as used, and the rest is free again. An expired reservation can't be used any more."""
    held = commit_reservation(call.ports, call.path["reservation_id"], call.body.amount)
    return from_reservation(held)


@endpoint(
    bp,
    "POST",
    "/reservations/{reservation_id}/release",
    scope=Scope.USAGE_WRITE,
    summary="Give back what was reserved",
    answer=ReservationOut,
)
def release(call: Call[NoBody, NoQuery]) -> ReservationOut:
    """Nothing of it was used, and all of it is free again; that of an expired one is already."""
    return from_reservation(release_reservation(call.ports, call.path["reservation_id"]))
