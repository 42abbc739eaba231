"""The API's description: the OpenAPI document, and pages for people made of it.

The packaged viewers are bundles of a megabyte and more that set inline styles and build the page in the browser.
A page made on the server has neither script nor styles of others, so its policy can forbid everything else, it
adds kilobytes to the function, and it can be read with anything that reads HTML.
"""

import json
from functools import lru_cache
from typing import Final

from chalice.app import Blueprint, Chalice

from chalicelib.api import openapi, problems
from chalicelib.api.http import Call, Reply, Text, endpoint
from chalicelib.api.routing import Paygrade
from chalicelib.api.wire import NoBody, NoQuery
from chalicelib.web import reference

bp = Blueprint(__name__)

_HTML: Final = "text/html; charset=utf-8"
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": reference.CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "no-referrer",
}


@lru_cache(maxsize=4)
def _document(app: Chalice, server_url: str) -> openapi.Document:
    if isinstance(app, Paygrade):
        app.load_all()
    return openapi.document(app.routes, server_url)


@endpoint(
    bp,
    "GET",
    "/openapi.json",
    root=True,
    scope=None,
    summary="This document",
    answer=Text,
    media_type="application/json",
    etag=True,
)
def get_openapi(call: Call[NoBody, NoQuery]) -> Text:
    """OpenAPI 3.1, made of the models that serve the requests."""
    found = _document(bp.current_app, call.ports.environment.public_url)
    return Text(body=json.dumps(found, separators=(",", ":")), media_type="application/json")


@endpoint(
    bp,
    "GET",
    "/docs",
    root=True,
    scope=None,
    summary="The API for people",
    answer=Text,
    media_type=_HTML,
    etag=True,
)
def get_docs(call: Call[NoBody, NoQuery]) -> Reply[Text]:
    """A page without scripts, made of the OpenAPI document."""
    found = _document(bp.current_app, call.ports.environment.public_url)
    return Reply(Text(body=reference.api_page(found), media_type=_HTML), headers=_PAGE_HEADERS)


@endpoint(
    bp,
    "GET",
    "/docs/problems",
    root=True,
    scope=None,
    summary="The problems for people",
    answer=Text,
    media_type=_HTML,
    etag=True,
)
def get_problems(call: Call[NoBody, NoQuery]) -> Reply[Text]:  # noqa: ARG001 -- says nothing of the caller
    """Where a problem's `type` leads: every code, its status and its meaning."""
    page = reference.problems_page(problems.described())
    return Reply(Text(body=page, media_type=_HTML), headers=_PAGE_HEADERS)
