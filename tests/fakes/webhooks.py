"""The operator's application: takes what it is sent, or answers as a test wants."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.domain.webhook_addresses import url_refusal
from chalicelib.ports import WebhookSent
from tests.fakes.system import FakeClock


@dataclass(frozen=True)
class Received:
    url: str
    headers: dict[str, str]
    body: bytes
    answer: int | str = 200


@dataclass
class FakeWebhookSender:
    """A `WebhookSender` that asks nobody. `answers` are used up first; then everything is a 200.

    An answer is a status, or the error of a request without one. URLs of `refused` hosts are refused.
    """

    clock: FakeClock = field(default_factory=FakeClock)
    received: list[Received] = field(default_factory=list)
    answers: list[int | str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    def now(self) -> datetime:
        return self.clock.now()

    def refusal(self, url: str) -> str | None:
        if url in self.refused:
            return "The address is not a public one."
        return url_refusal(url, local=False)

    def send(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_seconds: float
    ) -> WebhookSent:
        refusal = self.refusal(url)
        if refusal is not None:
            return WebhookSent(status=None, error="address_not_allowed", duration_ms=0)
        answer = self.answers.pop(0) if self.answers else 200
        self.received.append(Received(url, dict(headers), body, answer))
        if isinstance(answer, str):
            return WebhookSent(status=None, error=answer, duration_ms=1)
        error = None if 200 <= answer < 300 else f"http_{answer}"
        return WebhookSent(status=answer, error=error, duration_ms=1)
