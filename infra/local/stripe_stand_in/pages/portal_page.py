"""The customer portal: what a customer has, and a way back."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from infra.local.stripe_stand_in.pages.html import page
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.wire import Request, Response

if TYPE_CHECKING:
    from infra.local.stripe_stand_in.core import StandIn


def handle(stand_in: StandIn, request: Request) -> Response:
    """The portal page of this session."""
    session_id = request.path.removeprefix("/p/session/").split("/")[0]
    with stand_in.lock:
        acct = stand_in.account
        session = acct.find("billing_portal.session", session_id)
        if session is None:
            return page(
                "Not found", "<main><section><h1>Not found</h1></section></main>", status=404
            )
        customer = acct.get("customer", session["customer"])
        mine = [s for s in acct.all("subscription") if s["customer"] == customer["id"]]
        rows = "".join(_row(stand_in, subscription) for subscription in mine)
    back = ""
    if session["return_url"]:
        back = f'<a class="button" href="{escape(session["return_url"])}">Return</a>'
    body = (
        f"<main><section><h1>Billing of {escape(customer['email'] or customer['id'])}</h1>"
        f"<table><tbody>{rows or '<tr><td>No subscriptions</td></tr>'}</tbody></table>{back}"
        "</section></main>"
    )
    return page("Billing", body)


def _row(stand_in: StandIn, subscription: Obj) -> str:
    acct = stand_in.account
    names = [
        acct.get("product", acct.get("price", item["price"])["product"])["name"]
        for item in subscription["items"]["data"]
    ]
    return (
        f'<tr><th scope="row">{escape(", ".join(names))}</th>'
        f"<td>{escape(subscription['status'])}</td></tr>"
    )
