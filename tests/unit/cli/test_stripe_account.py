import json
from typing import Any

import pytest

from infra.cli import stripe_account
from tests.unit.cli.conftest import FakeApi, Shell

WAY = {
    "object": "integration_connection",
    "id": "stripe",
    "url": "https://connect.stripe.com/oauth/authorize?state=connect_1",
    "state": "connect_1",
    "redirect_uri": "https://paygrade.test/v1/integrations/stripe/callback",
    "expires_at": "2026-01-01T00:30:00Z",
}


def integration(status: str, *, at: str | None = None, method: str = "oauth") -> dict[str, Any]:
    return {
        "object": "integration",
        "id": "stripe",
        "status": status,
        "method": method,
        "account_id": "acct_1" if at else None,
        "connected_at": at,
    }


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe_account, "POLL_SECONDS", 0)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            integration("connected", method="key"),
            "Stripe is connected, by the environment's own key.",
        ),
        (integration("not_connected"), "an account is not connected, by OAuth."),
        (integration("revoked", at="2026-01-01T00:00:00Z"), "acct_1 is revoked, by OAuth."),
    ],
)
def test_status_says_whose_account_it_is(
    api: FakeApi, connected: Shell, found: dict[str, Any], words: str
) -> None:
    api.on("GET /v1/integrations/stripe", found)
    assert connected("stripe", "status").stdout == f"{words}\n"


def test_connect_prints_the_page_and_waits_for_the_owner(api: FakeApi, connected: Shell) -> None:
    earlier, now = "2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"
    api.on("GET /v1/integrations/stripe/connect", WAY)
    # Connected before: only another connection is what is waited for.
    api.on(
        "GET /v1/integrations/stripe",
        integration("connected", at=earlier),
        integration("connected", at=earlier),
        integration("connected", at=now),
    )
    result = connected("stripe", "connect")
    assert result.exit_code == 0
    assert WAY["url"] in result.stderr
    assert result.stdout == "acct_1 is connected, by OAuth.\n"
    assert len(api.requests) == 4


def test_connect_without_waiting_prints_the_page_alone(api: FakeApi, connected: Shell) -> None:
    api.on("GET /v1/integrations/stripe", integration("not_connected"))
    api.on("GET /v1/integrations/stripe/connect", WAY)
    assert connected("stripe", "connect", "--no-wait").stdout == f"{WAY['url']}\n"
    assert json.loads(connected("stripe", "connect", "--no-wait", "--json").stdout) == WAY


def test_connect_gives_up_after_its_time(
    api: FakeApi, connected: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.on("GET /v1/integrations/stripe", integration("not_connected"))
    api.on("GET /v1/integrations/stripe/connect", WAY)
    moments = iter(range(0, 10_000, 2))
    monkeypatch.setattr("infra.cli.stripe_account.time.monotonic", lambda: float(next(moments)))
    result = connected("stripe", "connect", "--timeout", "3")
    assert result.exit_code == 1
    assert "stays open until" in result.stderr


def test_connect_where_there_is_nothing_to_connect_says_so(
    api: FakeApi, connected: Shell, problem: dict[str, Any]
) -> None:
    api.on("GET /v1/integrations/stripe", integration("connected", method="key"))
    refused = {**problem, "status": 409, "code": "billing_not_configured", "detail": "Own key."}
    api.on("GET /v1/integrations/stripe/connect", refused, status=409)
    result = connected("stripe", "connect")
    assert result.exit_code == 1
    assert "Own key." in result.stderr


def test_disconnect_asks_first(api: FakeApi, connected: Shell) -> None:
    at = "2026-01-01T00:00:00Z"
    api.on("GET /v1/integrations/stripe", integration("connected", at=at))
    api.on("DELETE /v1/integrations/stripe", integration("disconnected", at=at))
    assert connected("stripe", "disconnect").exit_code == 1  # nobody there to say yes
    assert [one.method for one in api.requests] == ["GET"]
    result = connected("stripe", "disconnect", "--yes")
    assert result.stdout == "acct_1 is disconnected, by OAuth.\n"
