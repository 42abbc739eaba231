"""Connecting Stripe by OAuth: the way there, the way back, what is connected now, and its end."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from chalice.app import Blueprint
from pydantic import ConfigDict, Field

from chalicelib.api.http import Call, Reply, Text, endpoint
from chalicelib.api.problems import problem_of
from chalicelib.api.wire import NoBody, NoQuery, Query, Wire
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.billing_accounts import BillingAccount, Connecting
from chalicelib.domain.errors import DomainError
from chalicelib.ports import Ports
from chalicelib.services.connect_account import begin_connecting, finish_connecting
from chalicelib.services.disconnect_account import disconnect_account
from chalicelib.web.pages import HTML, PAGE_HEADERS, sentence_page

bp = Blueprint(__name__)

PROVIDER: Final = "stripe"
CALLBACK: Final = "/integrations/stripe/callback"


class IntegrationOut(Wire):
    """How the environment works with Stripe.

    `method` `key`: with the account of its own key. `oauth`: on behalf of `account_id`, which somebody connected.
    `disconnected` was ended here, `revoked` at Stripe: until the account is connected again, nothing is sold there.
    """

    object: Literal["integration"] = "integration"
    id: Literal["stripe"] = "stripe"
    status: Literal["connected", "not_connected", "disconnected", "revoked"]
    method: Literal["key", "oauth"]
    account_id: str | None = None
    connected_at: datetime | None = None


class ConnectOut(Wire):
    """Send the owner of the Stripe account to `url`, before `expires_at`; Stripe leads back to `redirect_uri`."""

    object: Literal["integration_connection"] = "integration_connection"
    id: Literal["stripe"] = "stripe"
    url: str
    state: str
    redirect_uri: str
    expires_at: datetime


class CallbackQuery(Query):
    """What Stripe appends to the way back. Whatever else it may append one day is no reason to fail."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    state: Annotated[str, Field(min_length=1, max_length=255)]
    code: Annotated[
        str | None, Field(min_length=1, max_length=512, description="Good once, for five minutes.")
    ] = None
    error: Annotated[
        str | None, Field(max_length=255, description="`access_denied`: the owner declined.")
    ] = None


@endpoint(
    bp,
    "GET",
    "/integrations/stripe",
    scope=Scope.OPERATIONS_READ,
    summary="Get the connection to Stripe",
    answer=IntegrationOut,
)
def get_stripe_integration(call: Call[NoBody, NoQuery]) -> IntegrationOut:
    """Whose account is worked with, and whether that is allowed."""
    return _shown(call.ports, call.ports.store.get(BillingAccount, PROVIDER))


@endpoint(
    bp,
    "GET",
    "/integrations/stripe/connect",
    scope=Scope.OPERATIONS_WRITE,
    summary="Begin to connect a Stripe account",
    answer=ConnectOut,
    also={409: "There is nothing to connect accounts with."},
)
def connect_stripe(call: Call[NoBody, NoQuery]) -> ConnectOut:
    """A URL of Stripe's for the owner of the account, good once within half an hour.

    `redirect_uri` must stand in the OAuth settings of the platform whose `STRIPE_CONNECT_CLIENT_ID` this environment
    has; without one there is nothing to connect (`billing_not_configured`).
    """
    redirect_uri = f"{call.ports.environment.public_url}/v1{CALLBACK}"
    way = begin_connecting(call.ports, call.cause, PROVIDER, redirect_uri)
    return ConnectOut(
        url=way.url, state=way.state, redirect_uri=redirect_uri, expires_at=way.expires_at
    )


@endpoint(
    bp,
    "GET",
    CALLBACK,
    scope=None,
    summary="The way back from connecting a Stripe account",
    query=CallbackQuery,
    answer=IntegrationOut,
    also={400: "The state is not good (any more).", 409: "The account was not connected."},
)
def stripe_callback(call: Call[NoBody, CallbackQuery]) -> Reply[Any]:
    """The browser of the account's owner is led here by Stripe; it is shown a page, programs an object or a problem.

    The state stands for whoever began: it is good once. An account that does not know what this environment is linked
    to is refused (`connect_refused`): it is another one.
    """
    query = call.query
    code = query.code if query.error is None else None
    is_browser = "text/html" in call.headers.get("accept", "")
    try:
        account = finish_connecting(call.ports, call.cause, PROVIDER, query.state, code)
    except DomainError as error:
        if not is_browser:
            raise
        problem, headers = problem_of(error, call.cause.request_id)
        told = {name: value for name, value in headers.items() if name != "Content-Type"}
        return _page(problem.title, problem.detail, status=problem.status, headers=told)
    if not is_browser:
        return Reply(_shown(call.ports, account))
    return _page(
        "Stripe is connected",
        f"Paygrade works on behalf of the account {account.account_id} now. You can close this page.",
    )


@endpoint(
    bp,
    "DELETE",
    "/integrations/stripe",
    scope=Scope.OPERATIONS_WRITE,
    summary="Disconnect the Stripe account",
    answer=IntegrationOut,
)
def disconnect_stripe(call: Call[NoBody, NoQuery]) -> IntegrationOut:
    """Stripe is told, and nothing is done on the account's behalf any more.

    Its subscriptions go on and are billed by Stripe, unseen by us. Connecting the same account again takes up
    everything where it stands.
    """
    return _shown(call.ports, disconnect_account(call.ports, call.cause, PROVIDER))


def _page(
    title: str, text: str, *, status: int | None = None, headers: dict[str, str] | None = None
) -> Reply[Text]:
    page = Text(body=sentence_page(title, text), media_type=HTML)
    return Reply(page, status=status, headers={**PAGE_HEADERS, **(headers or {})})


def _shown(ports: Ports, account: BillingAccount | None) -> IntegrationOut:
    if ports.environment.connecting is None or account is None:
        has_key = PROVIDER in ports.providers.names()
        needs_account = ports.environment.connecting is Connecting.REQUIRED
        return IntegrationOut(
            status="connected" if has_key and not needs_account else "not_connected",
            method="oauth" if needs_account else "key",
        )
    return IntegrationOut(
        status=account.status.value,
        method="oauth",
        account_id=account.account_id,
        connected_at=account.connected_at,
    )
