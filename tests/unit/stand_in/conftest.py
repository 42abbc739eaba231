"""A stand-in at a fixed moment, the real SDK in front of it, every answer checked for its shape."""

import json
import typing
from collections.abc import Callable
from typing import Any

import pytest
import stripe

from infra.local.stripe_stand_in import Request, StandIn
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.answers import problems
from infra.local.stripe_stand_in.in_process import client_for

stripe.enable_telemetry = False

START = 1_767_225_600  # 2026-01-01T00:00:00Z


@pytest.fixture(autouse=True)
def _check_every_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that lacks what the SDK's classes promise fails the test that asked for it."""
    original = StandIn.show

    def checked(self: StandIn, result: Any, expansions: list[str]) -> Any:
        shown = original(self, result, expansions)
        assert problems(shown) == []
        return shown

    monkeypatch.setattr(StandIn, "show", checked)


@pytest.fixture(autouse=True)
def _check_every_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event of a type Stripe does not have, or of a misshapen object, fails the test too."""
    known = typing.get_args(stripe.Event.__annotations__["type"])
    original = Account.queue

    def checked(self: Account, event: dict[str, Any]) -> None:
        assert event["type"] in known
        assert problems(event) == []
        assert problems(event["data"]["object"]) == []
        original(self, event)

    monkeypatch.setattr(Account, "queue", checked)


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn(now=lambda: START, seed="test")


@pytest.fixture
def api(stand_in: StandIn) -> Any:
    return client_for(stand_in).v1


@pytest.fixture
def control(stand_in: StandIn) -> Callable[..., Any]:
    """Calls a control route; the answer must be a 200 unless another status is named."""

    def call(path: str, body: Any = None, *, method: str = "POST", status: int = 200) -> Any:
        path, _, query = path.partition("?")
        raw = json.dumps(body or {}).encode()
        answer = stand_in.handle(Request(method, f"/_stand_in/{path}", query, {}, raw))
        assert answer.status == status, answer.body
        return answer.json()

    return call


@pytest.fixture
def events(stand_in: StandIn) -> Callable[[], list[str]]:
    """The types of the events since the last call."""
    seen = 0

    def fresh() -> list[str]:
        nonlocal seen
        types = [event["type"] for event in stand_in.account.all("event")]
        new, seen = types[seen:], len(types)
        return new

    return fresh


@pytest.fixture
def monthly(api: Any) -> Any:
    """A monthly price of 10 dollars."""
    api.products.create({"id": "pro", "name": "Pro"})
    return api.prices.create(
        {
            "product": "pro",
            "currency": "usd",
            "unit_amount": 1000,
            "recurring": {"interval": "month"},
        }
    )


@pytest.fixture
def customer(api: Any) -> Any:
    """A customer with a working card."""
    return api.customers.create(
        {
            "email": "ada@example.com",
            "payment_method": "pm_card_visa",
            "invoice_settings": {"default_payment_method": "pm_card_visa"},
        }
    )


@pytest.fixture
def subscription(api: Any, customer: Any, monthly: Any) -> Any:
    return api.subscriptions.create({"customer": customer.id, "items": [{"price": monthly.id}]})
