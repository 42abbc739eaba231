"""Giving up and going on: what happens now, at the provider, to access, and whatever goes wrong in between."""

import pytest

from chalicelib.domain.audit_log import AuditEntry
from chalicelib.domain.errors import (
    InvalidError,
    NotFoundError,
    NotSupportedError,
    SubscriptionEndedError,
    VersionConflictError,
)
from chalicelib.domain.subscription_ends import Ending, When
from chalicelib.domain.subscriptions import Subscription, SubscriptionStatus
from chalicelib.services.cancel_subscription import cancel_subscription
from chalicelib.services.resume_subscription import resume_subscription
from tests.factories import later
from tests.fakes.changing import ChangeShop, a_shop_with, assert_survives, with_less_able_provider
from tests.fakes.world import a_cause

NOW = Ending(when=When.IMMEDIATE)
WITH_THE_PERIOD = Ending(when=When.END_OF_PERIOD)
IN_A_WEEK = Ending(when=When.DATE, at=later(days=7))


def cancel(shop: ChangeShop, wish: Ending = NOW, op: str = "cancel") -> Subscription:
    return cancel_subscription(shop.ports, a_cause(op), shop.subscriptions()[0].id, wish)


def resume(shop: ChangeShop, op: str = "resume") -> Subscription:
    return resume_subscription(shop.ports, a_cause(op), shop.subscriptions()[0].id)


@pytest.mark.parametrize("plan_id", ["free", "custom", "tried", "pro"])
def test_cancel_immediately_ends_access_at_once(plan_id: str) -> None:
    shop = a_shop_with(plan_id)
    feature = "sso" if plan_id == "tried" else "calls"
    assert shop.check(feature).decision.has_access
    held = cancel(shop)
    assert held.status is SubscriptionStatus.CANCELED
    assert held.ended_at == shop.clock.now().replace(microsecond=0)
    assert not shop.check(feature).decision.has_access
    assert shop.subscriptions() == (held,)


@pytest.mark.parametrize("plan_id", ["free", "custom", "tried", "pro"])
def test_cancel_at_a_date_gives_access_until_then(plan_id: str) -> None:
    shop = a_shop_with(plan_id)
    held = cancel(shop, IN_A_WEEK)
    assert held.is_live
    assert held.cancel_at == later(days=7)
    feature = "sso" if plan_id == "tried" else "calls"
    answer = shop.check(feature).decision
    assert answer.has_access
    assert answer.valid_until_ms == later(days=7).timestamp() * 1000
    shop.clock.advance(days=7)
    assert not shop.check(feature).decision.has_access
    if plan_id != "pro":
        assert shop.subscriptions()[0].at(shop.clock.now()).status is SubscriptionStatus.CANCELED


def test_cancel_with_the_period_ends_at_the_providers_period() -> None:
    shop = a_shop_with("pro")
    [theirs] = shop.billing.subscriptions.values()
    shop.billing.edit_subscription(theirs.billing_id, current_period_end=later(days=40))
    held = cancel(shop, WITH_THE_PERIOD)
    assert (held.cancel_at, held.status) == (later(days=40), SubscriptionStatus.ACTIVE)
    [theirs] = shop.billing.subscriptions.values()
    assert theirs.cancel_at == held.cancel_at


@pytest.mark.parametrize("plan_id", ["free", "custom", "tried"])
def test_cancel_with_the_period_where_there_is_none_is_refused(plan_id: str) -> None:
    shop = a_shop_with(plan_id)
    with pytest.raises(InvalidError) as caught:
        cancel(shop, WITH_THE_PERIOD)
    assert caught.value.violations[0].code == "no_period"
    assert shop.live().cancel_at is None


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (Ending(when=When.DATE), "required"),
        (Ending(when=When.IMMEDIATE, at=later(days=1)), "not_allowed"),
        (Ending(when=When.DATE, at=later(days=-1)), "out_of_range"),
        (Ending(when=When.DATE, at=later(days=9999)), "out_of_range"),
    ],
)
@pytest.mark.parametrize("plan_id", ["free", "pro"])
def test_cancel_at_an_impossible_time_changes_nothing(
    plan_id: str, wish: Ending, code: str
) -> None:
    shop = a_shop_with(plan_id)
    before = shop.subscriptions()
    with pytest.raises(InvalidError) as caught:
        cancel(shop, wish)
    assert caught.value.violations[0].code == code
    assert shop.subscriptions() == before


@pytest.mark.parametrize("plan_id", ["free", "pro"])
def test_cancel_what_has_ended_is_refused(plan_id: str) -> None:
    shop = a_shop_with(plan_id)
    cancel(shop)
    with pytest.raises(SubscriptionEndedError):
        cancel(shop, op="another")
    with pytest.raises(SubscriptionEndedError):
        resume(shop)


def test_cancel_what_has_ended_at_the_provider_unheard_is_refused_and_taken_over() -> None:
    shop = a_shop_with("pro")
    [theirs] = shop.billing.subscriptions
    shop.billing.cancel(theirs)
    with pytest.raises(SubscriptionEndedError):
        cancel(shop)
    assert shop.subscriptions()[0].status is SubscriptionStatus.CANCELED


def test_cancel_what_nobody_has_is_not_found() -> None:
    shop = ChangeShop()
    with pytest.raises(NotFoundError):
        cancel_subscription(shop.ports, a_cause(), "subs_none", NOW)


@pytest.mark.parametrize("plan_id", ["free", "pro"])
def test_cancel_another_version_than_the_caller_saw_is_refused(plan_id: str) -> None:
    shop = a_shop_with(plan_id)
    held = cancel(shop, IN_A_WEEK)
    with pytest.raises(VersionConflictError):
        cancel_subscription(shop.ports, a_cause("other"), held.id, NOW, held.version - 1)
    assert shop.live().cancel_at == later(days=7)
    assert not cancel_subscription(shop.ports, a_cause("other"), held.id, NOW, held.version).is_live


def test_cancel_where_the_provider_is_not_able_to_is_not_supported() -> None:
    shop = a_shop_with("pro")
    before = shop.subscriptions()
    with_less_able_provider(shop)
    with pytest.raises(NotSupportedError, match="stripe"):
        cancel(shop)
    assert shop.subscriptions() == before


@pytest.mark.parametrize("status", [SubscriptionStatus.ACTIVE, SubscriptionStatus.PAUSED])
def test_resume_where_the_provider_is_not_able_to_is_not_supported(
    status: SubscriptionStatus,
) -> None:
    shop = a_shop_with("pro")
    [theirs] = shop.billing.subscriptions
    end = None if status is SubscriptionStatus.PAUSED else later(days=7)
    shop.billing.edit_subscription(theirs, status=status, cancel_at=end)
    with_less_able_provider(shop)
    with pytest.raises(NotSupportedError):
        resume(shop)


@pytest.mark.parametrize("plan_id", ["free", "pro"])
def test_resume_takes_the_coming_end_back(plan_id: str) -> None:
    shop = a_shop_with(plan_id)
    cancel(shop, IN_A_WEEK)
    assert resume(shop).cancel_at is None
    shop.clock.advance(days=8)
    assert shop.check("calls").decision.has_access
    assert shop.live().is_live


@pytest.mark.parametrize("plan_id", ["free", "pro"])
def test_resume_what_goes_on_anyway_writes_nothing(plan_id: str) -> None:
    shop = a_shop_with(plan_id)
    before, commits = shop.subscriptions(), len(shop.store.commits)
    assert resume(shop) == before[0]
    assert len(shop.store.commits) == commits


@pytest.mark.parametrize("wish", [NOW, WITH_THE_PERIOD, IN_A_WEEK], ids=lambda one: one.when)
def test_cancel_billed_survives_crashes_and_faults(wish: Ending) -> None:
    assert_survives(lambda: a_shop_with("pro"), lambda shop, op: cancel(shop, wish, op))


@pytest.mark.parametrize("wish", [NOW, IN_A_WEEK], ids=lambda one: one.when)
def test_cancel_unbilled_survives_crashes(wish: Ending) -> None:
    assert_survives(lambda: a_shop_with("free"), lambda shop, op: cancel(shop, wish, op))


@pytest.mark.parametrize("plan_id", ["free", "pro"])
def test_resume_survives_crashes_and_faults(plan_id: str) -> None:
    def make() -> ChangeShop:
        shop = a_shop_with(plan_id)
        cancel(shop, IN_A_WEEK)
        return shop

    assert_survives(make, resume)


def test_cancel_is_audited_as_wished_and_as_it_came() -> None:
    shop = a_shop_with("pro")
    held = cancel(shop, WITH_THE_PERIOD)
    actions = [entry.action for entry in shop.audited(f"subscription:{held.id}")]
    assert actions[-2:] == ["subscription.cancel_requested", "subscription.converged"]


@pytest.mark.parametrize("plan_id", ["free", "pro"])
def test_cancel_under_a_key_that_was_used_days_ago_cancels_again(plan_id: str) -> None:
    shop = a_shop_with(plan_id)
    assert cancel(shop, Ending(when=When.DATE, at=later(days=20))).cancel_at is not None
    assert resume(shop).cancel_at is None
    shop.clock.advance(days=2)
    assert cancel(shop, Ending(when=When.DATE, at=later(days=20))).cancel_at == later(days=20)
    entries = shop.store.all(AuditEntry)
    assert sum(one.action.startswith("subscription.cancel") for one in entries) == 2
