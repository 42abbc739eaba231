"""Pausing and unpausing: nothing is given meanwhile, whoever bills."""

import pytest

from chalicelib.domain.errors import NotSupportedError, SubscriptionEndedError, WrongStateError
from chalicelib.domain.subscription_ends import Ending, When
from chalicelib.domain.subscriptions import Subscription, SubscriptionStatus
from chalicelib.services.cancel_subscription import cancel_subscription
from chalicelib.services.pause_subscription import pause_subscription
from chalicelib.services.resume_subscription import resume_subscription
from tests.fakes.changing import ChangeShop, a_shop_with, assert_survives, with_less_able_provider
from tests.fakes.world import a_cause


def pause(shop: ChangeShop, op: str = "pause") -> Subscription:
    return pause_subscription(shop.ports, a_cause(op), shop.subscriptions()[0].id)


def resume(shop: ChangeShop, op: str = "resume") -> Subscription:
    return resume_subscription(shop.ports, a_cause(op), shop.subscriptions()[0].id)


@pytest.mark.parametrize("plan_id", ["free", "pro"])
def test_pause_gives_nothing_until_it_is_resumed(plan_id: str) -> None:
    shop = a_shop_with(plan_id)
    held = pause(shop)
    assert (held.status, held.is_live) == (SubscriptionStatus.PAUSED, True)
    assert not shop.check("calls").decision.has_access
    assert pause(shop, "again") == held
    assert resume(shop).status is SubscriptionStatus.ACTIVE
    assert shop.check("calls").decision.has_access


def test_pause_a_trial_is_refused() -> None:
    shop = a_shop_with("tried")
    with pytest.raises(WrongStateError):
        pause(shop)


def test_pause_a_trial_at_the_provider_is_refused() -> None:
    shop = a_shop_with("pro")
    [theirs] = shop.billing.subscriptions
    shop.billing.edit_subscription(theirs, status=SubscriptionStatus.IN_TRIAL)
    shop.reconcile()
    with pytest.raises(WrongStateError):
        pause(shop)
    assert shop.live().status is SubscriptionStatus.IN_TRIAL


def test_pause_what_has_ended_is_refused() -> None:
    shop = a_shop_with("free")
    held = shop.live()
    cancel_subscription(shop.ports, a_cause("end"), held.id, Ending(when=When.IMMEDIATE))
    with pytest.raises(SubscriptionEndedError):
        pause(shop)


def test_pause_where_the_provider_is_not_able_to_is_not_supported() -> None:
    shop = a_shop_with("pro")
    with_less_able_provider(shop)
    with pytest.raises(NotSupportedError):
        pause(shop)


@pytest.mark.parametrize("plan_id", ["free", "pro"])
def test_pause_survives_crashes_and_faults(plan_id: str) -> None:
    assert_survives(lambda: a_shop_with(plan_id), pause)


@pytest.mark.parametrize("plan_id", ["free", "pro"])
def test_unpause_survives_crashes_and_faults(plan_id: str) -> None:
    def make() -> ChangeShop:
        shop = a_shop_with(plan_id)
        pause(shop)
        return shop

    assert_survives(make, resume)
