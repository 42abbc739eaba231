"""Ending, keeping, pausing and prolonging subscriptions, for those who can."""

from datetime import timedelta

import pytest

from chalicelib.domain.billing import ProviderSubscription
from chalicelib.domain.errors import ProviderRefusedError
from chalicelib.domain.subscriptions import ENDED, SubscriptionStatus
from chalicelib.ports import (
    SubscriptionEnding,
    SubscriptionPausing,
    TrialChanges,
)
from tests.contract.billing_provider.samples import subscribed
from tests.contract.billing_provider.worlds import ChangingWorld, World


def now_held(world: World, held: ProviderSubscription) -> ProviderSubscription:
    found = world.provider.get_subscription(held.billing_id)
    assert found is not None
    return found


def ending(world: World) -> SubscriptionEnding:
    assert isinstance(world.provider, SubscriptionEnding)
    return world.provider


def pausing(world: World) -> SubscriptionPausing:
    if not isinstance(world.provider, SubscriptionPausing):
        pytest.skip("this provider can't pause")
    return world.provider


def test_subscription_ended_now_has_ended_and_stays_so(changing_world: ChangingWorld) -> None:
    held = subscribed(changing_world)
    ended = ending(changing_world).end_subscription(held.billing_id)
    assert ended.status in ENDED
    assert ended.ended_at == changing_world.clock.now()
    changing_world.clock.sleep(60)
    assert ending(changing_world).end_subscription(held.billing_id) == ended


def test_subscription_ended_with_its_period_goes_on_until_then(
    changing_world: ChangingWorld,
) -> None:
    held = subscribed(changing_world)
    end = held.current_period_end
    going = ending(changing_world).end_subscription(held.billing_id, at=end)
    assert (going.status, going.cancel_at) == (held.status, end)
    assert ending(changing_world).end_subscription(held.billing_id, at=end) == going
    assert now_held(changing_world, held) == going


def test_subscription_ended_at_a_date_has_that_end(changing_world: ChangingWorld) -> None:
    held = subscribed(changing_world)
    date = changing_world.clock.now() + timedelta(days=10)
    assert ending(changing_world).end_subscription(held.billing_id, at=date).cancel_at == date
    later = date + timedelta(days=3)
    assert ending(changing_world).end_subscription(held.billing_id, at=later).cancel_at == later


@pytest.mark.parametrize("days", [None, 10])
def test_subscription_kept_has_no_end_any_more(
    changing_world: ChangingWorld, days: int | None
) -> None:
    held = subscribed(changing_world)
    date = changing_world.clock.now() + timedelta(days=days) if days else held.current_period_end
    ending(changing_world).end_subscription(held.billing_id, at=date)
    kept = ending(changing_world).keep_subscription(held.billing_id)
    assert kept.cancel_at is None
    assert ending(changing_world).keep_subscription(held.billing_id) == kept


def test_subscription_that_has_ended_is_not_kept(changing_world: ChangingWorld) -> None:
    held = subscribed(changing_world)
    ending(changing_world).end_subscription(held.billing_id)
    with pytest.raises(ProviderRefusedError):
        ending(changing_world).keep_subscription(held.billing_id)


def test_subscription_unknown_is_a_refusal(changing_world: ChangingWorld) -> None:
    subscribed(changing_world)
    with pytest.raises(ProviderRefusedError):
        ending(changing_world).end_subscription("sub_none")
    with pytest.raises(ProviderRefusedError):
        ending(changing_world).keep_subscription("sub_none")


def test_subscription_paused_rests_until_it_goes_on(changing_world: ChangingWorld) -> None:
    provider = pausing(changing_world)
    held = subscribed(changing_world)
    paused = provider.pause_subscription(held.billing_id, "pause")
    assert paused.status is SubscriptionStatus.PAUSED
    assert provider.pause_subscription(held.billing_id, "pause") == paused
    changing_world.clock.sleep(3600)
    going = provider.unpause_subscription(held.billing_id, "unpause")
    assert going.status is SubscriptionStatus.ACTIVE
    assert provider.unpause_subscription(held.billing_id, "unpause") == going


def test_subscription_paused_twice_rests_twice(changing_world: ChangingWorld) -> None:
    provider = pausing(changing_world)
    held = subscribed(changing_world)
    for turn in range(2):
        paused = provider.pause_subscription(held.billing_id, f"pause-{turn}")
        assert paused.status is SubscriptionStatus.PAUSED
        provider.unpause_subscription(held.billing_id, f"unpause-{turn}")
        assert now_held(changing_world, held).status is SubscriptionStatus.ACTIVE


def test_trial_prolonged_ends_later(changing_world: ChangingWorld) -> None:
    provider = changing_world.provider
    if not isinstance(provider, TrialChanges):
        pytest.skip("this provider has no trials")
    held = subscribed(changing_world)
    until = changing_world.clock.now() + timedelta(days=20)
    prolonged = provider.set_trial_end(held.billing_id, until, "trial")
    assert (prolonged.status, prolonged.trial_end) == (SubscriptionStatus.IN_TRIAL, until)
    assert provider.set_trial_end(held.billing_id, until, "trial") == prolonged
