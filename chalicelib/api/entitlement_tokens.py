"""Entitlements to go: a signed snapshot, and the keys that anybody verifies it with."""

from datetime import datetime
from typing import Annotated, Final, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.http import Call, Reply, endpoint
from chalicelib.api.whose import IN_PATH
from chalicelib.api.wire import NoBody, NoQuery, Query, QueryInt, Wire
from chalicelib.domain import jose
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.entitlement_tokens import (
    DEFAULT_TTL_SECONDS,
    MAX_TTL_SECONDS,
    MIN_TTL_SECONDS,
)
from chalicelib.domain.ids import CustomerId
from chalicelib.services.sign_entitlements import public_keys, sign_entitlements

bp = Blueprint(__name__)

# A new key is published an hour and more before it signs.
_KEYS_CACHING: Final = {"Cache-Control": "public, max-age=3600"}


class EntitlementTokenQuery(Query):
    """How long it is to be good."""

    ttl_seconds: Annotated[
        QueryInt,
        Field(
            ge=MIN_TTL_SECONDS,
            le=MAX_TTL_SECONDS,
            description="The longest that a change may go unnoticed.",
        ),
    ] = DEFAULT_TTL_SECONDS


class EntitlementTokenOut(Wire):
    """A JWT (ES256) with the snapshot and the usage as of now; get another before `expires_at`."""

    object: Literal["entitlement_token"] = "entitlement_token"
    id: str
    customer_id: str
    snapshot_version: int
    token: str
    expires_at: datetime


class JwkOut(Wire):
    """A public key."""

    kty: Literal["EC"] = "EC"
    crv: Literal["P-256"] = "P-256"
    use: Literal["sig"] = "sig"
    alg: Literal["ES256"] = "ES256"
    kid: str
    x: str
    y: str


class JwksOut(Wire):
    """The keys that entitlement tokens may be signed with; empty where none are signed."""

    keys: tuple[JwkOut, ...]


@endpoint(
    bp,
    "GET",
    "/customers/{customer_id}/entitlements/token",
    scope=Scope.CHECK,
    whose=IN_PATH,
    summary="Everything the customer is entitled to, signed",
    query=EntitlementTokenQuery,
    answer=EntitlementTokenOut,
)
def get_entitlement_token(call: Call[NoBody, EntitlementTokenQuery]) -> EntitlementTokenOut:
    """What other services verify with the published keys and evaluate themselves, without asking again.

    What time changes it knows; what happens since, and what is used since, it does not.
    """
    customer_id = CustomerId(call.path["customer_id"])
    made = sign_entitlements(call.ports, customer_id, call.query.ttl_seconds)
    return EntitlementTokenOut(
        id=call.ports.ids.new("etok_"),
        customer_id=customer_id,
        snapshot_version=made.snapshot_version,
        token=made.text,
        expires_at=made.expires_at,
    )


@endpoint(
    bp,
    "GET",
    "/.well-known/jwks.json",
    scope=None,
    summary="The keys that entitlement tokens are signed with",
    answer=JwksOut,
    etag=True,
)
def get_jwks(call: Call[NoBody, NoQuery]) -> Reply[JwksOut]:
    """A JSON Web Key Set (RFC 7517). Several while a key is rolled; tokens name theirs by `kid`."""
    keys = tuple(
        JwkOut(kid=key.kid, x=jose.b64url(key.x), y=jose.b64url(key.y))
        for key in public_keys(call.ports)
    )
    return Reply(JwksOut(keys=keys), headers=_KEYS_CACHING)
