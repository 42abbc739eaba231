"""Connecting Stripe over HTTP: what is asked, what comes back, and who may."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast
from urllib.parse import parse_qs, urlsplit

import pytest

import app
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.audit_log import AuditEntry
from chalicelib.domain.billing_accounts import BillingAccount, Connecting
from chalicelib.domain.errors import ProviderUnavailableError
from chalicelib.ports import BillingProvider, Providers
from tests.fakes.accounts import FakeConnector
from tests.fakes.billing import FakeBillingProvider, FakeProviders
from tests.unit.api.world import Answer, World, served

CONNECT = "/v1/integrations/stripe/connect"
CALLBACK = "/v1/integrations/stripe/callback"
STATUS = "/v1/integrations/stripe"


@dataclass
class Platform(World):
    connecting: Connecting | None = Connecting.REQUIRED

    def __post_init__(self) -> None:
        super().__post_init__()
        self.billing = FakeBillingProvider(self.clock)
        self.connector = FakeConnector(self.provider_of)
        connectors = {"stripe": self.connector} if self.connecting else {}
        self.ports = replace(
            self.ports,
            environment=replace(self.ports.environment, connecting=self.connecting),
            providers=cast("Providers", FakeProviders([self.billing], connectors)),
        )

    def provider_of(self, _account_id: str) -> BillingProvider:
        return self.billing

    def state(self) -> str:
        url: str = self.send("GET", CONNECT).json["url"]
        return parse_qs(urlsplit(url).query)["state"][0]

    def back(self, query: str, accept: str = "*/*") -> Answer:
        """What Stripe sends the owner's browser to: without any key."""
        headers = {"Accept": accept}
        return self.send("GET", f"{CALLBACK}?{query}", token=None, headers=headers)

    def connected(self) -> Answer:
        self.connector.codes["ac_1"] = "acct_1"
        return self.back(f"scope=read_write&code=ac_1&state={self.state()}")


@pytest.fixture
def platform() -> Iterator[Platform]:
    with served(Platform(app.app)) as world:
        yield cast("Platform", world)


def test_connect_tells_where_to_send_the_owner(platform: Platform) -> None:
    answer = platform.send("GET", CONNECT)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json
    assert body["redirect_uri"] == f"https://api.example.test{CALLBACK}"
    assert body["state"] in body["url"]
    assert body["redirect_uri"] in body["url"]
    assert (body["object"], body["id"]) == ("integration_connection", "stripe")
    assert platform.send("GET", CONNECT).json["state"] != body["state"]


def test_callback_connects_the_account_and_says_who_began(platform: Platform) -> None:
    assert platform.send("GET", STATUS).json == {
        "object": "integration",
        "id": "stripe",
        "status": "not_connected",
        "method": "oauth",
        "account_id": None,
        "connected_at": None,
    }
    answer = platform.connected()
    assert answer.status == 200
    assert (answer.json["status"], answer.json["account_id"]) == ("connected", "acct_1")
    assert platform.send("GET", STATUS).json == answer.json
    (entry,) = platform.store.list_within(AuditEntry, "billing_account:stripe").items
    assert entry.actor.startswith("api_key:")  # not the anonymous browser


def test_callback_shows_a_browser_a_page(platform: Platform) -> None:
    platform.connector.codes["ac_1"] = "acct_<script>"
    answer = platform.back(f"code=ac_1&state={platform.state()}", "text/html,*/*")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert b"acct_&lt;script&gt;" in answer.body
    again = platform.back("code=ac_1&state=connect_used", "text/html")
    assert again.status == 400
    assert again.headers["Content-Type"].startswith("text/html")
    assert b"Begin connecting again" in again.body


def test_callback_page_tells_when_to_come_back(platform: Platform) -> None:
    def away() -> None:
        raise ProviderUnavailableError("Stripe could not be reached.", retry_after_seconds=7)

    platform.connector.on_redeem = away
    platform.connector.codes["ac_1"] = "acct_1"
    answer = platform.back(f"code=ac_1&state={platform.state()}", "text/html")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
    assert platform.store.get(BillingAccount, "stripe") is None


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 422, "invalid"),
        ("code=ac_1", 422, "invalid"),
        ("state=", 422, "invalid"),
        (f"state={'x' * 256}", 422, "invalid"),
        (f"state=connect_1&code={'x' * 513}", 422, "invalid"),
        ("state=a&state=b&code=ac_1", 422, "invalid"),
        ("state=connect_1&code=ac_1", 400, "invalid_connect_state"),
        ("state=%00&code=ac_1", 400, "invalid_connect_state"),
    ],
)
def test_callback_that_nobody_asked_for_changes_nothing(
    platform: Platform, query: str, status: int, code: str
) -> None:
    platform.connector.codes["ac_1"] = "acct_1"
    answer = platform.back(query)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert platform.connector.asked == []
    assert platform.store.get(BillingAccount, "stripe") is None


@pytest.mark.parametrize(
    "query",
    ["error=access_denied&error_description=The+user+denied", "error=access_denied&code=ac_1", ""],
)
def test_callback_after_a_no_says_so(platform: Platform, query: str) -> None:
    platform.connector.codes["ac_1"] = "acct_1"
    answer = platform.back(f"{query}&state={platform.state()}&something_new=1")
    assert (answer.status, answer.json["code"]) == (409, "connect_refused")
    assert platform.connector.asked == []


def test_delete_disconnects_and_may_be_repeated(platform: Platform) -> None:
    nothing = platform.send("DELETE", STATUS)
    assert (nothing.status, nothing.json["code"]) == (409, "billing_not_connected")
    platform.connected()
    for _ in range(2):
        answer = platform.send("DELETE", STATUS)
        assert (answer.status, answer.json["status"]) == (200, "disconnected")
        assert answer.json["account_id"] == "acct_1"
    # A repetition makes sure: the first may have died before Stripe was told.
    assert platform.connector.asked.count("release acct_1") == 2


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", STATUS, Scope.OPERATIONS_READ),
        ("GET", CONNECT, Scope.OPERATIONS_WRITE),
        ("DELETE", STATUS, Scope.OPERATIONS_WRITE),
    ],
)
def test_integration_needs_its_scope(
    platform: Platform, method: str, path: str, scope: Scope
) -> None:
    others = platform.new_token(*(one for one in Scope if one is not scope))
    assert platform.send(method, path, token=others).status == 403
    assert platform.send(method, path, token=None).status == 401


def test_environment_with_a_key_alone_connects_nothing() -> None:
    with served(Platform(app.app, connecting=None)) as world:
        status = world.send("GET", STATUS).json
        assert (status["status"], status["method"]) == ("connected", "key")
        for method, path in (("GET", CONNECT), ("DELETE", STATUS)):
            answer = world.send(method, path)
            assert (answer.status, answer.json["code"]) == (409, "billing_not_configured")
        assert world.send("GET", f"{CALLBACK}?state=x&code=y", token=None).status == 409


def test_environment_without_stripe_says_so() -> None:
    with served(Platform(app.app, connecting=None)) as world:
        world.ports = replace(world.ports, providers=cast("Providers", FakeProviders()))
        assert world.send("GET", STATUS).json["status"] == "not_connected"
