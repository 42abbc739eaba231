"""The hosted payment page: test cards only, and the session decides everything."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from infra.local.stripe_stand_in import control, paying
from infra.local.stripe_stand_in.errors import StripeError
from infra.local.stripe_stand_in.pages.checkout_form import confirm, form
from infra.local.stripe_stand_in.pages.html import page, redirect
from infra.local.stripe_stand_in.resources import payment_methods
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.wire import Request, Response

if TYPE_CHECKING:
    from infra.local.stripe_stand_in.core import StandIn

_DELIVERY_WAIT_SECONDS = 10.0
_MONTHS = 12
_EXPIRY = re.compile(r"(\d{1,2})\s*/?\s*(\d{2}|\d{4})\Z")
_DECLINED = {
    "insufficient_funds": "Your card has insufficient funds. Try a different card.",
}


def handle(stand_in: StandIn, request: Request) -> Response:
    """The payment page, or what follows from sending its form."""
    session_id = request.path.removeprefix("/c/pay/").split("/")[0]
    with stand_in.lock:
        stand_in.catch_up()
        session = stand_in.account.find("checkout.session", session_id)
    if session is None or session["ui_mode"] != "hosted_page":
        return _message("Not found", "There is no such payment page.", 404)
    if session["status"] == "complete":
        return _message("All done", "This payment has been completed already.", 200)
    if session["status"] == "expired":
        return _message("Link expired", "This payment page is no longer open.", 410)
    if request.method == "GET":
        return form(stand_in, session)
    fields = {k: v[-1] for k, v in parse_qs(request.body.decode("utf-8", "replace")).items()}
    return _submit(stand_in, session, fields)


def _message(title: str, text: str, status: int) -> Response:
    body = f"<main><section><h1>{escape(title)}</h1><p>{escape(text)}</p></section></main>"
    return page(title, body, status=status)


def _submit(stand_in: StandIn, session: Obj, fields: dict[str, str]) -> Response:
    code = fields.get("promotion_code", "").strip()
    if code and session["allow_promotion_codes"]:
        try:
            with stand_in.change() as acct:
                control.apply_promotion_code(stand_in, session["id"], code)
                session = acct.get("checkout.session", session["id"])
        except StripeError as refused:
            return form(stand_in, session, refused.message, fields)
    if fields.get("action") == "apply":
        return form(stand_in, session, None, fields)
    number = re.sub(r"[\s-]", "", fields.get("number", ""))
    if paying.needs_card(session):
        halted = _check_card(stand_in, session, number, fields)
        if halted is not None:
            return halted
    return _paid(stand_in, session, number or paying.GOOD_CARD, fields.get("email"))


def _check_card(
    stand_in: StandIn, session: Obj, number: str, fields: dict[str, str]
) -> Response | None:
    """The page to show in place of a payment; None when the card may be charged."""
    problem = _card_problem(stand_in.account.now(), number, fields)
    if problem is not None:
        return form(stand_in, session, problem, fields)
    outcome = payment_methods.at_checkout(number)
    if outcome == "authenticate":
        if fields.get("confirmed") == "no":
            return _declined(stand_in, session, "authentication_required", fields)
        return None if fields.get("confirmed") == "yes" else confirm(session, number, fields)
    return None if outcome == "ok" else _declined(stand_in, session, outcome, fields)


def _card_problem(now: int, number: str, fields: dict[str, str]) -> str | None:
    if not payment_methods.known_card(number):
        return "Your card number is not one of the test cards."
    expiry = _EXPIRY.match(fields.get("expiry", "").strip())
    if expiry is None or not 1 <= int(expiry.group(1)) <= _MONTHS:
        return "Your card's expiry date is incomplete. Write it as MM / YY."
    today = datetime.fromtimestamp(now, UTC)
    year = int(expiry.group(2)) % 100 + 2000
    if (year, int(expiry.group(1))) < (today.year, today.month):
        return "Your card's expiry date is in the past."
    if not re.fullmatch(r"\d{3,4}", fields.get("cvc", "").strip()):
        return "Your card's security code is incomplete."
    return None


def _declined(stand_in: StandIn, session: Obj, code: str, fields: dict[str, str]) -> Response:
    with stand_in.change() as acct:
        paying.decline(acct, session["id"], code)
    message = _DECLINED.get(code, "Your card was declined. Try a different card.")
    if code == "authentication_required":
        message = "We could not confirm that it is you. Try again or use a different card."
    return form(stand_in, session, message, fields)


def _paid(stand_in: StandIn, session: Obj, number: str, email: str | None) -> Response:
    try:
        with stand_in.change() as acct:
            done = paying.pay(acct, session["id"], card=number, email=email or None)
            # Nothing is announced after the completion, so its event is the newest.
            events = [event["id"] for event in acct.all("event")[-1:]]
    except StripeError as refused:
        return form(stand_in, session, refused.message, {})
    # Stripe gives the shop's webhook a moment, so that the success page finds its work done.
    stand_in.wait_for_delivery(events, _DELIVERY_WAIT_SECONDS)
    return redirect(str(done["success_url"]).replace("{CHECKOUT_SESSION_ID}", done["id"]))
