"""Subscriptions, however they were made: what the provider tells of them, and their end."""

from datetime import timedelta

from chalicelib.domain.subscriptions import ENDED, SubscriptionStatus
from tests.contract.billing_provider.samples import KEY, shop, subscribed
from tests.contract.billing_provider.worlds import METADATA, START, RemoteWorld, World


def test_subscription_made_carries_all_that_we_sent(world: World) -> None:
    customer_id, items = shop(world)
    billing_id = world.subscribe(customer_id, items, "subscription")
    (found,) = world.provider.list_subscriptions(customer_id)
    assert found.billing_id == billing_id
    assert found.status is SubscriptionStatus.ACTIVE
    assert found.customer_billing_id == customer_id
    assert found.metadata == METADATA
    assert found.currency == "usd"
    assert {(item.price_billing_id, item.quantity) for item in found.items} == {
        (item.price_billing_id, item.quantity) for item in items
    }
    assert found.started_at == START
    assert found.current_period_start == START
    assert found.current_period_end == START.replace(month=12)
    assert (found.cancel_at, found.ended_at, found.trial_end) == (None, None, None)
    assert found.url is not None
    assert found.url.startswith("http")


def test_subscription_got_by_id_is_the_listed_one(world: World) -> None:
    found = subscribed(world)
    assert world.provider.get_subscription(found.billing_id) == found


def test_subscription_never_made_is_none(world: World) -> None:
    assert world.provider.get_subscription("sub_none") is None


def test_subscription_canceled_is_still_listed(world: World) -> None:
    found = subscribed(world)
    world.clock.sleep(3600)
    world.cancel(found.billing_id)
    (ended,) = world.provider.list_subscriptions(found.customer_billing_id)
    assert ended.status is SubscriptionStatus.CANCELED
    assert ended.ended_at == START + timedelta(hours=1)


def test_subscription_to_be_canceled_goes_on_until_its_date(world: World) -> None:
    found = subscribed(world)
    world.cancel_later(found.billing_id)
    (going,) = world.provider.list_subscriptions(found.customer_billing_id)
    assert going.status is SubscriptionStatus.ACTIVE
    assert going.cancel_at == found.current_period_end


def test_subscription_of_an_archived_price_lives_on(world: World) -> None:
    found = subscribed(world)
    for price in world.provider.observe_product(KEY).prices:  # type: ignore[union-attr]
        if price.lookup_key and price.lookup_key.endswith("seats"):
            world.archive_price(price.billing_id)
    assert world.provider.list_subscriptions(found.customer_billing_id) == (found,)


def test_subscriptions_of_a_deleted_customer_have_all_ended(remote_world: RemoteWorld) -> None:
    found = subscribed(remote_world)
    remote_world.delete_customer(found.customer_billing_id)
    listed = remote_world.provider.list_subscriptions(found.customer_billing_id)
    assert all(one.status in ENDED for one in listed)
    single = remote_world.provider.get_subscription(found.billing_id)
    assert single is not None
    assert single.status in ENDED


def test_subscriptions_made_one_after_the_other_are_all_listed(world: World) -> None:
    customer_id, items = shop(world)
    for turn in range(3):
        world.clock.sleep(1)
        world.subscribe(customer_id, items, f"subscription-{turn}")
    listed = world.provider.list_subscriptions(customer_id)
    assert len({one.billing_id for one in listed}) == 3
