"""The hosted payment page: a plain form, test cards only, the session decides everything."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

from infra.local.stripe_stand_in import control, paying
from infra.local.stripe_stand_in.account import Actor
from infra.local.stripe_stand_in.errors import StripeError
from infra.local.stripe_stand_in.resources import checkout, payment_methods
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.wire import Request, Response

from .html import money, page, redirect

if TYPE_CHECKING:
    from infra.local.stripe_stand_in.core import StandIn

_DELIVERY_WAIT_SECONDS = 10.0
_EXPIRY = re.compile(r"(\d{1,2})\s*/?\s*(\d{2}|\d{4})\Z")
_DECLINED = {
    "insufficient_funds": "Your card has insufficient funds. Try a different card.",
}
_CARDS_HELP = (
    '<details><summary>Test cards</summary><dl class="soft">'
    "<dt><code>4242 4242 4242 4242</code></dt><dd>is paid</dd>"
    "<dt><code>4000 0025 0000 3155</code></dt><dd>asks for confirmation, then is paid</dd>"
    "<dt><code>4000 0000 0000 0002</code></dt><dd>is declined</dd>"
    "<dt><code>4000 0000 0000 9995</code></dt><dd>has insufficient funds</dd>"
    "<dt><code>4000 0000 0000 0341</code></dt><dd>is paid now, fails at renewal</dd>"
    '</dl><p class="soft">Any future date and any three digits will do.</p></details>'
)


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
        return _form(stand_in, session)
    fields = {k: v[-1] for k, v in parse_qs(request.body.decode("utf-8", "replace")).items()}
    return _submit(stand_in, session, fields)


def _message(title: str, text: str, status: int) -> Response:
    body = f"<main><section><h1>{escape(title)}</h1><p>{escape(text)}</p></section></main>"
    return page(title, body, status=status)


def _submit(stand_in: StandIn, session: Obj, fields: dict[str, str]) -> Response:
    acct = stand_in.account
    code = fields.get("promotion_code", "").strip()
    if code and session["allow_promotion_codes"]:
        try:
            with stand_in.lock:
                control.apply_promotion_code(stand_in, session["id"], code)
                stand_in.commit()
                session = acct.get("checkout.session", session["id"])
        except StripeError as refused:
            with stand_in.lock:
                stand_in.store.rollback()
            return _form(stand_in, session, refused.message, fields)
        if fields.get("action") == "apply":
            return _form(stand_in, session, None, fields)
    number = re.sub(r"[\s-]", "", fields.get("number", ""))
    if paying.needs_card(session):
        problem = _card_problem(acct.now(), number, fields)
        if problem is not None:
            return _form(stand_in, session, problem, fields)
        outcome = payment_methods.at_checkout(number)
        if outcome == "authenticate" and fields.get("confirmed") != "yes":
            if fields.get("confirmed") == "no":
                return _declined(stand_in, session, "authentication_required", fields)
            return _confirm(session, number, fields)
        if outcome not in ("ok", "authenticate"):
            return _declined(stand_in, session, outcome, fields)
    return _paid(stand_in, session, number or paying.GOOD_CARD, fields.get("email"))


def _card_problem(now: int, number: str, fields: dict[str, str]) -> str | None:
    if not payment_methods.known_card(number):
        return "Your card number is not one of the test cards."
    expiry = _EXPIRY.match(fields.get("expiry", "").strip())
    if expiry is None or not 1 <= int(expiry.group(1)) <= 12:
        return "Your card's expiry date is incomplete. Write it as MM / YY."
    today = datetime.fromtimestamp(now, UTC)
    year = int(expiry.group(2)) % 100 + 2000
    if (year, int(expiry.group(1))) < (today.year, today.month):
        return "Your card's expiry date is in the past."
    if not re.fullmatch(r"\d{3,4}", fields.get("cvc", "").strip()):
        return "Your card's security code is incomplete."
    return None


def _declined(stand_in: StandIn, session: Obj, code: str, fields: dict[str, str]) -> Response:
    with stand_in.lock:
        stand_in.account.actor = Actor()
        paying.decline(stand_in.account, session["id"], code)
        stand_in.commit()
    message = _DECLINED.get(code, "Your card was declined. Try a different card.")
    if code == "authentication_required":
        message = "We could not confirm that it is you. Try again or use a different card."
    return _form(stand_in, session, message, fields)


def _paid(stand_in: StandIn, session: Obj, number: str, email: str | None) -> Response:
    acct = stand_in.account
    try:
        with stand_in.lock:
            acct.actor = Actor()
            acct.aliases = {}
            done = paying.pay(acct, session["id"], card=number, email=email or None)
            events = [
                e["id"]
                for e in acct.all("event")[-30:]
                if e["type"] == "checkout.session.completed"
                and e["data"]["object"]["id"] == done["id"]
            ]
            stand_in.commit()
    except StripeError as refused:
        with stand_in.lock:
            stand_in.store.rollback()
        return _form(stand_in, session, refused.message, {})
    # Stripe gives the shop's webhook a moment, so that the success page finds its work done.
    stand_in.wait_for_delivery(events, _DELIVERY_WAIT_SECONDS)
    target = str(done["success_url"])
    return redirect(
        target.replace("{CHECKOUT_SESSION_ID}", done["id"]).replace(
            quote("{CHECKOUT_SESSION_ID}"), done["id"]
        )
    )


def _confirm(session: Obj, number: str, fields: dict[str, str]) -> Response:
    kept = {**fields, "number": number}
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in kept.items()
        if name in ("number", "expiry", "cvc", "email")
    )
    body = (
        "<main><section><h1>Confirm that it is you</h1>"
        "<p>Your bank wants to know that you are making this payment.</p>"
        f'<form method="post">{hidden}'
        '<button name="confirmed" value="yes">Confirm payment</button>'
        '<button class="plain" name="confirmed" value="no">Refuse</button>'
        "</form></section></main>"
    )
    return page("Confirm payment", body, form_targets=_origin(session["success_url"]))


def _origin(url: str | None) -> str:
    parts = urlsplit(url or "")
    # A host that a policy could not hold is left out; the redirect then shows as blocked.
    host = parts.netloc if re.fullmatch(r"[A-Za-z0-9.\-:\[\]]+", parts.netloc) else ""
    return f"{parts.scheme}://{host}" if host else ""


def _form(
    stand_in: StandIn,
    session: Obj,
    problem: str | None = None,
    fields: dict[str, str] | None = None,
) -> Response:
    fields = fields or {}
    alert = f'<p class="alert" id="problem" role="alert">{escape(problem)}</p>' if problem else ""
    described = ' aria-describedby="problem"' if problem else ""
    email = session["customer_email"] or fields.get("email", "")
    known = session["customer"] is not None or session["customer_email"] is not None
    email_field = (
        ""
        if known
        else (
            '<label for="email">Email</label><input id="email" name="email" type="email" '
            f'autocomplete="email" required value="{escape(email)}">'
        )
    )
    back = ""
    if session["cancel_url"]:
        back = f'<p><a href="{escape(session["cancel_url"])}">← Back to the shop</a></p>'
    body = (
        f'<main class="two"><section>{back}{_summary(stand_in, session)}</section>'
        f"<section><h2>Pay with card</h2>{alert}"
        f'<form method="post"{described}>{email_field}{_promotion(session)}{_card(session, fields)}'
        f'<button name="action" value="pay">{_verb(stand_in, session)}</button></form>'
        f"{_CARDS_HELP}</section></main>"
    )
    status = 402 if problem else 200
    return page("Checkout", body, status=status, form_targets=_origin(session["success_url"]))


def _card(session: Obj, fields: dict[str, str]) -> str:
    if not paying.needs_card(session):
        return '<p class="soft">No card is needed today.</p>'
    return (
        '<label for="number">Card number</label><input id="number" name="number" '
        'inputmode="numeric" autocomplete="cc-number" placeholder="4242 4242 4242 4242" required>'
        '<div class="pair"><div><label for="expiry">Expiry (MM / YY)</label>'
        '<input id="expiry" name="expiry" inputmode="numeric" autocomplete="cc-exp" '
        f'placeholder="12 / 34" required value="{escape(fields.get("expiry", ""))}"></div>'
        '<div><label for="cvc">Security code</label><input id="cvc" name="cvc" '
        'inputmode="numeric" autocomplete="cc-csc" placeholder="123" required></div></div>'
    )


def _promotion(session: Obj) -> str:
    if not session["allow_promotion_codes"]:
        return ""
    return (
        '<label for="promotion_code">Promotion code</label>'
        '<input id="promotion_code" name="promotion_code" autocomplete="off">'
        '<button class="plain" name="action" value="apply" formnovalidate>Apply code</button>'
    )


def _verb(stand_in: StandIn, session: Obj) -> str:
    if session["mode"] == "setup":
        return "Save card"
    if checkout.trial_end(stand_in.account, session) is not None:
        return "Start trial"
    due = money(session["amount_total"], session["currency"])
    return f"Subscribe, {due}" if session["mode"] == "subscription" else f"Pay {due}"


def _summary(stand_in: StandIn, session: Obj) -> str:
    if session["mode"] == "setup":
        return "<h1>Save a card</h1><p>Nothing is charged today.</p>"
    currency = session["currency"]
    rows = "".join(_row(stand_in, line) for line in session["_line_items"])
    off: Any = (session["total_details"] or {}).get("amount_discount", 0)
    discount = (
        f'<tr><th scope="row">Discount</th><td>{money(-off, currency)}</td></tr>' if off else ""
    )
    ends = checkout.trial_end(stand_in.account, session)
    trial = ""
    if ends is not None:
        days = max(1, (ends - stand_in.account.now()) // 86_400)
        day = datetime.fromtimestamp(ends, UTC)
        trial = f'<p class="soft">{days} days free, billed from {day:%d %B %Y}.</p>'
    return (
        "<h1>Your order</h1>"
        f'<p class="total">{money(session["amount_total"], currency)}</p>'
        f'<p class="soft">due today</p>{trial}'
        f'<table><tbody>{rows}</tbody><tfoot>{discount}<tr><th scope="row">Total due today</th>'
        f"<td>{money(session['amount_total'], currency)}</td></tr></tfoot></table>"
    )


def _row(stand_in: StandIn, line: Obj) -> str:
    price = stand_in.account.get("price", line["price"])
    recurring = price["recurring"]
    every = ""
    if recurring is not None:
        count = recurring["interval_count"]
        unit = recurring["interval"] if count == 1 else f"{count} {recurring['interval']}s"
        every = f'<br><span class="soft">every {unit}</span>'
    quantity = f" × {line['quantity']}" if line["quantity"] not in (None, 1) else ""
    amount = (
        "by usage" if line["quantity"] is None else money(line["amount_subtotal"], line["currency"])
    )
    return (
        f'<tr><th scope="row">{escape(line["description"])}{quantity}{every}</th>'
        f"<td>{escape(amount)}</td></tr>"
    )
