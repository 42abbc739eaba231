"""The route table: which function answers which method and path."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from infra.local.stripe_stand_in import operations

Handler = Callable[..., dict[str, Any]]
# Where the noun stands in /v1/<noun>/...
_NOUN = 2
_PLACEHOLDER = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One emulated operation; `params` types those the SDK has no operation for."""

    method: str
    template: str
    handler: Handler
    params: type | None

    def params_type(self) -> type | None:
        """The TypedDict that closes this operation's parameters."""
        if self.params is not None:
            return self.params
        operation = operations.find(self.method, self.template)
        return operation.params_type() if operation is not None else None


_routes: dict[tuple[str, int], list[tuple[re.Pattern[str], Route]]] = {}


def pattern_of(template: str) -> re.Pattern[str]:
    """A path template as an expression with one group per placeholder."""
    parts = _PLACEHOLDER.split(template)
    return re.compile("([^/]+)".join(re.escape(part) for part in parts) + r"\Z")


def route(
    method: str, template: str, *, params: type | None = None
) -> Callable[[Handler], Handler]:
    """The function answers this operation."""

    def register(handler: Handler) -> Handler:
        entry = (pattern_of(template), Route(method, template, handler, params))
        bucket = _routes.setdefault((method, template.count("/")), [])
        # Fixed paths go first: /v1/invoices/create_preview is no invoice id.
        bucket.insert(0, entry) if "{" not in template else bucket.append(entry)
        return handler

    return register


def match(method: str, path: str) -> tuple[Route, list[str]] | None:
    """The route and the path's decoded placeholders, or None."""
    for pattern, found in _routes.get((method, path.count("/")), ()):
        hit = pattern.match(path)
        if hit and not ("{" in found.template and _is_fixed(method, path)):
            return found, [unquote(group) for group in hit.groups()]
    return None


def _is_fixed(method: str, path: str) -> bool:
    """Whether Stripe has an operation of exactly this path: /v1/products/search is no product."""
    return (method, path) in operations.templates(path.split("/")[_NOUN])


def all_routes() -> list[Route]:
    """Every emulated operation."""
    return sorted(
        (found for bucket in _routes.values() for _, found in bucket),
        key=lambda found: (found.template, found.method),
    )


def known_to_stripe(method: str, path: str) -> bool:
    """Whether the SDK has this operation though the stand-in does not emulate it."""
    segments = path.split("/")
    if len(segments) <= _NOUN:
        return False
    return any(
        known_method == method and pattern_of(template.replace("{}", "{id}")).match(path)
        for known_method, template in operations.templates(segments[_NOUN])
    )
