"""The payment page of those who have one: open, paid, declined, expired."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.billing import CheckoutRequest, CheckoutStatus
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError
from tests.contract.billing_provider.samples import shop
from tests.contract.billing_provider.worlds import CheckoutWorld, World, checkout_request


def cart(world: World) -> tuple[str, CheckoutRequest]:
    """A customer's id and the checkout it is about to pay."""
    customer_id, items = shop(world)
    return customer_id, checkout_request(customer_id, *items)


def test_checkout_opened_can_be_paid_at_its_url(checkout_world: CheckoutWorld) -> None:
    customer_id, request = cart(checkout_world)
    opened = checkout_world.provider.open_checkout(request, "checkout")
    assert opened.status is CheckoutStatus.OPEN
    assert opened.customer_billing_id == customer_id
    assert opened.url is not None
    assert opened.url.startswith("http")
    assert opened.expires_at == request.expires_at
    assert checkout_world.provider.get_checkout(opened.billing_id) == opened


def test_checkout_opened_twice_under_one_key_is_one(checkout_world: CheckoutWorld) -> None:
    _, request = cart(checkout_world)
    first = checkout_world.provider.open_checkout(request, "checkout")
    assert checkout_world.provider.open_checkout(request, "checkout") == first


def test_checkout_opened_otherwise_under_the_same_key_is_refused(
    checkout_world: CheckoutWorld,
) -> None:
    _, request = cart(checkout_world)
    checkout_world.provider.open_checkout(request, "checkout")
    later = replace(request, expires_at=request.expires_at + timedelta(minutes=1))
    with pytest.raises(ProviderRefusedError) as refused:
        checkout_world.provider.open_checkout(later, "checkout")
    assert refused.value.provider_code == "idempotency_error"


def test_checkout_whose_answer_was_lost_is_found_under_the_same_key(
    checkout_world: CheckoutWorld,
) -> None:
    _, request = cart(checkout_world)
    checkout_world.lose_answer("open_checkout")
    with pytest.raises(ProviderUnavailableError) as lost:
        checkout_world.provider.open_checkout(request, "checkout")
    assert not lost.value.definite
    first = checkout_world.provider.open_checkout(request, "checkout")
    assert checkout_world.provider.open_checkout(request, "checkout") == first


def test_checkout_made_and_answered_with_a_failure_is_found_or_fails_for_good(
    checkout_world: CheckoutWorld,
) -> None:
    _, request = cart(checkout_world)
    checkout_world.fail_after("open_checkout")
    for _ in range(2):
        failed: ProviderUnavailableError | None = None
        try:
            found = checkout_world.provider.open_checkout(request, "checkout")
        except ProviderUnavailableError as error:
            failed = error
        else:
            assert found.status is CheckoutStatus.OPEN
            assert checkout_world.provider.get_checkout(found.billing_id) == found
        assert failed is None or failed.definite
    opened = checkout_world.provider.open_checkout(request, "checkout-again")
    assert opened.status is CheckoutStatus.OPEN


def test_checkout_opened_again_after_it_was_paid_says_so(checkout_world: CheckoutWorld) -> None:
    _, request = cart(checkout_world)
    opened = checkout_world.provider.open_checkout(request, "checkout")
    checkout_world.pay(opened.billing_id)
    assert (
        checkout_world.provider.open_checkout(request, "checkout").status is CheckoutStatus.COMPLETE
    )


def test_checkout_never_opened_is_none_and_cannot_be_expired(checkout_world: CheckoutWorld) -> None:
    assert checkout_world.provider.get_checkout("cs_test_none") is None
    with pytest.raises(ProviderRefusedError) as refused:
        checkout_world.provider.expire_checkout("cs_test_none")
    assert refused.value.provider_code == "resource_missing"


def test_checkout_of_an_archived_price_is_refused(checkout_world: CheckoutWorld) -> None:
    _, request = cart(checkout_world)
    checkout_world.archive_price(request.items[1].price_billing_id)
    with pytest.raises(ProviderRefusedError):
        checkout_world.provider.open_checkout(request, "checkout")


def test_checkout_of_a_deleted_customer_is_refused(checkout_world: CheckoutWorld) -> None:
    customer_id, request = cart(checkout_world)
    checkout_world.delete_customer(customer_id)
    with pytest.raises(ProviderRefusedError):
        checkout_world.provider.open_checkout(request, "checkout")


def test_checkout_declined_stays_open_and_makes_no_subscription(
    checkout_world: CheckoutWorld,
) -> None:
    customer_id, request = cart(checkout_world)
    opened = checkout_world.provider.open_checkout(request, "checkout")
    checkout_world.decline(opened.billing_id)
    assert checkout_world.provider.get_checkout(opened.billing_id) == opened
    assert checkout_world.provider.list_subscriptions(customer_id) == ()


def test_checkout_expired_cannot_be_paid_and_expires_again_in_peace(
    checkout_world: CheckoutWorld,
) -> None:
    _, request = cart(checkout_world)
    opened = checkout_world.provider.open_checkout(request, "checkout")
    expired = checkout_world.provider.expire_checkout(opened.billing_id)
    assert (expired.status, expired.url) == (CheckoutStatus.EXPIRED, None)
    assert checkout_world.provider.expire_checkout(opened.billing_id) == expired
    assert checkout_world.provider.get_checkout(opened.billing_id) == expired


def test_checkout_paid_is_complete_even_when_expired_too_late(
    checkout_world: CheckoutWorld,
) -> None:
    _, request = cart(checkout_world)
    opened = checkout_world.provider.open_checkout(request, "checkout")
    checkout_world.pay(opened.billing_id)
    found = checkout_world.provider.get_checkout(opened.billing_id)
    assert found is not None
    assert found.status is CheckoutStatus.COMPLETE
    assert checkout_world.provider.expire_checkout(opened.billing_id) == found


def test_checkout_left_alone_expires_in_time(checkout_world: CheckoutWorld) -> None:
    _, request = cart(checkout_world)
    opened = checkout_world.provider.open_checkout(request, "checkout")
    checkout_world.clock.time = opened.expires_at + timedelta(seconds=1)
    found = checkout_world.provider.get_checkout(opened.billing_id)
    assert found is not None
    assert found.status is CheckoutStatus.EXPIRED
