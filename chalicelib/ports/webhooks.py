"""Telling the operator's application."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSent:
    """What came of one request: the status that was answered, or why there is none."""

    status: int | None
    error: str | None
    duration_ms: int


class WebhookSender(Protocol):
    """The way to the operator's application. Nothing but public addresses is ever spoken to."""

    def now(self) -> datetime:
        """The time that receivers hold signatures against: the world's, even where a test clock rules."""
        ...

    def refusal(self, url: str) -> str | None:
        """Why events can't be sent to this URL, as a sentence; None if they can."""
        ...

    def send(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_seconds: float
    ) -> WebhookSent:
        """One POST of these bytes, following no redirect, answered within that time or not. Raises nothing."""
        ...
