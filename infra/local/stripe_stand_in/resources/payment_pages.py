"""The browser's side of Checkout, which the CLI's `trigger checkout.session.completed` plays."""

import typing_extensions as te

from infra.local.stripe_stand_in import paying
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.errors import card_error
from infra.local.stripe_stand_in.resources import payment_methods
from infra.local.stripe_stand_in.router import route
from infra.local.stripe_stand_in.rules import refuse
from infra.local.stripe_stand_in.store import Obj


class ReadParams(te.TypedDict):
    """Nothing but what to expand."""

    expand: te.NotRequired[list[str]]


class ConfirmParams(te.TypedDict):
    """What a browser sends when its user pays."""

    expand: te.NotRequired[list[str]]
    expected_amount: te.NotRequired[int]
    payment_method: str


@route("GET", "/v1/payment_pages/{id}", params=ReadParams)
def retrieve(acct: Account, _params: Obj, session_id: str) -> Obj:
    """The session as its page sees it."""
    return acct.get("checkout.session", session_id)


@route("POST", "/v1/payment_pages/{id}/confirm", params=ConfirmParams)
def confirm(acct: Account, params: Obj, session_id: str) -> Obj:
    """The session is paid with this payment method, or the card is declined with 402."""
    session = acct.get("checkout.session", session_id)
    expected = params.get("expected_amount", session["amount_total"])
    refuse(
        expected != session["amount_total"],
        "The amount of this Checkout Session has changed. Refresh the page and try again.",
        "expected_amount",
        "checkout_amount_mismatch",
    )
    method = payment_methods.resolve(acct, params["payment_method"], "payment_method")
    outcome = method["_attach"]
    if outcome not in {"ok", "authenticate"}:
        paying.decline(acct, session_id, outcome)
        raise card_error(outcome)
    return paying.pay(acct, session_id, method=method)
