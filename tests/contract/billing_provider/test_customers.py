"""Customers: one for each key, and what becomes of deleted ones."""

import pytest

from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError
from chalicelib.domain.ids import CustomerId
from tests.contract.billing_provider.samples import CUSTOMER_METADATA
from tests.contract.billing_provider.worlds import START, RemoteWorld, World

ACME = Customer(id=CustomerId("acme"), name="Acme", email="billing@acme.example", created_at=START)


def test_customer_made_is_found_with_a_page(world: World) -> None:
    made = world.provider.ensure_customer(CUSTOMER_METADATA, "key")
    assert not made.deleted
    assert made.url is not None
    assert made.url.startswith("http")
    assert made.metadata == CUSTOMER_METADATA
    assert world.provider.get_customer(made.billing_id) == made


def test_customer_never_made_is_none(world: World) -> None:
    assert world.provider.get_customer("cus_none") is None


def test_customer_made_twice_under_one_key_is_one(world: World) -> None:
    first = world.provider.ensure_customer(CUSTOMER_METADATA, "key")
    assert world.provider.ensure_customer(CUSTOMER_METADATA, "key") == first
    assert world.customers() == 1


def test_customers_of_two_keys_are_two(world: World) -> None:
    first = world.provider.ensure_customer(CUSTOMER_METADATA, "key")
    assert world.provider.ensure_customer(CUSTOMER_METADATA, "other") != first


def test_customer_under_a_key_of_another_is_refused(world: World) -> None:
    world.provider.ensure_customer(CUSTOMER_METADATA, "key")
    with pytest.raises(ProviderRefusedError) as refused:
        world.provider.ensure_customer({"paygrade_entity_id": "other"}, "key")
    assert refused.value.provider_code == "idempotency_error"


def test_customer_whose_answer_was_lost_is_found_under_the_same_key(world: World) -> None:
    world.lose_answer("ensure_customer")
    with pytest.raises(ProviderUnavailableError) as lost:
        world.provider.ensure_customer(CUSTOMER_METADATA, "key")
    assert not lost.value.definite
    world.provider.ensure_customer(CUSTOMER_METADATA, "key")
    assert world.customers() == 1


def test_customer_updated_takes_new_details_any_number_of_times(world: World) -> None:
    made = world.provider.ensure_customer(CUSTOMER_METADATA, "key")
    world.provider.update_customer(made.billing_id, ACME)
    world.provider.update_customer(made.billing_id, ACME)
    assert world.provider.get_customer(made.billing_id) == made


def test_customer_missing_takes_no_details(world: World) -> None:
    with pytest.raises(ProviderRefusedError) as refused:
        world.provider.update_customer("cus_none", ACME)
    assert refused.value.provider_code == "resource_missing"


def test_customer_deleted_is_known_as_such_and_takes_no_details(remote_world: RemoteWorld) -> None:
    made = remote_world.provider.ensure_customer(CUSTOMER_METADATA, "key")
    remote_world.delete_customer(made.billing_id)
    found = remote_world.provider.get_customer(made.billing_id)
    assert found is not None
    assert found.deleted
    assert found.metadata == {}
    with pytest.raises(ProviderRefusedError):
        remote_world.provider.update_customer(made.billing_id, ACME)


def test_customer_deleted_since_is_made_anew_under_the_same_key(remote_world: RemoteWorld) -> None:
    old = remote_world.provider.ensure_customer(CUSTOMER_METADATA, "key")
    remote_world.delete_customer(old.billing_id)
    new = remote_world.provider.ensure_customer(CUSTOMER_METADATA, "key")
    assert new.billing_id != old.billing_id
    assert not new.deleted
    assert remote_world.provider.ensure_customer(CUSTOMER_METADATA, "key") == new


def test_customer_unknown_has_no_subscriptions(world: World) -> None:
    assert world.provider.list_subscriptions("cus_none") == ()


def test_customer_new_has_no_subscriptions(world: World) -> None:
    made = world.provider.ensure_customer(CUSTOMER_METADATA, "key")
    assert world.provider.list_subscriptions(made.billing_id) == ()
