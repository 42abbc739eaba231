"""Grants: what one customer has besides its subscriptions."""

from datetime import datetime
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.entitlement_models import EntitlementModel
from chalicelib.api.http import Call, endpoint
from chalicelib.api.wire import (
    ChosenId,
    ListOut,
    NoBody,
    NoQuery,
    PageQuery,
    Query,
    Revision,
    UtcInstant,
    Wire,
    absent,
    given,
    list_answer,
)
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.grants import Grant, GrantStatus
from chalicelib.domain.ids import CustomerId
from chalicelib.services.manage_customers import get_customer
from chalicelib.services.manage_grants import change_grant, get_grant, give_grant, revoke_grant

bp = Blueprint(__name__)

Reason = Annotated[str, Field(min_length=1, max_length=500)]
ExpiresAt = Annotated[UtcInstant, Field(description="When it is over; null: never.")]


class GrantCreate(EntitlementModel):
    """An entitlement, for how long, and why."""

    resource_id: Annotated[
        ChosenId | None,
        Field(description="Whose it is, where not the whole customer's: a workspace, a project."),
    ] = None
    expires_at: ExpiresAt | None = None
    reason: Reason | None = None


class GrantPatch(Wire):
    """Changes of a grant: absent fields stay, null clears. `version` guards against lost updates."""

    expires_at: ExpiresAt | None = absent(None)
    reason: Reason | None = absent(None)
    version: Revision | None = absent(None)


class GrantOut(EntitlementModel):
    """A grant; those that are over are listed for 90 days more."""

    object: Literal["grant"] = "grant"
    id: str
    customer_id: str
    resource_id: str | None
    expires_at: datetime | None
    reason: str | None
    status: GrantStatus
    revoked_at: datetime | None
    version: int
    created_at: datetime


def from_domain(grant: Grant, now: datetime) -> GrantOut:
    """The grant as it is shown at this instant."""
    return GrantOut(
        **EntitlementModel.from_domain(grant.entitlement).model_dump(),
        id=grant.id,
        customer_id=grant.customer_id,
        resource_id=grant.resource_id,
        expires_at=grant.expires_at,
        reason=grant.reason,
        status=grant.status(now),
        revoked_at=grant.revoked_at,
        version=grant.version,
        created_at=grant.created_at,
    )


@endpoint(
    bp,
    "POST",
    "/customers/{customer_id}/grants",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Grant a customer an entitlement",
    body=GrantCreate,
    answer=GrantOut,
    status=201,
)
def post_grant(call: Call[GrantCreate, NoQuery]) -> GrantOut:
    """It counts at once, beside plans and other grants; of several sources the most generous wins.

    `reason` is kept in the audit log.
    """
    grant = give_grant(
        call.ports,
        call.cause,
        CustomerId(call.path["customer_id"]),
        call.body.to_domain(),
        resource_id=call.body.resource_id,
        expires_at=call.body.expires_at,
        reason=call.body.reason,
    )
    return from_domain(grant, call.ports.clock.now())


@endpoint(
    bp,
    "GET",
    "/customers/{customer_id}/grants",
    scope=Scope.CUSTOMERS_READ,
    summary="List a customer's grants",
    query=PageQuery,
    answer=ListOut[GrantOut],
)
def list_grants(call: Call[NoBody, PageQuery]) -> ListOut[GrantOut]:
    """All of them; those that expired or were revoked for 90 days more."""
    customer = get_customer(call.ports, CustomerId(call.path["customer_id"]))
    page = call.ports.store.list_within(
        Grant, customer.id, limit=call.query.limit, cursor=call.query.cursor
    )
    now = call.ports.clock.now()
    return list_answer(page, lambda grant: from_domain(grant, now))


@endpoint(
    bp,
    "GET",
    "/customers/{customer_id}/grants/{grant_id}",
    scope=Scope.CUSTOMERS_READ,
    summary="Retrieve a grant",
    answer=GrantOut,
)
def retrieve_grant(call: Call[NoBody, NoQuery]) -> GrantOut:
    """The grant as it is now."""
    customer_id = CustomerId(call.path["customer_id"])
    grant = get_grant(call.ports, customer_id, call.path["grant_id"])
    return from_domain(grant, call.ports.clock.now())


@endpoint(
    bp,
    "PATCH",
    "/customers/{customer_id}/grants/{grant_id}",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Extend or shorten a grant",
    body=GrantPatch,
    answer=GrantOut,
)
def patch_grant(call: Call[GrantPatch, NoQuery]) -> GrantOut:
    """One that has expired gives its entitlement again; one that was revoked stays revoked."""
    grant = change_grant(
        call.ports,
        call.cause,
        CustomerId(call.path["customer_id"]),
        call.path["grant_id"],
        given(call.body, "expires_at", "reason"),
        version=call.body.version,
    )
    return from_domain(grant, call.ports.clock.now())


class RevokeQuery(Query):
    """Why the grant is taken back."""

    reason: Annotated[
        str | None, Field(min_length=1, max_length=500, description="Kept in the audit log.")
    ] = None


@endpoint(
    bp,
    "DELETE",
    "/customers/{customer_id}/grants/{grant_id}",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Revoke a grant",
    query=RevokeQuery,
    answer=GrantOut,
)
def delete_grant(call: Call[NoBody, RevokeQuery]) -> GrantOut:
    """It gives nothing from now on; where nothing else gives the feature, checks say `revoked`."""
    grant = revoke_grant(
        call.ports,
        call.cause,
        CustomerId(call.path["customer_id"]),
        call.path["grant_id"],
        call.query.reason,
    )
    return from_domain(grant, call.ports.clock.now())
