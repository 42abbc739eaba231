"""A request and an answer without any transport."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Delivery = Literal["send", "hang", "reset"]


@dataclass(slots=True)
class Request:
    """What came in; header names are matched without regard to case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The header's value, or None."""
        wanted = name.lower()
        for key, value in self.headers.items():
            if key.lower() == wanted:
                return value
        return None


@dataclass(slots=True)
class Response:
    """What goes out; `delivery` tells a transport to lose the answer on purpose."""

    status: int
    headers: dict[str, str]
    body: bytes
    delivery: Delivery = "send"
    delay_seconds: float = 0.0

    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


def json_response(
    status: int, body: Any, headers: dict[str, str] | None = None, *, pretty: bool = False
) -> Response:
    """An answer in JSON; compact, because an indented one cannot use the fast encoder."""
    text = (
        json.dumps(body, indent=2, ensure_ascii=False)
        if pretty
        else json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    )
    all_headers = {"Content-Type": "application/json", "Cache-Control": "no-cache, no-store"}
    all_headers.update(headers or {})
    return Response(status, all_headers, text.encode())
