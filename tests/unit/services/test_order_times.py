"""When what is ordered begins, and until when it is tried."""

from datetime import datetime
from typing import Any

import pytest

from chalicelib.domain.errors import InvalidError, NotSupportedError
from chalicelib.domain.order_times import tried_days
from chalicelib.domain.orders import Order
from chalicelib.domain.plans import Trial, TrialUnit
from chalicelib.domain.subscribers import Subscriber
from chalicelib.domain.subscription_ends import Ending, When
from chalicelib.domain.subscriptions import Subscription, SubscriptionStatus
from chalicelib.services.cancel_subscription import cancel_subscription
from chalicelib.services.provision_subscription import provision_subscription
from chalicelib.services.settle_customer import settle_customer
from tests.factories import ACME, a_price, later
from tests.fakes.changing import ChangeShop
from tests.fakes.world import a_cause, an_order


def begin(shop: ChangeShop, plan_id: str = "free", **order: Any) -> Subscription:
    made = provision_subscription(shop.ports, a_cause("op"), an_order(plan_id, **order))
    assert made.subscription is not None
    return made.subscription


@pytest.mark.parametrize("plan_id", ["free", "custom"])
def test_order_that_starts_later_gives_nothing_until_then(plan_id: str) -> None:
    shop = ChangeShop()
    held = begin(shop, plan_id, start_at=later(days=3))
    assert held.at(shop.clock.now()).status is SubscriptionStatus.NOT_STARTED
    answer = shop.check("calls").decision
    assert not answer.has_access
    assert answer.valid_until_ms == later(days=3).timestamp() * 1000
    shop.clock.advance(days=3)
    assert shop.live().status is SubscriptionStatus.ACTIVE
    assert shop.check("calls").decision.has_access


def test_order_that_started_earlier_has_been_active_since() -> None:
    shop = ChangeShop()
    held = begin(shop, start_at=later(days=-40))
    assert (held.started_at, held.status) == (later(days=-40), SubscriptionStatus.ACTIVE)


@pytest.mark.parametrize("days", [-400, 5 * 365 + 1])
def test_order_that_starts_too_far_off_is_refused(days: int) -> None:
    with pytest.raises(InvalidError):
        begin(ChangeShop(), start_at=later(days=days))


def test_order_that_is_billed_starts_now_or_is_not_supported() -> None:
    shop = ChangeShop()
    with pytest.raises(NotSupportedError):
        begin(shop, "pro", start_at=later(days=3))
    assert shop.billing.checkouts == {}


def test_trial_ends_as_ordered() -> None:
    shop = ChangeShop()
    held = begin(shop, "tried", trial=True, trial_until=later(days=40))
    assert held.trial_end == later(days=40)


def test_trial_that_starts_later_lasts_from_then() -> None:
    shop = ChangeShop()
    held = begin(shop, "tried", start_at=later(days=10))
    assert held.trial_end == later(days=24)
    shop.clock.advance(days=11)
    assert shop.live().status is SubscriptionStatus.IN_TRIAL


@pytest.mark.parametrize(
    "order",
    [
        {"trial_until": later(days=-1)},
        {"trial_until": later(days=731)},
        {"trial_until": later(days=3), "start_at": later(days=4)},
        {"start_at": later(days=-30)},
    ],
)
def test_trial_that_can_not_be_is_refused(order: dict[str, Any]) -> None:
    with pytest.raises(InvalidError):
        begin(ChangeShop(), "tried", trial=True, **order)


def test_trial_of_what_has_none_is_refused() -> None:
    with pytest.raises(InvalidError):
        begin(ChangeShop(), "free", trial=True, trial_until=later(days=3))


@pytest.mark.parametrize(
    ("until", "days"),
    [(None, 14), (later(days=3), 3), (later(hours=1), 1), (later(days=3, seconds=1), 4)],
)
def test_tried_days_are_whole_ones(until: datetime | None, days: int) -> None:
    trial = Trial(duration=14, unit=TrialUnit.DAY, payment_method_required=True)
    order: Order = an_order("pro", trial=True, trial_until=until)
    assert tried_days(order, trial, later()) == days


def test_trial_with_a_card_ends_as_ordered() -> None:
    shop = ChangeShop()
    trial = Trial(duration=14, unit=TrialUnit.DAY, payment_method_required=True)
    shop.sell("carded", a_price(), trial=trial)
    order = an_order("carded", trial=True, trial_until=later(days=20))
    made = provision_subscription(shop.ports, a_cause("op"), order)
    assert made.checkout is not None
    assert made.checkout.trial_days == 20


def test_end_that_time_brought_about_is_stored_and_leaves_the_lists() -> None:
    shop = ChangeShop()
    held = begin(shop)
    ending = Ending(when=When.DATE, at=later(days=7))
    cancel_subscription(shop.ports, a_cause("c"), held.id, ending)
    assert shop.store.all(Subscriber)
    shop.clock.advance(days=7, seconds=1)
    assert settle_customer(shop.ports, a_cause("sweep"), ACME)
    [stored] = shop.subscriptions()
    assert (stored.status, stored.ended_at) == (SubscriptionStatus.CANCELED, later(days=7))
    assert not shop.store.all(Subscriber)
