"""The hosted payment page over the wire."""

from dataclasses import replace

import pytest

from chalicelib.domain.billing import CheckoutMode, CheckoutStatus
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError
from tests.unit.adapters.stripe.scripted import (
    CHECKOUT,
    NOW,
    Answer,
    listed,
    refusal,
    script,
    session,
)

NOT_OPEN = refusal(400, message="Only Checkout Sessions with a status in [open] can be expired.")


def test_open_checkout_sends_all_that_ties_the_payment_to_us() -> None:
    played = script(Answer(body=session()))
    found = played.provider.open_checkout(CHECKOUT, "key")
    assert (found.billing_id, found.status) == ("cs_1", CheckoutStatus.OPEN)
    assert played.sent[0].key == "key"
    assert played.sent[0].params == {
        "mode": "subscription",
        "customer": "cus_1",
        "client_reference_id": "chk_1",
        "line_items[0][price]": "price_1",
        "line_items[0][quantity]": "2",
        "line_items[1][price]": "price_metered",
        "success_url": "https://app.example/ok?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://app.example/back",
        "expires_at": str(int(NOW.timestamp()) + 3600),
        "metadata[paygrade_entity_id]": "subs_1",
        "subscription_data[metadata][paygrade_entity_id]": "subs_1",
    }


def test_open_checkout_without_cancel_url_sends_none() -> None:
    played = script(Answer(body=session()))
    played.provider.open_checkout(replace(CHECKOUT, cancel_url=None), "key")
    assert "cancel_url" not in played.sent[0].params


def test_open_checkout_twice_sends_the_same_bytes() -> None:
    played = script(*[Answer(body=session())] * 2)
    played.provider.open_checkout(CHECKOUT, "key")
    played.clock.sleep(1000)
    played.provider.open_checkout(CHECKOUT, "key")
    assert played.sent[0].body == played.sent[1].body


def test_open_checkout_replayed_tells_the_present_state() -> None:
    played = script(
        Answer(body=session(), headers={"idempotent-replayed": "true"}),
        Answer(body=session(status="complete", url=None)),
    )
    assert played.provider.open_checkout(CHECKOUT, "key").status is CheckoutStatus.COMPLETE


def test_get_checkout_missing_is_none() -> None:
    played = script(refusal(404, code="resource_missing", param="session"))
    assert played.provider.get_checkout("cs_1") is None


def test_expire_checkout_open_is_expired() -> None:
    played = script(Answer(body=session(status="expired", url=None)))
    assert played.provider.expire_checkout("cs_1").status is CheckoutStatus.EXPIRED
    assert played.paths() == ["POST /v1/checkout/sessions/cs_1/expire"]


@pytest.mark.parametrize("status", [CheckoutStatus.COMPLETE, CheckoutStatus.EXPIRED])
def test_expire_checkout_not_open_tells_its_state(status: CheckoutStatus) -> None:
    played = script(NOT_OPEN, Answer(body=session(status=status, url=None)))
    assert played.provider.expire_checkout("cs_1").status is status


def test_expire_checkout_refused_while_open_is_a_refusal() -> None:
    played = script(NOT_OPEN, Answer(body=session()))
    with pytest.raises(ProviderRefusedError):
        played.provider.expire_checkout("cs_1")


def test_expire_checkout_missing_is_a_refusal() -> None:
    played = script(refusal(404, code="resource_missing", param="session"))
    with pytest.raises(ProviderRefusedError) as refused:
        played.provider.expire_checkout("cs_1")
    assert refused.value.provider_code == "resource_missing"


@pytest.mark.parametrize(
    ("mode", "ui_mode"),
    [(CheckoutMode.EMBEDDED, "embedded_page"), (CheckoutMode.ELEMENTS, "elements")],
)
def test_open_embedded_checkout_sends_its_mode_and_where_it_returns_alone(
    mode: CheckoutMode, ui_mode: str
) -> None:
    body = session(url=None, client_secret="cs_1_secret")
    played = script(Answer(body=body))
    request = replace(
        CHECKOUT, mode=mode, success_url=None, cancel_url=None, return_url="https://app.example/r"
    )
    found = played.provider.open_embedded_checkout(request, "key")
    assert (found.url, found.client_secret) == (None, "cs_1_secret")
    params = played.sent[0].params
    assert (params["ui_mode"], params["return_url"]) == (ui_mode, "https://app.example/r")
    assert not {"success_url", "cancel_url"} & params.keys()


def test_open_checkout_that_was_made_and_answered_with_a_failure_is_found() -> None:
    """Nobody else would ever know of it, and it could be paid beside the next one."""
    other = session(id="cs_other", client_reference_id="chk_other")
    mine = session(client_reference_id="chk_1")
    played = script(refusal(500), listed(other, mine))
    assert played.provider.open_checkout(CHECKOUT, "key").billing_id == "cs_1"
    assert played.sent[1].params == {"customer": "cus_1", "status": "open", "limit": "100"}


def test_open_checkout_that_was_not_made_fails() -> None:
    played = script(refusal(500), listed())
    with pytest.raises(ProviderUnavailableError) as failed:
        played.provider.open_checkout(CHECKOUT, "key")
    assert failed.value.definite
