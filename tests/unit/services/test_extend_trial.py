"""Longer trials: billed and unbilled, within their bounds."""

from datetime import datetime, timedelta

import pytest

from chalicelib.domain.errors import InvalidError, NotSupportedError, WrongStateError
from chalicelib.domain.subscriptions import Subscription, SubscriptionStatus
from chalicelib.services.extend_trial import extend_trial
from tests.factories import later
from tests.fakes.changing import ChangeShop, a_shop_with, assert_survives, with_less_able_provider
from tests.fakes.world import a_cause

IN_A_MONTH = later(days=30)


def extend(shop: ChangeShop, until: datetime = IN_A_MONTH, op: str = "extend") -> Subscription:
    return extend_trial(shop.ports, a_cause(op), shop.subscriptions()[0].id, until)


def a_billed_trial() -> ChangeShop:
    shop = a_shop_with("pro")
    [theirs] = shop.billing.subscriptions
    end = later(days=14)
    shop.billing.edit_subscription(
        theirs, status=SubscriptionStatus.IN_TRIAL, trial_end=end, current_period_end=end
    )
    shop.reconcile()
    return shop


def an_unbilled_trial() -> ChangeShop:
    return a_shop_with("tried")


BOTH = pytest.mark.parametrize("make", [a_billed_trial, an_unbilled_trial])


@BOTH
def test_extend_trial_gives_access_for_longer(make: type[ChangeShop]) -> None:
    shop = make()
    held = extend(shop)
    assert held.trial_end == later(days=30)
    assert extend(shop, op="again") == held
    shop.clock.advance(days=29)
    assert shop.live().status is SubscriptionStatus.IN_TRIAL
    feature = "calls" if held.provider else "sso"
    assert shop.check(feature).decision.has_access


def test_extend_trial_moves_the_providers_end() -> None:
    shop = a_billed_trial()
    extend(shop)
    [theirs] = shop.billing.subscriptions.values()
    assert theirs.trial_end == later(days=30)


@BOTH
@pytest.mark.parametrize("days", [-1, 1, 800])
def test_extend_trial_out_of_its_bounds_is_refused(make: type[ChangeShop], days: int) -> None:
    shop = make()
    before = shop.subscriptions()
    with pytest.raises(InvalidError):
        extend(shop, later(days=days))
    assert shop.subscriptions() == before


@pytest.mark.parametrize("plan_id", ["free", "pro"])
def test_extend_what_is_no_trial_is_refused(plan_id: str) -> None:
    with pytest.raises(WrongStateError):
        extend(a_shop_with(plan_id))


def test_extend_trial_where_the_provider_is_not_able_to_is_not_supported() -> None:
    shop = a_billed_trial()
    with_less_able_provider(shop)
    with pytest.raises(NotSupportedError):
        extend(shop)


@BOTH
def test_extend_trial_survives_crashes_and_faults(make: type[ChangeShop]) -> None:
    assert_survives(make, lambda shop, op: extend(shop, op=op))


def test_extend_trial_longest_is_two_years_from_its_start() -> None:
    shop = an_unbilled_trial()
    latest = shop.live().started_at + timedelta(days=730)
    assert extend(shop, latest).trial_end == latest
