"""Trials: at once without a payment method, by checkout with one, once for each customer and product."""

from typing import Any

import pytest

from chalicelib.domain.errors import InvalidError, SubscriptionExistsError
from chalicelib.domain.ids import PackageId
from chalicelib.domain.plans import Trial, TrialEnd, TrialUnit
from chalicelib.domain.subscriptions import Subscription, SubscriptionStatus
from chalicelib.domain.trials import TrialUse
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.provision_subscription import Provisioned, provision_subscription
from tests.factories import ACME, a_limit, a_price
from tests.fakes.stripe_shop import StripeShop
from tests.fakes.world import a_cause, an_order

DAYS = Trial(duration=14, unit=TrialUnit.DAY, end_behavior=TrialEnd.CANCEL_SUBSCRIPTION)
WITH_CARD = Trial(duration=1, unit=TrialUnit.MONTH, payment_method_required=True)


@pytest.fixture
def shop() -> StripeShop:
    made = StripeShop()
    made.customer(email="a@acme.example")
    return made


def sell(shop: StripeShop, trial: Trial, plan_id: str = "pro", **fields: Any) -> None:
    shop.sell(plan_id, a_price(), entitlements=[a_limit("seats")], trial=trial, **fields)


def subscribe(
    shop: StripeShop, plan_id: str = "pro", op: str = "op_1", **order: Any
) -> Provisioned:
    return provision_subscription(shop.ports, a_cause(op), an_order(plan_id, **order))


def held(shop: StripeShop) -> list[Subscription]:
    return [one.at(shop.clock.now()) for one in shop.subscriptions()]


def test_trial_without_payment_method_begins_at_once_and_ends_by_time(shop: StripeShop) -> None:
    sell(shop, DAYS)
    began = subscribe(shop).subscription
    assert began is not None
    assert (began.status, began.provider) == (SubscriptionStatus.IN_TRIAL, None)
    answer = shop.check("seats").decision
    assert answer.has_access
    assert began.trial_end is not None
    assert answer.valid_until_ms == began.trial_end.timestamp() * 1000
    assert shop.objects("checkout.session") == shop.objects("customer") == []
    shop.clock.advance(days=14)
    assert not shop.check("seats").decision.has_access
    assert [one.status for one in held(shop)] == [SubscriptionStatus.EXPIRED]


def test_trial_repeated_by_the_same_operation_is_the_same(shop: StripeShop) -> None:
    sell(shop, DAYS)
    assert subscribe(shop) == subscribe(shop)
    assert len(shop.store.all(TrialUse)) == 1


def test_trial_running_leaves_no_room_for_what_is_free(shop: StripeShop) -> None:
    sell(shop, DAYS)
    subscribe(shop)
    shop.sell("free")
    with pytest.raises(SubscriptionExistsError):
        subscribe(shop, "free", "op_2")


def test_trial_running_ends_when_the_plan_is_paid(shop: StripeShop) -> None:
    sell(shop, DAYS)
    subscribe(shop)
    second = subscribe(shop, op="op_2")
    assert second.checkout is not None
    assert second.checkout.trial_days is None
    shop.pay()
    assert sorted(one.status for one in held(shop)) == [
        SubscriptionStatus.ACTIVE,
        SubscriptionStatus.EXPIRED,
    ]
    assert shop.check("seats").decision.has_access


@pytest.mark.parametrize("days", [3, 30])
def test_trial_is_had_once_for_each_customer_and_product(shop: StripeShop, days: int) -> None:
    sell(shop, DAYS)
    sell(shop, DAYS, "max")
    sell(shop, DAYS, "else", product_id="other")
    subscribe(shop)
    shop.clock.advance(days=days)
    assert subscribe(shop, "max", "op_2").checkout is not None
    with pytest.raises(InvalidError) as caught:
        subscribe(shop, "max", "op_3", trial=True)
    assert caught.value.violations[0].code == "trial_used"
    assert subscribe(shop, "else", "op_4").subscription is not None


def test_trial_declined_is_kept_for_later(shop: StripeShop) -> None:
    sell(shop, DAYS)
    assert subscribe(shop, trial=False).checkout is not None
    assert shop.store.all(TrialUse) == []
    shop.sell("plain", a_price())
    with pytest.raises(InvalidError) as caught:
        subscribe(shop, "plain", "op_2", trial=True)
    assert caught.value.violations[0].code == "no_trial"


def test_trial_with_payment_method_goes_through_checkout_and_converts(shop: StripeShop) -> None:
    sell(shop, WITH_CARD)
    checkout = subscribe(shop).checkout
    assert checkout is not None
    assert checkout.trial_days == 31
    subscription = shop.pay()
    (ours,) = held(shop)
    assert (ours.status, ours.provider) == (SubscriptionStatus.IN_TRIAL, "stripe")
    assert ours.trial_end is not None
    end_behavior = subscription["trial_settings"]["end_behavior"]
    assert end_behavior["missing_payment_method"] == "create_invoice"
    (use,) = shop.store.all(TrialUse)
    assert (use.product_id, use.subscription_id) == ("app", ours.id)
    assert shop.check("seats").decision.has_access


def test_trial_with_payment_method_is_offered_once(shop: StripeShop) -> None:
    sell(shop, WITH_CARD)
    subscription = shop.pay()
    shop.send("DELETE", f"/v1/subscriptions/{subscription['id']}")
    converge_customer(shop.ports, a_cause(), ACME, "stripe")
    again = shop.pay()
    assert (again["status"], again["trial_end"]) == ("active", None)
    assert [one.plan_id for one in held(shop) if one.is_live] == [PackageId("pro")]
