"""Connecting accounts by Stripe's OAuth: what goes over the wire, and what its answers mean."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stripe

from chalicelib.adapters.billing.stripe.accounts import StripeAccounts
from chalicelib.adapters.billing.stripe.connection import Connection
from chalicelib.adapters.billing.stripe.provider import StripeProvider
from chalicelib.domain.errors import (
    BillingKeyRejectedError,
    ConnectRefusedError,
    ProviderUnavailableError,
)
from tests.unit.adapters.stripe.scripted import (
    Answer,
    ManualClock,
    ScriptedHttp,
    Sent,
    customer,
    no_answer,
    refusal,
)

BACK = "https://api.example.test/v1/integrations/stripe/callback"
NOT_CONNECTED = refusal(403, code="account_invalid", message="Application access was revoked.")


@dataclass
class Platform:
    accounts: StripeAccounts
    http: ScriptedHttp
    rejected: list[bool]

    @property
    def sent(self) -> list[Sent]:
        return self.http.sent


def platform(*answers: Answer | stripe.APIConnectionError, live: bool = False) -> Platform:
    clock = ManualClock()
    http = ScriptedHttp(clock, *answers)
    rejected: list[bool] = []
    key = "sk_live_1" if live else "sk_test_1"

    def connect(account_id: str | None) -> Connection:
        return Connection(
            api_key=key,
            api_base="https://api.stripe.com",
            clock=clock,
            http_client=http,
            account_id=account_id,
            client_id="ca_1",
            on_key_rejected=lambda: rejected.append(True),
        )

    def provider(account_id: str) -> StripeProvider:
        return StripeProvider(api_key=key, clock=clock, http_client=http, account_id=account_id)

    return Platform(StripeAccounts(connect, live=live, provider=provider), http, rejected)


def token(**fields: Any) -> Answer:
    return Answer(
        body={
            "access_token": "sk_test_secret",
            "livemode": False,
            "refresh_token": "rt_secret",
            "token_type": "bearer",
            "stripe_publishable_key": "pk_test_1",
            "stripe_user_id": "acct_1A",
            "scope": "read_write",
            **fields,
        }
    )


def oauth_error(code: str, status: int = 400) -> Answer:
    return Answer(status, {"error": code, "error_description": f"{code}: sk_test_secret ac_1"})


def test_authorize_url_is_stripes_and_asks_for_writing() -> None:
    url = urlsplit(platform().accounts.authorize_url("connect_state", BACK))
    assert (url.scheme, url.netloc, url.path) == ("https", "connect.stripe.com", "/oauth/authorize")
    assert {name: values[0] for name, values in parse_qs(url.query).items()} == {
        "client_id": "ca_1",
        "response_type": "code",
        "scope": "read_write",
        "state": "connect_state",
        "redirect_uri": BACK,
        "stripe_landing": "login",
        "always_prompt": "true",
    }


def test_redeem_sends_the_code_to_stripes_oauth_host_and_tells_the_account() -> None:
    played = platform(token())
    assert played.accounts.redeem("ac_1") == "acct_1A"
    (sent,) = played.sent
    assert (sent.method, sent.host, sent.path) == ("POST", "connect.stripe.com", "/oauth/token")
    assert sent.params == {"grant_type": "authorization_code", "code": "ac_1"}
    assert sent.account is None


@pytest.mark.parametrize(
    "answer",
    [
        oauth_error("invalid_grant"),
        oauth_error("invalid_client", 401),
        oauth_error("something_new"),
        token(livemode=True),
        token(livemode=None),
        token(scope="read_only"),
        token(stripe_user_id=None),
        token(stripe_user_id="cus_1"),
        token(stripe_user_id="acct_../../x"),
    ],
)
def test_redeem_of_what_is_no_good_is_refused_in_our_words(answer: Answer) -> None:
    played = platform(answer)
    with pytest.raises(ConnectRefusedError) as refused:
        played.accounts.redeem("ac_1")
    assert "secret" not in refused.value.detail
    assert "ac_1" not in refused.value.detail


@pytest.mark.parametrize(
    "answer",
    [
        no_answer(),
        refusal(500, type="api_error"),
        refusal(429, type="rate_limit_error"),
        Answer(502, "<html>bad gateway</html>"),
    ],
)
def test_redeem_is_tried_once_whatever_happens(answer: Any) -> None:
    """Stripe takes back what a code gave when it sees it again, and after a lost answer it has seen it."""
    played = platform(answer, token())
    with pytest.raises(ProviderUnavailableError):
        played.accounts.redeem("ac_1")
    assert len(played.sent) == 1


def test_redeem_with_a_key_that_stripe_rejects_waits_for_another_and_says_so() -> None:
    played = platform(refusal(401))
    with pytest.raises(BillingKeyRejectedError):
        played.accounts.redeem("ac_1")
    assert (len(played.sent), played.rejected) == (1, [True])


def test_release_with_a_key_that_stripe_rejects_waits_for_another_and_says_so() -> None:
    played = platform(refusal(401))
    with pytest.raises(BillingKeyRejectedError):
        played.accounts.release("acct_1A")
    assert (len(played.sent), played.rejected) == (1, [True])


def test_redeem_in_live_mode_takes_live_accounts_alone() -> None:
    assert platform(token(livemode=True), live=True).accounts.redeem("ac_1") == "acct_1A"
    with pytest.raises(ConnectRefusedError, match="other mode"):
        platform(token(), live=True).accounts.redeem("ac_1")


def test_release_ends_the_connection_and_is_repeated_when_stripe_is_away() -> None:
    played = platform(no_answer(), Answer(body={"stripe_user_id": "acct_1A"}))
    played.accounts.release("acct_1A")
    assert [(one.host, one.path) for one in played.sent] == [
        ("connect.stripe.com", "/oauth/deauthorize")
    ] * 2
    assert played.sent[0].params == {"client_id": "ca_1", "stripe_user_id": "acct_1A"}


def test_release_of_what_is_not_connected_is_no_error() -> None:
    played = platform(oauth_error("invalid_client", 401), NOT_CONNECTED)
    played.accounts.release("acct_1A")
    assert (played.sent[1].path, played.sent[1].account) == ("/v1/account", "acct_1A")


def test_release_that_stripe_refuses_while_the_account_is_connected_is_an_error() -> None:
    """The same code of Stripe's, when the client id is of another platform."""
    still = Answer(body={"id": "acct_1A", "object": "account"})
    with pytest.raises(ConnectRefusedError, match="invalid_client"):
        platform(oauth_error("invalid_client", 401), still).accounts.release("acct_1A")


def test_own_account_is_the_keys() -> None:
    played = platform(Answer(body={"id": "acct_own", "object": "account"}))
    assert played.accounts.own_account() == "acct_own"
    assert (played.sent[0].path, played.sent[0].account) == ("/v1/account", None)


def test_acting_for_an_account_says_so_with_every_call() -> None:
    played = platform(Answer(body=customer("cus_1")))
    provider = played.accounts.acting_for("acct_1A")
    found = provider.get_customer("cus_1")
    assert found is not None
    assert found.url == "https://dashboard.stripe.com/acct_1A/test/customers/cus_1"
    assert played.sent[0].account == "acct_1A"


def test_acting_for_an_account_that_stripe_does_not_let_us_tells_it_is_not_allowed() -> None:
    played = platform(NOT_CONNECTED, Answer(body={"id": "acct_1A", "object": "account"}))
    assert not played.accounts.may_act_for("acct_1A")
    assert played.accounts.may_act_for("acct_1A")
