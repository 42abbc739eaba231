"""What browsers on other origins need: an answer to their preflight, and the origin echoed if it is on the list.

Chalice's own CORS takes a single origin. Nothing is ever allowed with credentials: who calls is said by a header that
the page's own script sets.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from chalice.app import Chalice, Response

from chalicelib.api import runtime
from chalicelib.domain.idempotency import REPLAYED

_EXPOSED: Final = f"ETag, Request-Id, Retry-After, {REPLAYED}"
_ALLOWED_HEADERS: Final = "Authorization, Content-Type, Idempotency-Key, If-None-Match"
_PREFLIGHT_KEPT_SECONDS: Final = "600"
_SYMBOLS: Final = re.compile(r"\W+")


def cross_origin_headers(origin: str | None, allowed: tuple[str, ...]) -> dict[str, str]:
    """What an answer that a browser may read says; the origin is compared as a whole, and never reflected unlisted."""
    # By `Authorization`, too: a cache of the browser must not give one customer's answer to the next.
    headers = {"Vary": "Origin, Authorization"}
    if origin is not None and origin in allowed:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = _EXPOSED
    return headers


def allow_preflight(app: Chalice, paths: Iterable[str]) -> None:
    """Those of the paths that a browser may call answer OPTIONS requests, once all their routes are there."""
    # Imported late: the models come with it, and a check that needs none imports this module.
    from chalicelib.api.operations import Operation  # noqa: PLC0415

    for path in paths:
        methods = app.routes[path]
        operations = (getattr(entry.view_function, "operation", None) for entry in methods.values())
        offered = [
            one.method for one in operations if isinstance(one, Operation) and one.for_browsers
        ]
        if offered and "OPTIONS" not in methods:
            view = _preflight(app, ", ".join(sorted(offered)))
            name = "preflight" + _SYMBOLS.sub("_", path)
            app.route(path, methods=["OPTIONS"], name=name)(view)


def _preflight(app: Chalice, methods: str) -> Any:  # noqa: ANN401 -- Chalice's own type of a view
    def preflight(**_path_params: str) -> Response:
        sent: Mapping[str, str] = app.current_request.headers if app.current_request else {}
        allowed = runtime.ports().environment.browser_origins
        headers = {"Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}
        if (origin := sent.get("origin")) in allowed and origin is not None:
            headers |= {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Methods": methods,
                "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
                "Access-Control-Max-Age": _PREFLIGHT_KEPT_SECONDS,
            }
        return Response(body="", headers=dict(headers), status_code=204)

    return preflight
