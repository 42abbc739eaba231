"""Subscribing: at once where nothing is to be paid, by way of a checkout otherwise, and never twice."""

from functools import partial
from typing import Any

import pytest

from chalicelib.domain.billing import CheckoutStatus
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.errors import (
    BusyError,
    InvalidError,
    StoreConflictError,
    SubscriptionExistsError,
)
from chalicelib.domain.orders import Order
from chalicelib.domain.plans import PricingType
from chalicelib.domain.references import SUBSCRIPTION, Reference
from chalicelib.domain.subscriptions import Subscription, SubscriptionStatus
from chalicelib.services.provision_subscription import Provisioned, provision_subscription
from chalicelib.services.start_checkout import start_checkout
from tests.factories import ACME, a_limit, a_price, a_value
from tests.fakes.crashes import Interleaving, every_crash, overtakings, schedules
from tests.fakes.world import World, a_cause, an_order

FREE, CUSTOM, PAID = an_order("free"), an_order("custom"), an_order("pro")


def a_shop() -> World:
    world = World()
    world.sell("pro", a_price("m", 1000), entitlements=[a_value("sso", True)])
    world.publish("free", entitlements=[a_limit("api", 10)])
    world.publish("custom", pricing_type=PricingType.CUSTOM, entitlements=[a_limit("api", None)])
    world.customer()
    return world


def provision(world: World, order: Order = FREE, operation: str = "op_1") -> Provisioned:
    return provision_subscription(world.ports, a_cause(operation), order)


def subscribed(world: World, order: Order = FREE, operation: str = "op_1") -> Subscription:
    made = provision(world, order, operation).subscription
    assert made is not None
    return made


@pytest.mark.parametrize("order", [FREE, CUSTOM])
def test_provision_where_nothing_is_paid_gives_access_at_once(order: Order) -> None:
    world = a_shop()
    calls = len(world.billing.calls)
    held = subscribed(world, order)
    assert world.subscriptions() == (held,)
    assert (held.status, held.provider, held.version) == (SubscriptionStatus.ACTIVE, None, 1)
    assert held.started_at == world.clock.now().replace(microsecond=0)
    assert world.check("api").decision.has_access
    assert len(world.billing.calls) == calls
    reference = world.store.get(Reference, SUBSCRIPTION, held.id)
    assert reference is not None
    assert reference.target == (ACME,)
    (entry,) = world.audited(f"subscription:{held.id}")
    assert entry.action == "subscription.provisioned"


def test_provision_keeps_the_callers_metadata() -> None:
    assert subscribed(a_shop(), an_order("free", metadata={"k": "v"})).metadata == {"k": "v"}


def test_provision_paid_plan_asks_for_payment_and_gives_nothing_yet() -> None:
    world = a_shop()
    result = provision(world, PAID)
    assert result.subscription is None
    assert result.checkout is not None
    assert result.checkout.url
    assert world.subscriptions() == ()
    assert provision(world, PAID) == result


def test_provision_again_by_the_same_operation_returns_its_own() -> None:
    world = a_shop()
    held = subscribed(world)
    commits = len(world.store.commits)
    assert subscribed(world) == held
    assert len(world.store.commits) == commits


@pytest.mark.parametrize("order", [FREE, CUSTOM, PAID])
def test_provision_beside_a_live_subscription_of_the_product_is_refused(order: Order) -> None:
    world = a_shop()
    held = subscribed(world)
    with pytest.raises(SubscriptionExistsError) as caught:
        provision(world, order, "op_2")
    assert caught.value.subscription_id == held.id


def test_provision_another_product_stands_beside_it() -> None:
    world = a_shop()
    world.publish("other", product_id="other")
    subscribed(world)
    subscribed(world, an_order("other"), "op_2")
    assert len(world.subscriptions()) == 2


def test_provision_plan_sold_at_no_price_of_ours_is_refused() -> None:
    with pytest.raises(InvalidError):
        provision(a_shop(), an_order("pro", currency="gbp"))


def test_provision_free_plan_closes_the_checkout_that_was_open() -> None:
    world = a_shop()
    session = start_checkout(world.ports, a_cause(), PAID)
    subscribed(world)
    assert world.billing.checkouts[session.billing_id or ""].status is CheckoutStatus.EXPIRED
    slot = world.store.get(CheckoutSession, ACME, "app")
    assert slot is not None
    assert slot.status is CheckoutStatus.EXPIRED


@pytest.mark.parametrize("lag", [False, True])
def test_provision_free_plan_when_a_checkout_was_paid_unheard_is_refused(lag: bool) -> None:
    world = a_shop()
    billing_id = world.buy()
    if lag:
        world.billing.unlisted.add(billing_id)
        with pytest.raises(BusyError):
            provision(world)
        world.billing.unlisted.clear()
    with pytest.raises(SubscriptionExistsError):
        provision(world)
    assert [held.plan_id for held in world.subscriptions()] == ["pro"]


def test_provision_free_plan_after_a_checkout_that_the_provider_forgot_goes_through() -> None:
    world = a_shop()
    session = start_checkout(world.ports, a_cause(), PAID)
    del world.billing.checkouts[session.billing_id or ""]
    assert subscribed(world).plan_id == "free"


def test_provision_free_plan_after_the_paid_one_ended_goes_through() -> None:
    world = a_shop()
    world.billing.cancel(world.buy())
    world.converge()
    assert subscribed(world).plan_id == "free"


def test_provision_killed_anywhere_and_retried_is_one_subscription() -> None:
    def make() -> World:
        world = a_shop()
        start_checkout(world.ports, a_cause(), PAID)
        return world

    for world in every_crash(make, provision):
        held = subscribed(world)
        assert world.subscriptions() == (held,)
        assert len(world.audited(f"subscription:{held.id}")) == 1
        assert world.check("api").decision.has_access


def test_provision_by_two_operations_at_once_is_one_subscription_in_any_order() -> None:
    for schedule in (*overtakings(10), *schedules(4, 4)):
        world = a_shop()
        race = Interleaving(
            world,
            [
                partial(subscribed, world, FREE, "op_1"),
                partial(subscribed, world, CUSTOM, "op_2"),
            ],
        )
        race.run(schedule)
        (held,) = world.subscriptions()
        assert [type(error) for error in race.errors if error] == [SubscriptionExistsError]
        assert [result for result in race.results if result] == [held], schedule


def test_provision_by_one_operation_twice_at_once_is_one_subscription() -> None:
    for schedule in (*overtakings(10), *schedules(4, 4)):
        world = a_shop()
        race = Interleaving(world, [partial(subscribed, world), partial(subscribed, world)])
        race.run(schedule)
        assert race.errors == [None, None], schedule
        assert race.results == [*world.subscriptions()] * 2


def test_provision_beside_a_convergence_loses_neither() -> None:
    for schedule in (*overtakings(10), *schedules(4, 4)):
        world = a_shop()
        world.sell("gold", a_price("g"), product_id="other", entitlements=[a_value("tb", 5)])
        world.buy("gold")
        race = Interleaving(world, [partial(subscribed, world), world.converge])
        race.run(schedule)
        assert race.errors == [None, None], schedule
        assert len(world.subscriptions()) == 2
        assert world.check("api").decision.has_access
        assert world.check("tb").decision.has_access


def test_provision_that_always_loses_gives_up_with_the_conflict() -> None:
    world = a_shop()

    def lose(_: Any) -> None:
        raise StoreConflictError("Another writer was first.")

    world.store.before_commit = lose
    with pytest.raises(StoreConflictError):
        provision(world)
