"""Customer tokens: how a browser comes to act for the customer who is logged in there."""

from datetime import datetime
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.http import Call, endpoint
from chalicelib.api.wire import ChosenId, NoQuery, Wire
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.customer_tokens import (
    DEFAULT_TTL_SECONDS,
    MAX_TTL_SECONDS,
    MIN_TTL_SECONDS,
)
from chalicelib.domain.ids import CustomerId
from chalicelib.services.issue_customer_token import issue_customer_token

bp = Blueprint(__name__)


class CustomerTokenCreate(Wire):
    """Whose token, and for how long."""

    customer_id: Annotated[
        ChosenId, Field(description="Whoever is logged in: never what the browser says.")
    ]
    ttl_seconds: Annotated[int, Field(ge=MIN_TTL_SECONDS, le=MAX_TTL_SECONDS)] = DEFAULT_TTL_SECONDS


class CustomerTokenOut(Wire):
    """Send `token` as `Authorization: Bearer`; get another before `expires_at`."""

    object: Literal["customer_token"] = "customer_token"
    id: str
    customer_id: str
    token: str
    expires_at: datetime


@endpoint(
    bp,
    "POST",
    "/customer_tokens",
    scope=Scope.TOKENS_WRITE,
    summary="Issue a customer token",
    body=CustomerTokenCreate,
    answer=CustomerTokenOut,
    status=201,
    secret_answer=True,
)
def post_customer_token(call: Call[CustomerTokenCreate, NoQuery]) -> CustomerTokenOut:
    """A JWT for the customer's browser: reads of this customer, and ordering for it, until it expires.

    Ask from your server, with the customer that your own login tells. A token can't be revoked by itself: it lives a
    quarter of an hour unless `ttl_seconds` says otherwise, and ends with the secret that signed it.
    """
    customer_id = CustomerId(call.body.customer_id)
    token, text = issue_customer_token(call.ports, customer_id, call.body.ttl_seconds)
    return CustomerTokenOut(
        id=token.id, customer_id=customer_id, token=text, expires_at=token.expires_at
    )
