"""Subscribing at our word alone, for those who can: once for each key, and only to what is sold."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.billing import SubscriptionRequest
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError
from chalicelib.domain.subscriptions import SubscriptionStatus
from tests.contract.billing_provider.samples import shop
from tests.contract.billing_provider.worlds import (
    START,
    DirectWorld,
    World,
    subscription_request,
)


def wish(world: World) -> SubscriptionRequest:
    customer_id, items = shop(world)
    return subscription_request(customer_id, *items)


def test_subscription_created_is_active_at_once(direct_world: DirectWorld) -> None:
    request = wish(direct_world)
    made = direct_world.provider.create_subscription(request, "key")
    assert (made.status, made.started_at) == (SubscriptionStatus.ACTIVE, START)
    assert direct_world.provider.list_subscriptions(request.customer_billing_id) == (made,)
    assert direct_world.provider.get_subscription(made.billing_id) == made


@pytest.mark.parametrize(
    ("days", "begun", "ended"),
    [(1, -1, 29), (40, -9, 21), (365, 0, 30)],
)
def test_subscription_created_with_a_past_start_is_in_the_period_of_now(
    direct_world: DirectWorld, days: int, begun: int, ended: int
) -> None:
    start = START - timedelta(days=days)
    request = replace(wish(direct_world), started_at=start)
    made = direct_world.provider.create_subscription(request, "key")
    assert (made.status, made.started_at) == (SubscriptionStatus.ACTIVE, start)
    assert made.current_period_start == START + timedelta(days=begun)
    assert made.current_period_end == START + timedelta(days=ended)
    assert direct_world.provider.create_subscription(request, "key") == made
    assert direct_world.provider.get_subscription(made.billing_id) == made


def test_subscription_created_twice_under_one_key_is_one(direct_world: DirectWorld) -> None:
    request = wish(direct_world)
    first = direct_world.provider.create_subscription(request, "key")
    direct_world.clock.sleep(60)
    assert direct_world.provider.create_subscription(request, "key") == first
    assert len(direct_world.provider.list_subscriptions(request.customer_billing_id)) == 1


def test_subscription_created_otherwise_under_the_same_key_is_refused(
    direct_world: DirectWorld,
) -> None:
    request = wish(direct_world)
    direct_world.provider.create_subscription(request, "key")
    other = direct_world.provider.ensure_customer({"paygrade_entity_id": "other"}, "other")
    for changed in (
        replace(request, items=request.items[:1]),
        replace(request, customer_billing_id=other.billing_id),
    ):
        with pytest.raises(ProviderRefusedError) as refused:
            direct_world.provider.create_subscription(changed, "key")
        assert refused.value.provider_code == "idempotency_error"


def test_subscription_whose_answer_was_lost_is_found_under_the_same_key(
    direct_world: DirectWorld,
) -> None:
    request = wish(direct_world)
    direct_world.lose_answer("create_subscription")
    with pytest.raises(ProviderUnavailableError) as lost:
        direct_world.provider.create_subscription(request, "key")
    assert not lost.value.definite
    made = direct_world.provider.create_subscription(request, "key")
    assert direct_world.provider.list_subscriptions(request.customer_billing_id) == (made,)


def test_subscription_of_an_archived_or_unknown_price_is_refused(
    direct_world: DirectWorld,
) -> None:
    request = wish(direct_world)
    direct_world.archive_price(request.items[1].price_billing_id)
    unknown = replace(request.items[0], price_billing_id="price_none")
    for changed in (request, replace(request, items=(unknown,))):
        with pytest.raises(ProviderRefusedError):
            direct_world.provider.create_subscription(changed, "key")
    assert direct_world.provider.list_subscriptions(request.customer_billing_id) == ()


def test_subscription_of_an_unknown_customer_is_refused(direct_world: DirectWorld) -> None:
    request = replace(wish(direct_world), customer_billing_id="cus_none")
    with pytest.raises(ProviderRefusedError) as refused:
        direct_world.provider.create_subscription(request, "key")
    assert refused.value.provider_code == "resource_missing"


def test_subscription_ended_stays_ended_when_ended_again(direct_world: DirectWorld) -> None:
    made = direct_world.provider.create_subscription(wish(direct_world), "key")
    direct_world.clock.sleep(3600)
    ended = direct_world.provider.end_subscription(made.billing_id)
    assert (ended.status, ended.ended_at) == (
        SubscriptionStatus.CANCELED,
        START + timedelta(hours=1),
    )
    direct_world.clock.sleep(3600)
    assert direct_world.provider.end_subscription(made.billing_id) == ended
    assert direct_world.provider.get_subscription(made.billing_id) == ended


def test_subscription_to_be_ended_says_when(direct_world: DirectWorld) -> None:
    made = direct_world.provider.create_subscription(wish(direct_world), "key")
    later = START + timedelta(days=3)
    going = direct_world.provider.end_subscription(made.billing_id, at=later)
    assert (going.status, going.cancel_at) == (SubscriptionStatus.ACTIVE, later)
    assert direct_world.provider.get_subscription(made.billing_id) == going


def test_subscription_never_made_can_not_be_ended(direct_world: DirectWorld) -> None:
    with pytest.raises(ProviderRefusedError) as refused:
        direct_world.provider.end_subscription("sub_none")
    assert refused.value.provider_code == "resource_missing"
