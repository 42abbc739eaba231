"""What is rightly signed is kept once, whatever becomes of it; what is not for us is kept and not applied."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest

import app
from chalicelib.domain.billing_events import BillingEvent
from tests.integration.webhooks.conftest import with_customer
from tests.integration.webhooks.deliveries import (
    GOOD,
    NOW,
    Delivery,
    encoded,
    event,
    mark,
    signature,
    signed,
)
from tests.integration.world import SECRET, Deployment, OneProvider, dump
from tests.unit.api.world import served

OLD: Final = "whsec_rolled_out"


@pytest.fixture
def rolling() -> Iterator[Deployment]:
    """The endpoint's secret is being rolled: both are good for a day."""
    with served(with_customer(Deployment(app.app, secrets=(SECRET, OLD)))) as made:
        assert isinstance(made, Deployment)
        yield made


def without_events(deployment: Deployment) -> dict[str, Any]:
    return {
        name: record
        for name, record in dump(deployment.store).items()
        if not name.startswith("BillingEvent:")
    }


ACCEPTED: Final = {
    "as-stripe-sends-it": Delivery(header=signature(GOOD)),
    "compact": signed(json.dumps(event(), separators=(",", ":")).encode()),
    "300-seconds-old": Delivery(header=signature(GOOD, timestamp=NOW - 300)),
    "300-seconds-ahead": Delivery(header=signature(GOOD, timestamp=NOW + 300)),
    "right-v1-among-wrong-ones": Delivery(
        header=f"t={NOW},v1={'0' * 64},v1={mark(GOOD)},v1={'f' * 64}"
    ),
    "v0-beside-v1": Delivery(header=f"{signature(GOOD)},v0={'6' * 64}"),
    "v1-before-t": Delivery(header=f"v1={mark(GOOD)},t={NOW}"),
    "header-lower-case": Delivery(header=signature(GOOD), header_name="stripe-signature"),
    "header-upper-case": Delivery(header=signature(GOOD), header_name="STRIPE-SIGNATURE"),
    "base64-with-the-flag": Delivery(
        header=signature(GOOD), sent=base64.b64encode(GOOD).decode(), is_base64=True
    ),
    "base64-in-lines": Delivery(
        header=signature(GOOD), sent=base64.encodebytes(GOOD).decode(), is_base64=True
    ),
    "text-as-the-gateway-sends-it": Delivery(header=signature(GOOD), sent=GOOD.decode()),
    # The signature says what the bytes are; the declared type adds nothing to it.
    "content-type-text": Delivery(header=signature(GOOD), headers={"Content-Type": "text/plain"}),
    "content-type-form": Delivery(
        header=signature(GOOD), headers={"Content-Type": "application/x-www-form-urlencoded"}
    ),
    "unicode-unescaped": signed(
        json.dumps(event(note="héllo, 世界 🎉"), ensure_ascii=False).encode()
    ),
    "unknown-fields": signed(event(context="acct_1", extra={"a": [1, 2]})),
    "customer-expanded": signed(
        event(
            data={
                "object": {
                    "id": "in_1",
                    "object": "invoice",
                    "customer": {"id": "cus_acme", "object": "customer"},
                }
            },
            type="invoice.paid",
        )
    ),
    "nested-32-deep": signed(event(note=json.loads("[" * 32 + "]" * 32))),
}


@pytest.mark.parametrize("delivery", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_webhook_signed_event_is_stored_and_processed(
    deployment: Deployment, delivery: Delivery
) -> None:
    answer = delivery.to(deployment)
    assert (answer.status, answer.json) == (
        200,
        {"object": "billing_event", "id": "evt_1", "status": "processed"},
    )
    [kept] = deployment.store.all(BillingEvent)
    assert (kept.status, kept.customer_id, kept.attempts) == ("processed", "acme", 1)
    assert deployment.fake.calls[0].method == "list_subscriptions"


ROLLED: Final = {
    "new-secret": (SECRET,),
    "old-secret": (OLD,),
    "both-new-first": (SECRET, OLD),
    "both-old-first": (OLD, SECRET),
    "old-and-an-unknown-one": ("whsec_gone", OLD),
}


@pytest.mark.parametrize("secrets", ROLLED.values(), ids=ROLLED.keys())
def test_webhook_while_secrets_roll_takes_either(
    rolling: Deployment, secrets: tuple[str, ...]
) -> None:
    answer = Delivery(header=signature(GOOD, *secrets)).to(rolling)
    assert (answer.status, answer.json["status"]) == (200, "processed")


def test_webhook_after_the_roll_refuses_the_old_secret(deployment: Deployment) -> None:
    answer = Delivery(header=signature(GOOD, OLD)).to(deployment)
    assert (answer.status, answer.json["code"]) == (400, "invalid_signature")


ABOUT_A_PRODUCT: Final = {"object": {"id": "prod_1", "object": "product"}}
ABOUT_A_STRANGER: Final = {
    "object": {"id": "sub_9", "object": "subscription", "customer": "cus_unknown"}
}
NAMELESS: Final = {"object": {"id": "cs_1", "object": "checkout.session", "customer": None}}

# What is kept, and why nothing is done about it.
SET_ASIDE: Final = {
    "live-event-in-test": (event(livemode=True), "ignored", "wrong_mode"),
    "api-version-older": (event(api_version="2024-06-20"), "ignored", "wrong_api_version"),
    "api-version-newer": (event(api_version="2031-01-01.zinnia"), "ignored", "wrong_api_version"),
    "api-version-null": (event(api_version=None), "ignored", "wrong_api_version"),
    "api-version-absent": (event(absent=("api_version",)), "ignored", "wrong_api_version"),
    "both-wrong": (event(livemode=True, api_version="2020-08-27"), "ignored", "wrong_mode"),
    "type-unknown": (event(type="galaxy.hitchhiked"), "ignored", "not_about_a_customer"),
    "type-of-the-catalog": (
        event(type="product.updated", data=ABOUT_A_PRODUCT),
        "ignored",
        "not_about_a_customer",
    ),
    "customer-nobody": (
        event(type="checkout.session.completed", data=NAMELESS),
        "ignored",
        "names_no_customer",
    ),
    "customer-unknown": (event(data=ABOUT_A_STRANGER), "pending", "unknown_customer"),
    "customer-id-unstorable": (
        event(data={"object": {"id": "sub_1", "object": "subscription", "customer": "cus#1"}}),
        "ignored",
        "names_no_customer",
    ),
}


@pytest.mark.parametrize(("document", "status", "reason"), SET_ASIDE.values(), ids=SET_ASIDE.keys())
def test_webhook_event_not_to_apply_is_kept_with_its_reason_and_changes_nothing_else(
    deployment: Deployment, document: dict[str, Any], status: str, reason: str
) -> None:
    before = without_events(deployment)
    answer = signed(document).to(deployment)
    assert (answer.status, answer.json["status"]) == (200, status)
    [kept] = deployment.store.all(BillingEvent)
    assert (kept.status, kept.reason) == (status, reason)
    assert without_events(deployment) == before
    # Only whose customer it is may be looked up.
    assert {call.method for call in deployment.fake.calls} <= {"get_customer"}
    quarantined = [one["reason"] for one in deployment.monitor.named("billing_event_quarantined")]
    assert quarantined == ([reason] if reason.startswith("wrong_") else [])


@pytest.mark.parametrize(("document", "status", "reason"), SET_ASIDE.values(), ids=SET_ASIDE.keys())
def test_webhook_event_not_to_apply_stays_so_when_delivered_again(
    deployment: Deployment, document: dict[str, Any], status: str, reason: str
) -> None:
    for _ in range(3):
        assert signed(document).to(deployment).json["status"] == status
    assert len(deployment.store.all(BillingEvent)) == 1
    assert len(deployment.monitor.named("billing_event_quarantined")) <= 1


def test_webhook_event_delivered_five_times_is_processed_once(deployment: Deployment) -> None:
    delivery = Delivery(header=signature(GOOD))
    assert delivery.to(deployment).json["status"] == "processed"
    asked, written = len(deployment.fake.calls), len(deployment.store.commits)
    for _ in range(4):
        assert delivery.to(deployment).json["status"] == "processed"
    assert len(deployment.store.all(BillingEvent)) == 1
    assert (len(deployment.fake.calls), len(deployment.store.commits)) == (asked, written)


def test_webhook_id_taken_by_another_payload_keeps_the_first(deployment: Deployment) -> None:
    signed(event()).to(deployment)
    before = dump(deployment.store)
    answer = signed(event(type="product.created", data=ABOUT_A_PRODUCT)).to(deployment)
    assert (answer.status, answer.json["status"]) == (200, "processed")
    assert dump(deployment.store) == before


def test_webhook_event_is_kept_without_its_payload(deployment: Deployment) -> None:
    subject = {
        "id": "in_1",
        "object": "invoice",
        "customer": "cus_acme",
        "customer_email": "person@example.com",
        "number": "4242424242424242",
    }
    signed(encoded(event(type="invoice.paid", data={"object": subject}))).to(deployment)
    everything = repr(dump(deployment.store)) + repr(deployment.monitor.events)
    assert "person@example.com" not in everything
    assert "4242424242424242" not in everything


def test_webhook_event_of_a_connected_account_is_not_for_an_environment_with_its_own_key(
    deployment: Deployment,
) -> None:
    answer = signed(event(account="acct_1")).to(deployment)
    assert (answer.status, answer.json["status"]) == (200, "ignored")
    [kept] = deployment.store.all(BillingEvent)
    assert kept.reason == "wrong_account"
    assert deployment.fake.calls == []


def test_webhook_told_of_the_end_of_a_connection_that_never_was_keeps_it(
    deployment: Deployment,
) -> None:
    """After a change from OAuth to the account's own key: an error would come again for days."""
    environment = replace(deployment.ports.environment, connecting=None)
    providers = OneProvider(deployment.fake)
    deployment.ports = replace(deployment.ports, environment=environment, providers=providers)
    ended = event(
        type="account.application.deauthorized",
        account="acct_1",
        data={"object": {"id": "ca_1", "object": "application"}},
    )
    answer = signed(ended).to(deployment)
    assert (answer.status, answer.json["status"]) == (200, "ignored")
