"""What the payment page shows: the order, the card form, the bank's question."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from infra.local.stripe_stand_in import paying
from infra.local.stripe_stand_in.pages.html import money, page
from infra.local.stripe_stand_in.resources import checkout
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.wire import Response

if TYPE_CHECKING:
    from infra.local.stripe_stand_in.core import StandIn

_CARDS_HELP = (
    '<details><summary>Test cards</summary><dl class="soft">'
    "<dt><code>4242 4242 4242 4242</code></dt><dd>is paid</dd>"
    "<dt><code>4000 0025 0000 3155</code></dt><dd>asks for confirmation, then is paid</dd>"
    "<dt><code>4000 0000 0000 0002</code></dt><dd>is declined</dd>"
    "<dt><code>4000 0000 0000 9995</code></dt><dd>has insufficient funds</dd>"
    "<dt><code>4000 0000 0000 0341</code></dt><dd>is paid now, fails at renewal</dd>"
    '</dl><p class="soft">Any future date and any three digits will do.</p></details>'
)


def confirm(session: Obj, number: str, fields: dict[str, str]) -> Response:
    """The bank's question, whose answer comes back with the same form fields."""
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


def form(
    stand_in: StandIn,
    session: Obj,
    problem: str | None = None,
    fields: dict[str, str] | None = None,
) -> Response:
    """The order and the card form, with what went wrong on top."""
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
        f'<form method="post"{described}>{email_field}{_card(session, fields)}'
        f'<button name="action" value="pay">{_verb(stand_in, session)}</button></form>'
        f"{_promotion(session)}{_CARDS_HELP}</section></main>"
    )
    return page("Checkout", body, form_targets=_origin(session["success_url"]))


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
        # A form of its own: Enter in the card form must pay, not apply a code.
        '<form method="post"><label for="promotion_code">Promotion code</label>'
        '<input id="promotion_code" name="promotion_code" autocomplete="off">'
        '<button class="plain" name="action" value="apply">Apply code</button></form>'
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
    quantity = f" &times; {line['quantity']}" if line["quantity"] not in (None, 1) else ""
    amount = (
        "by usage" if line["quantity"] is None else money(line["amount_subtotal"], line["currency"])
    )
    return (
        f'<tr><th scope="row">{escape(line["description"])}{quantity}{every}</th>'
        f"<td>{escape(amount)}</td></tr>"
    )
