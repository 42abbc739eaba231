"""Paying back, where Stripe answers in ways that the stand-in does not."""

from typing import Any

import pytest

from chalicelib.domain.billing import RefundedPayment
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError
from tests.unit.adapters.stripe.scripted import Answer, Script, listed, refusal, script

SUBSCRIPTION = {
    "id": "sub_1",
    "object": "subscription",
    "customer": "cus_1",
    "currency": "usd",
    "created": 1_790_000_000,
    "status": "active",
    "items": {"object": "list", "data": [], "has_more": False, "url": "/v1/x"},
    "latest_invoice": "in_1",
}
INVOICE = Answer(body={"id": "in_1", "object": "invoice", "amount_paid": 1900, "currency": "usd"})
REFUNDED = {"id": "re_1", "object": "refund", "amount": 1900, "status": "pending"}
STORED_FAILURE = refusal(500, type="api_error")


def payment(**fields: Any) -> dict[str, Any]:
    return {
        "id": "inpay_1",
        "object": "invoice_payment",
        "amount_paid": 1900,
        "payment": {"type": "payment_intent", "payment_intent": "pi_1"},
        **fields,
    }


def paying_back(*answers: Answer, subscription: Any = SUBSCRIPTION) -> Script:
    return script(Answer(body=subscription), INVOICE, listed(payment()), *answers)


def refund(played: Script) -> RefundedPayment:
    return played.provider.refund_last_payment("sub_1", "key")


def test_refund_of_a_subscription_without_an_invoice_is_nothing() -> None:
    played = script(Answer(body={**SUBSCRIPTION, "latest_invoice": None}))
    assert refund(played) == RefundedPayment(amount=0, currency="usd")


def test_refund_is_asked_for_under_the_payments_own_key_as_a_duplicate() -> None:
    played = paying_back(listed(), Answer(body=REFUNDED), listed(REFUNDED))
    assert refund(played) == RefundedPayment(amount=1900, currency="usd")
    [made] = [sent for sent in played.sent if sent.method == "POST"]
    assert (made.path, made.key) == ("/v1/refunds", "key:pi_1:0")
    assert made.params == {"payment_intent": "pi_1", "reason": "duplicate"}


def test_refund_by_somebody_else_in_that_moment_counts() -> None:
    refused = refusal(400, code="charge_already_refunded")
    played = paying_back(listed(), refused, listed(REFUNDED))
    assert refund(played).amount == 1900


def test_refund_that_failed_or_was_canceled_is_made_anew() -> None:
    undone = [{**REFUNDED, "status": status} for status in ("failed", "canceled")]
    played = paying_back(listed(*undone), Answer(body=REFUNDED), listed(REFUNDED, *undone))
    assert refund(played).amount == 1900


def test_refund_behind_a_stored_failure_gets_another_key() -> None:
    played = paying_back(
        listed(), STORED_FAILURE, listed(), Answer(body=REFUNDED), listed(REFUNDED)
    )
    assert refund(played).amount == 1900
    keys = [sent.key for sent in played.sent if sent.method == "POST"]
    assert keys == ["key:pi_1:0", "key:pi_1:1"]


def test_refund_that_fails_for_good_each_time_is_unavailable() -> None:
    played = paying_back(*[listed(), STORED_FAILURE] * 4)
    with pytest.raises(ProviderUnavailableError) as failed:
        refund(played)
    assert failed.value.definite


def test_refund_that_is_refused_is_a_refusal() -> None:
    played = paying_back(listed(), refusal(400, code="charge_disputed"))
    with pytest.raises(ProviderRefusedError) as refused:
        refund(played)
    assert refused.value.provider_code == "charge_disputed"


def test_refund_said_to_be_made_and_never_shown_is_a_refusal() -> None:
    played = paying_back(*[listed(), refusal(400, code="charge_already_refunded")] * 4)
    with pytest.raises(ProviderRefusedError):
        refund(played)


def test_refund_of_what_was_paid_in_another_way_is_refused() -> None:
    elsewhere = payment(payment={"type": "payment_record", "payment_record": "prec_1"})
    played = script(Answer(body=SUBSCRIPTION), INVOICE, listed(elsewhere))
    with pytest.raises(ProviderRefusedError) as refused:
        refund(played)
    assert refused.value.provider_code == "paid_elsewhere"


def test_refund_of_an_invoice_paid_in_parts_pays_back_each() -> None:
    parts = [
        payment(id="inpay_1", amount_paid=900),
        payment(
            id="inpay_2",
            amount_paid=1000,
            payment={"type": "payment_intent", "payment_intent": {"id": "pi_2"}},
        ),
    ]
    first, second = {**REFUNDED, "amount": 900}, {**REFUNDED, "amount": 1000}
    played = script(
        Answer(body=SUBSCRIPTION),
        INVOICE,
        listed(parts[0], has_more=True),
        listed(parts[1]),
        *(listed(), Answer(body=first), listed(first)),
        *(listed(), Answer(body=second), listed(second)),
    )
    assert refund(played).amount == 1900
