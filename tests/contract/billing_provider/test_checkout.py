"""From an open checkout to a subscription and its end."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.billing import CheckoutStatus, ProviderSubscription
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError
from chalicelib.domain.subscriptions import ENDED, SubscriptionStatus
from tests.contract.billing_provider.samples import KEY, shop
from tests.contract.billing_provider.worlds import START, World


def bought(world: World) -> ProviderSubscription:
    """The only subscription of a customer that has just paid."""
    customer_id, request = shop(world)
    world.pay(world.provider.open_checkout(request, "checkout").billing_id)
    (found,) = world.provider.list_subscriptions(customer_id)
    return found


def test_checkout_opened_can_be_paid_at_its_url(world: World) -> None:
    _, request = shop(world)
    opened = world.provider.open_checkout(request, "checkout")
    assert opened.status is CheckoutStatus.OPEN
    assert opened.url is not None
    assert opened.url.startswith("http")
    assert opened.expires_at == request.expires_at
    assert world.provider.get_checkout(opened.billing_id) == opened


def test_checkout_opened_twice_under_one_key_is_one(world: World) -> None:
    _, request = shop(world)
    first = world.provider.open_checkout(request, "checkout")
    assert world.provider.open_checkout(request, "checkout") == first


def test_checkout_opened_otherwise_under_the_same_key_is_refused(world: World) -> None:
    _, request = shop(world)
    world.provider.open_checkout(request, "checkout")
    later = replace(request, expires_at=request.expires_at + timedelta(minutes=1))
    with pytest.raises(ProviderRefusedError) as refused:
        world.provider.open_checkout(later, "checkout")
    assert refused.value.provider_code == "idempotency_error"


def test_checkout_whose_answer_was_lost_is_found_under_the_same_key(world: World) -> None:
    _, request = shop(world)
    world.lose_answer("open_checkout")
    with pytest.raises(ProviderUnavailableError) as lost:
        world.provider.open_checkout(request, "checkout")
    assert not lost.value.definite
    first = world.provider.open_checkout(request, "checkout")
    assert world.provider.open_checkout(request, "checkout") == first


def test_checkout_that_failed_for_good_fails_again_under_its_key(world: World) -> None:
    _, request = shop(world)
    world.fail_after("open_checkout")
    for _ in range(2):
        with pytest.raises(ProviderUnavailableError) as failed:
            world.provider.open_checkout(request, "checkout")
        assert failed.value.definite
    opened = world.provider.open_checkout(request, "checkout-again")
    assert opened.status is CheckoutStatus.OPEN


def test_checkout_opened_again_after_it_was_paid_says_so(world: World) -> None:
    _, request = shop(world)
    opened = world.provider.open_checkout(request, "checkout")
    world.pay(opened.billing_id)
    assert world.provider.open_checkout(request, "checkout").status is CheckoutStatus.COMPLETE


def test_checkout_never_opened_is_none_and_cannot_be_expired(world: World) -> None:
    assert world.provider.get_checkout("cs_test_none") is None
    with pytest.raises(ProviderRefusedError) as refused:
        world.provider.expire_checkout("cs_test_none")
    assert refused.value.provider_code == "resource_missing"


def test_checkout_of_an_archived_price_is_refused(world: World) -> None:
    _, request = shop(world)
    world.archive_price(request.items[1].price_billing_id)
    with pytest.raises(ProviderRefusedError):
        world.provider.open_checkout(request, "checkout")


def test_checkout_of_a_deleted_customer_is_refused(world: World) -> None:
    customer_id, request = shop(world)
    world.delete_customer(customer_id)
    with pytest.raises(ProviderRefusedError):
        world.provider.open_checkout(request, "checkout")


def test_checkout_declined_stays_open_and_makes_no_subscription(world: World) -> None:
    customer_id, request = shop(world)
    opened = world.provider.open_checkout(request, "checkout")
    world.decline(opened.billing_id)
    assert world.provider.get_checkout(opened.billing_id) == opened
    assert world.provider.list_subscriptions(customer_id) == ()


def test_checkout_expired_cannot_be_paid_and_expires_again_in_peace(world: World) -> None:
    _, request = shop(world)
    opened = world.provider.open_checkout(request, "checkout")
    expired = world.provider.expire_checkout(opened.billing_id)
    assert (expired.status, expired.url) == (CheckoutStatus.EXPIRED, None)
    assert world.provider.expire_checkout(opened.billing_id) == expired
    assert world.provider.get_checkout(opened.billing_id) == expired


def test_checkout_paid_is_complete_even_when_expired_too_late(world: World) -> None:
    _, request = shop(world)
    opened = world.provider.open_checkout(request, "checkout")
    world.pay(opened.billing_id)
    found = world.provider.get_checkout(opened.billing_id)
    assert found is not None
    assert found.status is CheckoutStatus.COMPLETE
    assert world.provider.expire_checkout(opened.billing_id) == found


def test_checkout_left_alone_expires_in_time(world: World) -> None:
    _, request = shop(world)
    opened = world.provider.open_checkout(request, "checkout")
    world.clock.time = opened.expires_at + timedelta(seconds=1)
    found = world.provider.get_checkout(opened.billing_id)
    assert found is not None
    assert found.status is CheckoutStatus.EXPIRED


def test_subscription_bought_carries_all_that_we_sent(world: World) -> None:
    customer_id, request = shop(world)
    world.pay(world.provider.open_checkout(request, "checkout").billing_id)
    (found,) = world.provider.list_subscriptions(customer_id)
    assert found.status is SubscriptionStatus.ACTIVE
    assert found.customer_billing_id == customer_id
    assert found.metadata == request.metadata
    assert found.currency == "usd"
    assert {(item.price_billing_id, item.quantity) for item in found.items} == {
        (item.price_billing_id, item.quantity) for item in request.items
    }
    assert found.started_at == START
    assert found.current_period_start == START
    assert found.current_period_end == START.replace(month=12)
    assert (found.cancel_at, found.ended_at, found.trial_end) == (None, None, None)
    assert found.url is not None
    assert found.billing_id in found.url


def test_subscription_got_by_id_is_the_listed_one(world: World) -> None:
    found = bought(world)
    assert world.provider.get_subscription(found.billing_id) == found


def test_subscription_never_made_is_none(world: World) -> None:
    assert world.provider.get_subscription("sub_none") is None


def test_subscription_canceled_is_still_listed(world: World) -> None:
    found = bought(world)
    world.clock.sleep(3600)
    world.cancel(found.billing_id)
    (ended,) = world.provider.list_subscriptions(found.customer_billing_id)
    assert ended.status is SubscriptionStatus.CANCELED
    assert ended.ended_at == START + timedelta(hours=1)


def test_subscription_to_be_canceled_goes_on_until_its_date(world: World) -> None:
    found = bought(world)
    world.cancel_later(found.billing_id)
    (going,) = world.provider.list_subscriptions(found.customer_billing_id)
    assert going.status is SubscriptionStatus.ACTIVE
    assert going.cancel_at == found.current_period_end


def test_subscription_of_an_archived_price_lives_on(world: World) -> None:
    found = bought(world)
    for price in world.provider.observe_product(KEY).prices:  # type: ignore[union-attr]
        if price.lookup_key and price.lookup_key.endswith("seats"):
            world.archive_price(price.billing_id)
    assert world.provider.list_subscriptions(found.customer_billing_id) == (found,)


def test_subscriptions_of_a_deleted_customer_have_all_ended(world: World) -> None:
    found = bought(world)
    world.delete_customer(found.customer_billing_id)
    listed = world.provider.list_subscriptions(found.customer_billing_id)
    assert all(one.status in ENDED for one in listed)
    single = world.provider.get_subscription(found.billing_id)
    assert single is not None
    assert single.status in ENDED


def test_subscriptions_bought_one_after_the_other_are_all_listed(world: World) -> None:
    customer_id, request = shop(world)
    for turn in range(3):
        world.clock.sleep(1)
        world.pay(world.provider.open_checkout(request, f"checkout-{turn}").billing_id)
    listed = world.provider.list_subscriptions(customer_id)
    assert len({one.billing_id for one in listed}) == 3
