"""Customers and their subscriptions over the wire: one for each key, whatever Stripe answers."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError
from chalicelib.domain.ids import CustomerId
from tests.unit.adapters.stripe.scripted import (
    NOW,
    Answer,
    customer,
    listed,
    refusal,
    script,
)

METADATA = {"paygrade_entity_id": "acme"}
FAILED = refusal(500, type="api_error")
REPLAYED = {"Idempotent-Replayed": "true"}
ACME = Customer(id=CustomerId("acme"), name="Acme", email=None, created_at=NOW)


def test_ensure_customer_sends_metadata_alone_under_the_key() -> None:
    played = script(Answer(body=customer(metadata=METADATA)))
    made = played.provider.ensure_customer(METADATA, "key")
    assert made.billing_id == "cus_1"
    assert made.url == "https://dashboard.stripe.com/test/customers/cus_1"
    assert played.sent[0].key == "key"
    assert played.sent[0].params == {"metadata[paygrade_entity_id]": "acme"}


def test_ensure_customer_after_a_stored_failure_finds_what_it_made() -> None:
    played = script(FAILED, listed(customer("cus_0"), customer("cus_1", metadata=METADATA)))
    assert played.provider.ensure_customer(METADATA, "key").billing_id == "cus_1"


def test_ensure_customer_after_a_failure_that_made_nothing_goes_on_under_the_next_key() -> None:
    played = script(FAILED, listed(), Answer(body=customer()))
    played.provider.ensure_customer(METADATA, "key")
    assert [sent.key for sent in played.sent if sent.method == "POST"] == ["key", "key:1"]


def test_ensure_customer_repeated_after_such_a_failure_ends_at_the_same_customer() -> None:
    played = script(
        FAILED, listed(), Answer(body=customer(), headers=REPLAYED), Answer(body=customer())
    )
    assert played.provider.ensure_customer(METADATA, "key").billing_id == "cus_1"


def test_ensure_customer_failing_under_every_key_is_definitely_unavailable() -> None:
    played = script(*[FAILED, listed()] * 4)
    with pytest.raises(ProviderUnavailableError) as failed:
        played.provider.ensure_customer(METADATA, "key")
    assert failed.value.definite


def test_ensure_customer_deleted_since_is_made_anew() -> None:
    deleted = Answer(body={"id": "cus_1", "object": "customer", "deleted": True})
    played = script(
        Answer(body=customer("cus_1"), headers=REPLAYED), deleted, Answer(body=customer("cus_2"))
    )
    assert played.provider.ensure_customer(METADATA, "key").billing_id == "cus_2"
    assert played.sent[-1].key == "key:1"


def test_ensure_customer_deleted_under_every_key_is_refused() -> None:
    deleted = Answer(body={"id": "cus_1", "object": "customer", "deleted": True})
    played = script(*[Answer(body=customer(), headers=REPLAYED), deleted] * 4)
    with pytest.raises(ProviderRefusedError):
        played.provider.ensure_customer(METADATA, "key")


def test_ensure_customer_with_the_key_used_otherwise_is_refused_loudly() -> None:
    played = script(refusal(400, type="idempotency_error"))
    with pytest.raises(ProviderRefusedError) as refused:
        played.provider.ensure_customer(METADATA, "key")
    assert refused.value.provider_code == "idempotency_error"


def test_update_customer_sends_only_the_details_it_has() -> None:
    played = script(Answer(body=customer()))
    played.provider.update_customer("cus_1", ACME)
    assert played.sent[0].path == "/v1/customers/cus_1"
    assert played.sent[0].params == {"name": "Acme"}


def test_get_customer_deleted_says_so() -> None:
    played = script(Answer(body={"id": "cus_1", "object": "customer", "deleted": True}))
    found = played.provider.get_customer("cus_1")
    assert found is not None
    assert found.deleted


def subscription(billing_id: str = "sub_1", **fields: Any) -> dict[str, Any]:
    return {
        "id": billing_id,
        "object": "subscription",
        "created": 1_790_000_000,
        "currency": "usd",
        "customer": "cus_1",
        "items": {"object": "list", "data": [item("si_1")], "has_more": False, "url": "/v1/x"},
        "metadata": {},
        "start_date": 1_790_000_000,
        "status": "active",
        **fields,
    }


def item(billing_id: str) -> dict[str, Any]:
    return {
        "id": billing_id,
        "object": "subscription_item",
        "current_period_start": 1_790_000_000,
        "current_period_end": 1_792_592_000,
        "price": {"id": f"price_{billing_id}", "object": "price", "unit_amount_decimal": "1.5"},
        "quantity": 1,
    }


def test_list_subscriptions_asks_for_all_and_pages() -> None:
    played = script(
        listed(subscription("sub_2"), has_more=True), listed(subscription(status="canceled"))
    )
    found = played.provider.list_subscriptions("cus_1")
    assert [one.billing_id for one in found] == ["sub_2", "sub_1"]
    assert found[0].url == "https://dashboard.stripe.com/test/subscriptions/sub_2"
    assert found[0].current_period_end == datetime.fromtimestamp(1_792_592_000, UTC)
    assert played.sent[0].params == {
        "customer": "cus_1",
        "status": "all",
        "limit": "100",
        "expand[0]": "data.schedule",
        "expand[1]": "data.latest_invoice",
        "expand[2]": "data.discounts",
    }
    assert played.sent[1].params["starting_after"] == "sub_2"


def test_list_subscriptions_with_more_items_than_fit_fetches_them_all() -> None:
    crowded = {"object": "list", "data": [item("si_1")], "has_more": True, "url": "/v1/x"}
    played = script(
        listed(subscription(items=crowded)),
        listed(item("si_1"), has_more=True),
        listed(item("si_2")),
    )
    (found,) = played.provider.list_subscriptions("cus_1")
    assert [one.price_billing_id for one in found.items] == ["price_si_1", "price_si_2"]
    assert played.paths()[1:] == ["GET /v1/subscription_items"] * 2


def test_list_subscriptions_of_a_missing_customer_is_empty() -> None:
    played = script(refusal(400, code="resource_missing", param="customer"))
    assert played.provider.list_subscriptions("cus_1") == ()


def test_list_subscriptions_changed_between_pages_is_worth_a_later_retry() -> None:
    gone = refusal(400, code="resource_missing", param="starting_after")
    played = script(listed(subscription(), has_more=True), gone)
    with pytest.raises(ProviderUnavailableError):
        played.provider.list_subscriptions("cus_1")


def test_get_subscription_missing_is_none() -> None:
    played = script(refusal(404, code="resource_missing", param="id"))
    assert played.provider.get_subscription("sub_1") is None


def test_get_subscription_is_mapped() -> None:
    found = script(Answer(body=subscription())).provider.get_subscription("sub_1")
    assert found is not None
    assert found.customer_billing_id == "cus_1"
