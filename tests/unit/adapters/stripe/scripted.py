"""Stripe played from a script: the real SDK, no socket, every request kept to look at."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import stripe

from chalicelib.adapters.billing.stripe.connection import Patience
from chalicelib.adapters.billing.stripe.provider import StripeProvider
from chalicelib.domain.billing import CheckoutItem, CheckoutRequest

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@dataclass(slots=True)
class ManualClock:
    """Stands still but for sleeping; `slept` is every nap."""

    time: datetime = NOW
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Sent:
    """One request as it went over the wire."""

    method: str
    path: str
    params: Mapping[str, str]
    key: str | None
    body: str
    host: str = ""
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What Stripe says next; `takes_seconds` pass first."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    takes_seconds: float = 0.0


def no_answer(*, should_retry: bool = True) -> stripe.APIConnectionError:
    """The SDK's error for a timeout, or for what no repetition cures (a wrong certificate)."""
    return stripe.APIConnectionError("timeout", should_retry=should_retry)  # type: ignore[no-untyped-call]


class ScriptedHttp(stripe.HTTPClient):
    """Gives the answers in turn, and fails the test when there are none left."""

    name = "scripted"

    def __init__(self, clock: ManualClock, *answers: Answer | stripe.APIConnectionError) -> None:
        super().__init__()
        self.clock = clock
        self.answers = list(answers)
        self.sent: list[Sent] = []

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        parts = urlsplit(url)
        body = post_data or parts.query
        params = dict(parse_qsl(body, keep_blank_values=True))
        key = (headers or {}).get("Idempotency-Key")
        account = (headers or {}).get("Stripe-Account")
        self.sent.append(Sent(method.upper(), parts.path, params, key, body, parts.netloc, account))
        assert self.answers, f"unexpected request {method} {url}"
        answer = self.answers.pop(0)
        if isinstance(answer, stripe.APIConnectionError):
            self.clock.time += timedelta(seconds=10)
            raise answer
        self.clock.time += timedelta(seconds=answer.takes_seconds)
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        return text, answer.status, answer.headers

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class Script:
    """A provider, what it says to Stripe and when, and how often it told that its key was rejected."""

    provider: StripeProvider
    http: ScriptedHttp
    clock: ManualClock
    rejected: list[bool]

    @property
    def sent(self) -> list[Sent]:
        return self.http.sent

    def paths(self) -> list[str]:
        return [f"{sent.method} {sent.path}" for sent in self.sent]


def script(
    *answers: Answer | stripe.APIConnectionError,
    api_key: str = "sk_test_1",
    patience: Patience | None = None,
) -> Script:
    clock = ManualClock()
    http = ScriptedHttp(clock, *answers)
    rejected: list[bool] = []
    provider = StripeProvider(
        api_key=api_key,
        clock=clock,
        http_client=http,
        patience=patience,
        on_key_rejected=lambda: rejected.append(True),
    )
    return Script(provider, http, clock, rejected)


def refusal(status: int, headers: Mapping[str, str] | None = None, **error: Any) -> Answer:
    """An error answer in Stripe's envelope."""
    error.setdefault("type", "invalid_request_error")
    error.setdefault("message", "Something is wrong.")
    return Answer(status, {"error": error}, headers or {})


def listed(*data: Mapping[str, Any], has_more: bool = False) -> Answer:
    return Answer(body={"object": "list", "data": list(data), "has_more": has_more, "url": "/v1/x"})


def customer(billing_id: str = "cus_1", **fields: Any) -> dict[str, Any]:
    return {"id": billing_id, "object": "customer", "metadata": {}, **fields}


def price(billing_id: str = "price_1", **fields: Any) -> dict[str, Any]:
    return {
        "id": billing_id,
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "currency": "usd",
        "lookup_key": "slot",
        "metadata": {},
        "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
        "unit_amount": 1000,
        "unit_amount_decimal": "1000",
        **fields,
    }


def product(billing_id: str = "pg_pro", **fields: Any) -> dict[str, Any]:
    return {
        "id": billing_id,
        "object": "product",
        "active": True,
        "default_price": None,
        "description": None,
        "metadata": {},
        "name": "Pro",
        **fields,
    }


def session(billing_id: str = "cs_1", **fields: Any) -> dict[str, Any]:
    return {
        "id": billing_id,
        "object": "checkout.session",
        "status": "open",
        "url": f"https://pay.example/{billing_id}",
        "expires_at": int(NOW.timestamp()) + 3600,
        **fields,
    }


CHECKOUT = CheckoutRequest(
    customer_billing_id="cus_1",
    reference="chk_1",
    items=(
        CheckoutItem(price_billing_id="price_1", quantity=2),
        CheckoutItem(price_billing_id="price_metered", quantity=None),
    ),
    success_url="https://app.example/ok?session_id={CHECKOUT_SESSION_ID}",
    cancel_url="https://app.example/back",
    expires_at=NOW + timedelta(hours=1),
    metadata={"paygrade_entity_id": "subs_1"},
)
