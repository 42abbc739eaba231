"""The page on which the owner of an account lets a platform act for it."""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from infra.local.stripe_stand_in import connections
from infra.local.stripe_stand_in.account import CLIENT_ID
from infra.local.stripe_stand_in.pages.html import page, redirect
from infra.local.stripe_stand_in.resources import oauth
from infra.local.stripe_stand_in.wire import Request, Response

if TYPE_CHECKING:
    from infra.local.stripe_stand_in.core import StandIn

_NEW = "new"
_DECLINED = {
    "error": "access_denied",
    "error_description": "The user denied your request",
}


def handle(stand_in: StandIn, request: Request) -> Response:
    """The question, or the way back with its answer."""
    given = {name: values[-1] for name, values in parse_qs(request.query).items()}
    problem = _problem(given)
    if problem is not None:
        body = f"<main><section><h1>Can't connect</h1><p>{escape(problem)}</p></section></main>"
        return page("Can't connect", body, status=HTTPStatus.BAD_REQUEST)
    if request.method == "GET":
        return _question(stand_in, given)
    fields = {k: v[-1] for k, v in parse_qs(request.body.decode("utf-8", "replace")).items()}
    return _answer(stand_in, given, fields)


def _problem(given: dict[str, str]) -> str | None:
    if given.get("client_id") != CLIENT_ID:
        return "No application matches the supplied client identifier."
    if given.get("response_type") != "code":
        return "The response type must be code."
    if given.get("scope", "read_only") not in ("read_only", "read_write"):
        return "The scope must be read_only or read_write."
    target = urlsplit(given.get("redirect_uri", ""))
    if target.scheme not in ("http", "https") or not target.netloc:
        return "The redirect URI is none of the platform's settings."
    return None


def _question(stand_in: StandIn, given: dict[str, str]) -> Response:
    with stand_in.lock:
        names = [one.account.id for one in stand_in.everyone()]
    choices = "".join(
        f'<option value="{escape(name)}">{escape(name)}{escape(note)}</option>'
        for name, note in [
            # Stripe connects no platform to itself. Here one may be, so that a stack that sells can be connected, too.
            (names[0], ": the account of the stand-in itself"),
            *((name, ": connected before") for name in names[1:]),
            (_NEW, ": an empty account"),
        ]
    )
    what = "read and write" if given.get("scope") == "read_write" else "read"
    body = (
        f"<main><section><h1>Connect {escape(connections.APPLICATION_NAME)} to your account</h1>"
        f"<p>It may {what} customers, subscriptions, prices and payments.</p>"
        f'<form method="post"><label for="account">Account</label>'
        f'<p><select id="account" name="account">{choices}</select></p>'
        '<button name="action" value="connect">Connect</button>'
        '<button class="plain" name="action" value="decline">Decline</button></form></section></main>'
    )
    target = urlsplit(given["redirect_uri"])
    return page("Connect", body, form_targets=f"{target.scheme}://{target.netloc}")


def _answer(stand_in: StandIn, given: dict[str, str], fields: dict[str, str]) -> Response:
    back = {"state": given["state"]} if "state" in given else {}
    if fields.get("action", "connect") != "connect":
        return _back(given, {**_DECLINED, **back})
    with stand_in.change() as acct:
        chosen = fields.get("account") or acct.id
        if chosen == _NEW:
            chosen = acct.ids.new("account")
        elif chosen not in {one.account.id for one in stand_in.everyone()}:
            body = "<main><section><h1>Can't connect</h1><p>There is no such account.</p></section></main>"
            return page("Can't connect", body, status=HTTPStatus.BAD_REQUEST)
        connections.note(acct, chosen)
        stand_in.open_account(chosen)
        code = oauth.new_code(acct, chosen, given.get("scope", "read_only"))
    return _back(given, {"scope": given.get("scope", "read_only"), "code": code, **back})


def _back(given: dict[str, str], more: dict[str, str]) -> Response:
    target = given["redirect_uri"]
    return redirect(f"{target}{'&' if urlsplit(target).query else '?'}{urlencode(more)}")
