from typing import Any
from urllib.parse import urlencode

import pytest

from infra.local.stripe_stand_in import Request, Response, StandIn

CARD = {"email": "ada@example.com", "expiry": "12 / 34", "cvc": "123", "action": "pay"}


@pytest.fixture
def session(api: Any, monthly: Any) -> Any:
    return api.checkout.sessions.create(
        {
            "mode": "subscription",
            "line_items": [{"price": monthly.id, "quantity": 2}],
            "success_url": "https://shop.example/done?s={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://shop.example/back",
            "allow_promotion_codes": True,
        }
    )


def visit(stand_in: StandIn, session: Any, **fields: str) -> Response:
    path = "/" + session.url.split("/", 3)[3]
    method = "POST" if fields else "GET"
    return stand_in.handle(Request(method, path, "", {}, urlencode(fields).encode()))


def test_page_shows_the_order_and_a_strict_policy(stand_in: StandIn, session: Any) -> None:
    page = visit(stand_in, session)
    text = page.body.decode()
    assert page.status == 200
    for expected in ("Pro", "$20.00", "every month", "https://shop.example/back", "4242"):
        assert expected in text
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "<script" not in text
    assert " style=" not in text


def test_page_labels_every_field(stand_in: StandIn, session: Any) -> None:
    text = visit(stand_in, session).body.decode()
    for name in ("email", "number", "expiry", "cvc", "promotion_code"):
        assert f'<label for="{name}">' in text
        assert f'id="{name}"' in text


def test_page_paid_goes_on_to_the_shop(stand_in: StandIn, api: Any, session: Any) -> None:
    answer = visit(stand_in, session, number="4242 4242 4242 4242", **CARD)
    assert answer.status == 303
    assert answer.headers["Location"] == f"https://shop.example/done?s={session.id}"
    done = api.checkout.sessions.retrieve(session.id, {"expand": ["customer"]})
    assert (done.status, done.customer.email) == ("complete", "ada@example.com")
    assert b"completed already" in visit(stand_in, session).body


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("4000000000000002", "declined"),
        ("4000000000009995", "insufficient funds"),
        ("4111111111111112", "not one of the test cards"),
    ],
)
def test_page_declined_says_so_and_stays_open(
    stand_in: StandIn, api: Any, session: Any, number: str, message: str
) -> None:
    text = visit(stand_in, session, number=number, **CARD).body.decode()
    assert message in text
    assert 'role="alert"' in text
    assert number not in text
    assert api.checkout.sessions.retrieve(session.id).status == "open"


@pytest.mark.parametrize(
    ("field", "value"), [("expiry", "13/30"), ("expiry", "01/20"), ("expiry", "x"), ("cvc", "1")]
)
def test_page_with_bad_card_details_says_so(
    stand_in: StandIn, api: Any, session: Any, field: str, value: str
) -> None:
    fields = {**CARD, "number": "4242424242424242", field: value}
    assert 'role="alert"' in visit(stand_in, session, **fields).body.decode()
    assert api.checkout.sessions.retrieve(session.id).status == "open"


def test_page_asks_for_confirmation_when_the_bank_wants_it(
    stand_in: StandIn, api: Any, session: Any
) -> None:
    fields = {**CARD, "number": "4000002500003155"}
    assert b"Confirm that it is you" in visit(stand_in, session, **fields).body
    assert b"could not confirm" in visit(stand_in, session, **fields, confirmed="no").body
    assert api.checkout.sessions.retrieve(session.id).status == "open"
    assert visit(stand_in, session, **fields, confirmed="yes").status == 303


def test_page_card_that_fails_later_fails_at_renewal(
    stand_in: StandIn, api: Any, control: Any, session: Any
) -> None:
    assert visit(stand_in, session, number="4000000000000341", **CARD).status == 303
    subscription = api.checkout.sessions.retrieve(session.id).subscription
    assert api.subscriptions.retrieve(subscription).status == "active"
    control("clock", {"advance_seconds": 32 * 86_400})
    assert api.subscriptions.retrieve(subscription).status == "past_due"


def test_page_takes_a_promotion_code(stand_in: StandIn, api: Any, session: Any) -> None:
    coupon = api.coupons.create({"percent_off": 50, "duration": "once"})
    api.promotion_codes.create(
        {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "HALF"}
    )
    wrong = visit(stand_in, session, promotion_code="NOPE", action="apply")
    assert b"invalid" in wrong.body
    right = visit(stand_in, session, promotion_code="half", action="apply")
    assert b"$10.00" in right.body
    visit(stand_in, session, number="4242424242424242", **CARD)
    assert api.checkout.sessions.retrieve(session.id).amount_total == 1000


def test_page_escapes_what_others_wrote(stand_in: StandIn, api: Any, monthly: Any) -> None:
    api.products.update("pro", {"name": "<b>Pro</b>"})
    session = api.checkout.sessions.create(
        {
            "mode": "subscription",
            "line_items": [{"price": monthly.id, "quantity": 1}],
            "success_url": "https://shop.example",
            "cancel_url": "https://shop.example/?a='\"><i>",
        }
    )
    text = visit(stand_in, session).body.decode()
    assert "<b>" not in text
    assert "<i>" not in text


def test_page_of_an_expired_or_unknown_session_says_so(
    stand_in: StandIn, control: Any, session: Any
) -> None:
    control("clock", {"advance_seconds": 86_400})
    assert visit(stand_in, session).status == 410
    assert stand_in.handle(Request("GET", "/c/pay/cs_test_nope")).status == 404


def test_page_of_a_trial_without_card_asks_for_none(
    stand_in: StandIn, api: Any, monthly: Any
) -> None:
    session = api.checkout.sessions.create(
        {
            "mode": "subscription",
            "line_items": [{"price": monthly.id, "quantity": 1}],
            "success_url": "https://shop.example",
            "subscription_data": {"trial_period_days": 14},
            "payment_method_collection": "if_required",
        }
    )
    text = visit(stand_in, session).body.decode()
    assert "14 days free" in text
    assert 'name="number"' not in text
    assert visit(stand_in, session, email="ada@example.com", action="pay").status == 303
    subscription = api.checkout.sessions.retrieve(session.id).subscription
    assert api.subscriptions.retrieve(subscription).default_payment_method is None
