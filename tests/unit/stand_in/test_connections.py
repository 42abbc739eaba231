"""Accounts that let a platform act for them: OAuth as its owner and its platform see it."""

import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import stripe

from infra.local.stripe_stand_in import Request, StandIn
from infra.local.stripe_stand_in.account import ACCOUNT_ID, CLIENT_ID
from infra.local.stripe_stand_in.in_process import ADDRESS, TEST_KEY, InProcessClient
from tests.unit.stand_in.test_deliveries import Receiver

BACK = "http://127.0.0.1:8000/v1/integrations/stripe/callback"
HOOK = "http://shop.invalid/hook"
START = 1_767_225_600


@pytest.fixture
def client(stand_in: StandIn) -> stripe.StripeClient:
    return stripe.StripeClient(
        TEST_KEY,
        client_id=CLIENT_ID,
        base_addresses={"api": ADDRESS, "connect": ADDRESS},
        http_client=InProcessClient(stand_in),
    )


def authorize(client: stripe.StripeClient, **params: Any) -> str:
    wanted = {"response_type": "code", "scope": "read_write", "state": "s1", "redirect_uri": BACK}
    given: Any = {name: value for name, value in {**wanted, **params}.items() if value is not None}
    return client.oauth.authorize_url(given)


def page(stand_in: StandIn, url: str, **fields: str) -> Any:
    parts = urlsplit(url)
    method = "POST" if fields else "GET"
    return stand_in.handle(Request(method, parts.path, parts.query, {}, urlencode(fields).encode()))


def answer_of(stand_in: StandIn, url: str, **fields: str) -> dict[str, str]:
    """What the owner's browser brings back."""
    sent = page(stand_in, url, **fields)
    assert sent.status == 303, sent.body
    back = urlsplit(sent.headers["Location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == BACK
    return {name: values[0] for name, values in parse_qs(back.query).items()}


def connect(client: stripe.StripeClient, stand_in: StandIn, account: str = "new") -> str:
    back = answer_of(stand_in, authorize(client), account=account, action="connect")
    token = client.oauth.token({"grant_type": "authorization_code", "code": back["code"]})
    return str(token.stripe_user_id)


def as_account(stand_in: StandIn, account_id: str) -> Any:
    return stripe.StripeClient(
        TEST_KEY,
        stripe_account=account_id,
        base_addresses={"api": ADDRESS},
        http_client=InProcessClient(stand_in),
    ).v1


def test_owner_is_asked_and_led_back_with_code_and_state(
    stand_in: StandIn, client: stripe.StripeClient
) -> None:
    shown = page(stand_in, authorize(client))
    assert shown.status == 200
    assert b"read and write" in shown.body
    assert b"http://127.0.0.1:8000" in shown.headers["Content-Security-Policy"].encode()
    back = answer_of(stand_in, authorize(client), account="new", action="connect")
    assert (back["state"], back["scope"]) == ("s1", "read_write")
    assert back["code"].startswith("ac_")


def test_owner_declines_and_nothing_is_connected(
    stand_in: StandIn, client: stripe.StripeClient
) -> None:
    back = answer_of(stand_in, authorize(client), action="decline")
    assert (back["error"], back["state"]) == ("access_denied", "s1")
    assert "code" not in back


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "ca_other"},
        {"response_type": "token"},
        {"scope": "everything"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": None},
    ],
)
def test_question_that_stripe_would_not_show_is_refused(
    stand_in: StandIn, client: stripe.StripeClient, wrong: dict[str, Any]
) -> None:
    assert page(stand_in, authorize(client, **wrong)).status == 400


def test_owner_of_no_account_here_connects_nothing(
    stand_in: StandIn, client: stripe.StripeClient
) -> None:
    url = authorize(client)
    assert page(stand_in, url, account="acct_unknown", action="connect").status == 400


def test_account_has_a_state_of_its_own(stand_in: StandIn, client: stripe.StripeClient) -> None:
    account_id = connect(client, stand_in)
    theirs = as_account(stand_in, account_id)
    theirs.products.create({"id": "pro", "name": "Theirs"})
    client.v1.products.create({"id": "pro", "name": "Ours"})
    assert theirs.products.retrieve("pro").name == "Theirs"
    assert client.v1.products.retrieve("pro").name == "Ours"
    assert theirs.accounts.retrieve_current().id == account_id
    assert client.v1.accounts.retrieve_current().id == ACCOUNT_ID
    assert connect(client, stand_in, account_id) == account_id  # again, with all it has
    assert theirs.products.retrieve("pro").name == "Theirs"


def test_account_that_is_not_connected_is_refused_as_stripe_does(
    stand_in: StandIn, client: stripe.StripeClient
) -> None:
    account_id = connect(client, stand_in)
    for unknown in ("acct_unknown", ACCOUNT_ID):
        with pytest.raises(stripe.PermissionError) as refused:
            as_account(stand_in, unknown).products.list()
        # The SDK drops the code of a 403; the body has it.
        assert refused.value.http_status == 403
        assert '"code":"account_invalid"' in str(refused.value.http_body)
    client.oauth.deauthorize({"stripe_user_id": account_id})
    with pytest.raises(stripe.PermissionError):
        as_account(stand_in, account_id).products.list()
    with pytest.raises(stripe.oauth_error.InvalidClientError):
        client.oauth.deauthorize({"stripe_user_id": account_id})


def test_code_is_good_once_and_its_second_use_takes_back_what_it_gave(
    stand_in: StandIn, client: stripe.StripeClient
) -> None:
    back = answer_of(stand_in, authorize(client), account="new", action="connect")
    params: Any = {"grant_type": "authorization_code", "code": back["code"]}
    account_id = str(client.oauth.token(params).stripe_user_id)
    assert as_account(stand_in, account_id).products.list().data == []
    with pytest.raises(stripe.oauth_error.InvalidGrantError, match="have been revoked"):
        client.oauth.token(params)
    with pytest.raises(stripe.PermissionError):
        as_account(stand_in, account_id).products.list()


def test_code_expires_after_five_minutes(
    stand_in: StandIn, client: stripe.StripeClient, control: Any
) -> None:
    back = answer_of(stand_in, authorize(client), action="connect")
    control("clock", {"advance_seconds": 301})
    for code in (back["code"], "ac_never_given_out"):
        with pytest.raises(stripe.oauth_error.InvalidGrantError):
            client.oauth.token({"grant_type": "authorization_code", "code": code})


def test_token_of_another_grant_or_without_a_key_is_refused(
    stand_in: StandIn, client: stripe.StripeClient
) -> None:
    with pytest.raises(stripe.oauth_error.UnsupportedGrantTypeError):
        client.oauth.token({"grant_type": "refresh_token", "refresh_token": "rt_1"})
    anonymous = stand_in.handle(Request("POST", "/oauth/token", "", {}, b"grant_type=x"))
    assert anonymous.status == 401


def test_events_of_an_account_go_to_endpoints_for_connected_accounts_alone(
    stand_in: StandIn, client: stripe.StripeClient
) -> None:
    receiver = Receiver()
    stand_in.register_webhook(f"{HOOK}/own", "whsec_own")
    stand_in.register_webhook(f"{HOOK}/connect", "whsec_connect", connect=True)
    account_id = connect(client, stand_in)
    as_account(stand_in, account_id).products.create({"name": "Theirs"})
    client.v1.products.create({"name": "Ours"})
    urls: list[str] = []

    def transport(url: str, headers: dict[str, str], body: bytes) -> int:
        urls.append(url)
        return receiver(url, headers, body)

    assert stand_in.deliver_due(transport) == 2
    named = {json.loads(body)["data"]["object"]["name"]: body for _, body in receiver.got}
    assert json.loads(named["Theirs"])["account"] == account_id
    assert "account" not in json.loads(named["Ours"])
    assert sorted(urls) == [f"{HOOK}/connect", f"{HOOK}/own"]


def test_end_of_a_connection_is_told_to_the_platform(
    stand_in: StandIn, client: stripe.StripeClient, control: Any
) -> None:
    receiver = Receiver()
    stand_in.register_webhook(HOOK, "whsec_connect", connect=True)
    first, second = connect(client, stand_in), connect(client, stand_in)
    client.oauth.deauthorize({"stripe_user_id": first})
    assert control(f"accounts/{second}/revoke") == {"id": second, "connected": False}
    control(f"accounts/{second}/revoke", status=404)
    stand_in.deliver_due(receiver)
    events = [json.loads(body) for _, body in receiver.got]
    assert [event["type"] for event in events] == ["account.application.deauthorized"] * 2
    assert {event["account"] for event in events} == {first, second}
    assert {event["data"]["object"]["id"] for event in events} == {CLIENT_ID}


def test_checkout_of_an_account_is_paid_on_its_page_and_time_moves_for_all(
    stand_in: StandIn, client: stripe.StripeClient, control: Any
) -> None:
    theirs = as_account(stand_in, connect(client, stand_in))
    theirs.products.create({"id": "pro", "name": "Pro"})
    price = theirs.prices.create(
        {
            "product": "pro",
            "currency": "usd",
            "unit_amount": 1000,
            "recurring": {"interval": "month"},
        }
    )
    session = theirs.checkout.sessions.create(
        {
            "mode": "subscription",
            "success_url": "https://shop.example/done",
            "line_items": [{"price": price.id, "quantity": 1}],
        }
    )
    assert page(stand_in, session.url).status == 200
    assert control(f"checkout_sessions/{session.id}/pay", {})["status"] == "complete"
    (held,) = theirs.subscriptions.list().data
    first_end = held["items"].data[0].current_period_end
    control("clock", {"advance_seconds": 32 * 86_400})
    (renewed,) = theirs.subscriptions.list().data
    assert renewed["items"].data[0].current_period_end > first_end
    assert client.v1.subscriptions.list().data == []


def test_faults_deliveries_and_the_log_are_those_of_the_whole_stand_in(
    stand_in: StandIn, client: stripe.StripeClient, control: Any
) -> None:
    stand_in.register_webhook(HOOK, "whsec_connect", connect=True)
    account_id = connect(client, stand_in)
    theirs = as_account(stand_in, account_id)
    control("faults", {"method": "GET", "path": "/v1/products", "kind": "429"})
    with pytest.raises(stripe.RateLimitError):
        theirs.products.list()
    theirs.products.list()
    control("deliveries", {"mode": "hold"})
    theirs.products.create({"name": "Held"})
    assert control("deliveries", method="GET")["held"] == 1
    assert control("deliveries/release")["released"] == 1
    log = control("requests?since=0", method="GET")["data"]
    assert log[-1]["path"] == "/v1/products"
    assert log[-1]["headers"]["stripe-account"] == account_id


def test_accounts_survive_a_restart_and_a_reset_forgets_them(tmp_path: Any) -> None:
    def opened() -> tuple[StandIn, stripe.StripeClient]:
        made = StandIn(tmp_path / "stripe.db", now=lambda: START)
        return made, stripe.StripeClient(
            TEST_KEY,
            client_id=CLIENT_ID,
            base_addresses={"api": ADDRESS, "connect": ADDRESS},
            http_client=InProcessClient(made),
        )

    first, client = opened()
    account_id = connect(client, first)
    as_account(first, account_id).products.create({"id": "pro", "name": "Theirs"})
    first.close()
    second, client = opened()
    assert as_account(second, account_id).products.retrieve("pro").name == "Theirs"
    second.reset()
    with pytest.raises(stripe.PermissionError):
        as_account(second, account_id).products.list()
    assert connect(client, second) != account_id
    second.close()
