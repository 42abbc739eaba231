"""The pages a person sees: checkout, the customer portal, and connecting an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.local.stripe_stand_in.pages import checkout_page, connect_page, html, portal_page
from infra.local.stripe_stand_in.wire import Request, Response

if TYPE_CHECKING:
    from infra.local.stripe_stand_in.core import StandIn

PREFIXES = ("/c/pay/", "/p/session/", "/oauth/authorize")


def handle(stand_in: StandIn, request: Request) -> Response:
    """The page for this address."""
    if request.method not in ("GET", "POST"):
        return html.page("Not allowed", "<p>This page cannot do that.</p>", status=405)
    if request.path.startswith("/c/pay/"):
        return checkout_page.handle(stand_in, request)
    if request.path == "/oauth/authorize":
        return connect_page.handle(stand_in, request)
    return portal_page.handle(stand_in, request)
