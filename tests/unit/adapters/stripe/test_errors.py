"""Each failure of a Stripe call, as captured, and what it means for the caller."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.adapters.billing.stripe.errors import Benign
from chalicelib.domain.errors import (
    BillingKeyRejectedError,
    BillingNotConnectedError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from chalicelib.domain.meters import MeteredUsage
from tests.fakes.system import START
from tests.unit.adapters.stripe.scripted import (
    CHECKOUT,
    Answer,
    Script,
    listed,
    no_answer,
    refusal,
    script,
    session,
)

SESSION = Answer(body=session())

ONCE = {"Stripe-Should-Retry": "false"}

# --- Captured examples of the benign list -------------------------------------------------------

CAPTURED: dict[Benign, Answer] = {
    Benign.MISSING: refusal(
        404,
        code="resource_missing",
        doc_url="https://docs.stripe.com/error-codes/resource-missing",
        message="No such customer: 'cus_x'",
        param="id",
    ),
    Benign.EXISTS: refusal(
        400,
        code="resource_already_exists",
        doc_url="https://docs.stripe.com/error-codes/resource-already-exists",
        message="Product already exists.",
        param="id",
    ),
    Benign.REPORTED: refusal(
        400,
        code="duplicate_meter_event",
        message="An event already exists with identifier chg_1.",
        param="identifier",
    ),
    # As remembered, not captured: no platform with a connected account was at hand.
    Benign.NOT_CONNECTED: refusal(
        403,
        code="account_invalid",
        doc_url="https://docs.stripe.com/error-codes/account-invalid",
        message="The provided key 'sk_test_****' does not have access to account 'acct_1' (or that account does not"
        " exist). Application access may have been revoked.",
    ),
    Benign.NOT_OPEN: refusal(
        400,
        message='Only Checkout Sessions with a status in ["open"] can be expired. This Checkout '
        "Session has a status of `complete`.",
    ),
}


def read(played: Script) -> Any:
    return played.provider.get_customer("cus_1")


def create(played: Script) -> Any:
    return played.provider.ensure_customer({"paygrade_entity_id": "c1"}, "key")


def expire(played: Script) -> Any:
    return played.provider.expire_checkout("cs_1")


def test_benign_list_has_an_example_each() -> None:
    assert set(CAPTURED) == set(Benign)


def test_missing_customer_is_none() -> None:
    assert read(script(CAPTURED[Benign.MISSING])) is None


def report(played: Script) -> None:
    usage = MeteredUsage(
        id="chg_1", event_name="pg_calls", customer_billing_id="cus_1", value=3, at=START
    )
    played.provider.report_usage(usage)


def test_usage_that_is_there_already_is_reported() -> None:
    report(script(CAPTURED[Benign.REPORTED]))
    # Seen without a code, too.
    report(script(refusal(400, message="An event already exists with identifier chg_1.")))
    for answer in (
        refusal(400, message="An event already exists with identifier chg_2."),
        refusal(400, code="no_meter", message="No meter takes chg_1."),
    ):
        with pytest.raises(ProviderRefusedError):
            report(script(answer))


def test_account_that_is_not_connected_is_no_fault_of_the_request() -> None:
    played = script(CAPTURED[Benign.NOT_CONNECTED])
    with pytest.raises(BillingNotConnectedError, match="account_invalid") as refused:
        create(played)
    assert len(played.sent) == 1
    assert "sk_test" not in refused.value.detail


@pytest.mark.parametrize("kind", [Benign.EXISTS, Benign.NOT_OPEN, Benign.REPORTED])
def test_benign_refusal_elsewhere_is_a_refusal(kind: Benign) -> None:
    with pytest.raises(ProviderRefusedError):
        read(script(CAPTURED[kind]))


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refusal(400, code="parameter_unknown", param="foo"), "parameter_unknown"),
        (refusal(400), "invalid_request_error"),
        (refusal(400, type="idempotency_error"), "idempotency_error"),
        (refusal(402, type="card_error", code="card_declined"), "card_declined"),
        (refusal(403, code="more_permissions_required"), "more_permissions_required"),
        (refusal(404, code="resource_missing"), "resource_missing"),
    ],
)
def test_refusal_is_permanent_and_names_the_code(answer: Answer, code: str) -> None:
    played = script(answer)
    with pytest.raises(ProviderRefusedError) as refused:
        create(played)
    assert refused.value.provider_code == code
    assert len(played.sent) == 1
    assert played.clock.slept == []


def test_refusal_hides_keys_and_the_body() -> None:
    message = "The key sk_test_4242abc may not do this, nor rk_live_***1"
    played = script(refusal(403, {"Request-Id": "req_7"}, message=message))
    with pytest.raises(ProviderRefusedError) as refused:
        create(played)
    assert "_test_" not in refused.value.detail
    assert "_live_" not in refused.value.detail
    assert "req_7" in refused.value.detail
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refusal(401), "invalid_request_error"),
        (refusal(401, code="api_key_expired"), "api_key_expired"),
        (Answer(401, "<html>Unauthorized</html>"), "APIError"),
    ],
)
@pytest.mark.parametrize("call", [read, create, report])
def test_rejected_key_is_no_fault_of_the_request_and_is_told_once(
    call: Callable[[Script], Any], answer: Answer, code: str
) -> None:
    played = script(answer)
    with pytest.raises(BillingKeyRejectedError, match=code) as refused:
        call(played)
    # Nothing ran, and the same idempotency key is the right one for the next try.
    assert not refused.value.definite
    assert (len(played.sent), played.clock.slept, played.rejected) == (1, [], [True])


def test_rejected_key_is_not_shown() -> None:
    message = "Expired API Key provided: sk_test_*********************4242"
    played = script(refusal(401, {"Request-Id": "req_7"}, message=message, code="api_key_expired"))
    with pytest.raises(BillingKeyRejectedError) as refused:
        create(played)
    assert refused.value.detail == (
        "Stripe does not take this environment's key: api_key_expired (req_7)"
    )
    assert refused.value.__suppress_context__


def test_refusal_for_another_reason_tells_nothing_of_the_key() -> None:
    played = script(refusal(403, code="more_permissions_required"))
    with pytest.raises(ProviderRefusedError):
        create(played)
    assert played.rejected == []


def test_refusal_with_an_endless_message_is_cut() -> None:
    with pytest.raises(ProviderRefusedError) as refused:
        create(script(refusal(400, message="x" * 10_000)))
    assert len(refused.value.detail) < 400


def test_server_error_on_creation_is_definite_and_not_repeated_under_its_key() -> None:
    played = script(refusal(500, type="api_error"), listed())
    with pytest.raises(ProviderUnavailableError) as failed:
        played.provider.open_checkout(CHECKOUT, "key")
    assert failed.value.definite
    # It is looked for, and not made again.
    assert [sent.key for sent in played.sent] == ["key", None]


def test_server_error_that_stripe_wants_repeated_is_repeated_under_the_same_key() -> None:
    again = refusal(503, {"Stripe-Should-Retry": "true"}, type="api_error")
    played = script(again, again, SESSION)
    played.provider.open_checkout(CHECKOUT, "key")
    assert {sent.key for sent in played.sent} == {"key"}
    assert len({sent.body for sent in played.sent}) == 1


def test_server_error_on_a_read_is_repeated_and_never_definite() -> None:
    played = script(*[refusal(500, ONCE, type="api_error")] * 3)
    with pytest.raises(ProviderUnavailableError) as failed:
        read(played)
    assert not failed.value.definite
    assert len(played.sent) == 3


@pytest.mark.parametrize(
    "answer",
    [
        Answer(502, "<html>Bad gateway</html>"),
        Answer(503, ""),
        Answer(200, '{"id": "cus_'),
        Answer(200, ""),
    ],
)
def test_unreadable_answer_on_creation_is_asked_again_under_the_same_key(answer: Answer) -> None:
    played = script(answer, SESSION)
    assert played.provider.open_checkout(CHECKOUT, "key").billing_id == "cs_1"
    assert [sent.key for sent in played.sent] == ["key", "key"]


def test_unreadable_answers_for_good_are_of_unknown_outcome() -> None:
    played = script(*[Answer(502, "<html>")] * 3)
    with pytest.raises(ProviderUnavailableError) as failed:
        played.provider.open_checkout(CHECKOUT, "key")
    assert not failed.value.definite


def test_timeout_on_creation_is_repeated_under_the_same_key_with_the_same_bytes() -> None:
    played = script(no_answer(), SESSION)
    played.provider.open_checkout(CHECKOUT, "key")
    assert [sent.key for sent in played.sent] == ["key", "key"]
    assert played.sent[0].body == played.sent[1].body


def test_wrong_certificate_is_not_repeated() -> None:
    played = script(no_answer(should_retry=False))
    with pytest.raises(ProviderUnavailableError) as failed:
        read(played)
    assert not failed.value.definite
    assert len(played.sent) == 1
