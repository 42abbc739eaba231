"""Checkout sessions: the page on which a customer pays, and the pages it comes back to."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api import whose
from chalicelib.api.http import Call, Reply, Text, endpoint
from chalicelib.api.orders import OrderIn, Url, ordered
from chalicelib.api.wire import NoBody, NoQuery, Query, Wire
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.billing import CheckoutMode, CheckoutStatus
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.orders import Order
from chalicelib.services.expire_checkout import expire_checkout
from chalicelib.services.return_from_checkout import return_from_checkout
from chalicelib.services.start_checkout import start_checkout
from chalicelib.services.view_subscriptions import get_checkout_session
from chalicelib.web.pages import HTML, PAGE_HEADERS, checkout_page

bp = Blueprint(__name__)


class CheckoutCreate(OrderIn):
    """An order that is to be paid.

    `hosted` takes `success_url` and `cancel_url`; `embedded` and `elements` take `return_url`, whose origin must be on
    the same allow-list.
    """

    ui_mode: Annotated[CheckoutMode, Field(strict=False)] = CheckoutMode.HOSTED
    return_url: Annotated[
        Url | None, Field(description="Where an embedded checkout leads when it is done.")
    ] = None

    def to_domain(self) -> Order:
        """The order, with where it is paid."""
        return replace(super().to_domain(), ui_mode=self.ui_mode, return_url=self.return_url)


class CheckoutSessionOut(Wire):
    """A session that can be paid until `expires_at`: at `url`, or where the browser has its `client_secret`."""

    object: Literal["checkout_session"] = "checkout_session"
    id: str
    customer_id: str
    plan_id: str
    plan_version: int
    status: CheckoutStatus
    ui_mode: CheckoutMode
    url: str | None
    client_secret: str | None
    billing_id: str | None
    subscription_id: str
    expires_at: datetime
    created_at: datetime


def from_domain(session: CheckoutSession) -> CheckoutSessionOut:
    """The session as it is shown."""
    is_open = session.status is CheckoutStatus.OPEN
    return CheckoutSessionOut(
        id=session.id,
        customer_id=session.customer_id,
        plan_id=session.plan_id,
        plan_version=session.plan_version,
        status=session.status,
        ui_mode=session.ui_mode,
        url=session.url if is_open else None,
        client_secret=session.client_secret if is_open else None,
        billing_id=session.billing_id,
        subscription_id=session.subscription_id,
        expires_at=session.expires_at,
        created_at=session.created_at,
    )


@endpoint(
    bp,
    "POST",
    "/checkout_sessions",
    scope=Scope.CUSTOMERS_WRITE,
    whose=whose.IN_BODY,
    summary="Open a checkout",
    body=CheckoutCreate,
    answer=CheckoutSessionOut,
    status=201,
)
def post_checkout_session(call: Call[CheckoutCreate, NoQuery]) -> CheckoutSessionOut:
    """One session for each customer and product: the same order gets the same one, another order replaces it.

    A customer begins at most five a minute (429 with `Retry-After`): stolen cards are tested by beginning again.
    """
    return from_domain(start_checkout(call.ports, call.cause, ordered(call.body, call)))


@endpoint(
    bp,
    "GET",
    "/checkout_sessions/{session_id}",
    scope=Scope.CUSTOMERS_READ,
    whose=whose.CHECKOUT_SESSION,
    summary="Retrieve a checkout session",
    answer=CheckoutSessionOut,
)
def retrieve_checkout_session(call: Call[NoBody, NoQuery]) -> CheckoutSessionOut:
    """The session, until a newer one of the same customer and product replaces it."""
    return from_domain(get_checkout_session(call.ports, call.path["session_id"]))


@endpoint(
    bp,
    "POST",
    "/checkout_sessions/{session_id}/expire",
    scope=Scope.CUSTOMERS_WRITE,
    whose=whose.CHECKOUT_SESSION,
    summary="Expire a checkout session",
    answer=CheckoutSessionOut,
)
def post_checkout_expiry(call: Call[NoBody, NoQuery]) -> CheckoutSessionOut:
    """It can't be paid any more. One that was paid before stays so: look at `status`."""
    return from_domain(expire_checkout(call.ports, call.cause, call.path["session_id"]))


class ReturnQuery(Query):
    """What the provider appends to the return address."""

    session_id: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9_]+$")]


@endpoint(
    bp,
    "GET",
    "/checkout/success",
    scope=None,
    root=True,
    summary="The page after a payment",
    query=ReturnQuery,
    answer=Text,
    media_type=HTML,
)
def checkout_success(call: Call[NoBody, ReturnQuery]) -> Reply[Text]:
    """Looks at the provider's truth itself, so that access is there even if the webhook is late."""
    is_paid = return_from_checkout(call.ports, call.cause, call.query.session_id)
    page = checkout_page("paid" if is_paid else "processing")
    return Reply(Text(body=page, media_type=HTML), headers=PAGE_HEADERS)


@endpoint(
    bp,
    "GET",
    "/checkout/canceled",
    scope=None,
    root=True,
    summary="The page after a payment was given up",
    answer=Text,
    media_type=HTML,
)
def checkout_canceled(call: Call[NoBody, NoQuery]) -> Reply[Text]:
    """Says that nothing was charged."""
    del call
    page = checkout_page("canceled")
    return Reply(Text(body=page, media_type=HTML), headers=PAGE_HEADERS)
