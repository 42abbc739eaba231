"""What API Gateway hands to the function, built by hand: every byte and spelling is the test's own."""

import base64
from collections.abc import Mapping
from functools import lru_cache
from itertools import count
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qs

from chalice.app import Chalice

from tests.unit.api.world import Answer

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_NUMBERS: Final = count(1)


@lru_cache(maxsize=4096)
def routed(paths: tuple[str, ...], path: str) -> tuple[str, dict[str, str]]:
    """The resource that serves the path, fixed parts before parameters, and its parameters as they were sent."""
    parts = path.split("/")
    for resource in sorted(paths, key=lambda one: one.replace("{", "\uffff")):
        names = resource.split("/")
        if len(names) == len(parts) and all(
            name == part or (name.startswith("{") and part)
            for name, part in zip(names, parts, strict=True)
        ):
            pairs = zip(names, parts, strict=True)
            return resource, {name[1:-1]: part for name, part in pairs if name.startswith("{")}
    raise LookupError(f"no resource for {path}")


def gateway_event(
    app: Chalice,
    method: str,
    path: str,
    *,
    body: str | bytes | None = None,
    is_base64: bool = False,
    headers: Mapping[str, str] = NO_HEADERS,
    parameters: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The event of one request to a REST API; `path` may carry a query. `parameters` replace the path's."""
    plain, _, query = path.partition("?")
    resource, found = routed(tuple(app.routes), plain)
    values = parse_qs(query, keep_blank_values=True, errors="replace")
    return {
        "resource": resource,
        "path": plain,
        "httpMethod": method,
        "headers": dict(headers),
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: given[-1] for name, given in values.items()} or None,
        "multiValueQueryStringParameters": values or None,
        "pathParameters": dict(parameters or found) or None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": resource,
            "httpMethod": method,
            "path": plain,
            "requestId": f"req-gateway-{next(_NUMBERS)}",
            "identity": {"sourceIp": "192.0.2.1"},
        },
        "body": body,
        "isBase64Encoded": is_base64,
    }


def invoke(app: Chalice, event: dict[str, Any]) -> Answer:
    """The function's answer to the event."""
    answer: dict[str, Any] = app(event, None)
    headers = dict(answer.get("headers", {}))
    headers |= {name: values[-1] for name, values in answer.get("multiValueHeaders", {}).items()}
    text = answer.get("body", "")
    data = base64.b64decode(text) if answer.get("isBase64Encoded") else str(text).encode()
    return Answer(answer["statusCode"], headers, data)
