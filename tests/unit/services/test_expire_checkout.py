"""Giving up a checkout: whatever dies or races, it is either paid and subscribed, or it can't be paid any more."""

from functools import partial

import pytest

from chalicelib.domain.billing import CheckoutMode, CheckoutStatus
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.errors import NotFoundError, ProviderUnavailableError
from chalicelib.domain.orders import Order
from chalicelib.services.expire_checkout import expire_checkout
from chalicelib.services.start_checkout import start_checkout
from tests.factories import ACME, a_price
from tests.fakes.billing import When
from tests.fakes.crashes import Interleaving, every_crash, every_fault, overtakings
from tests.fakes.world import World, a_cause, an_order

EMBEDDED = an_order(ui_mode=CheckoutMode.EMBEDDED)
HOSTED = an_order()


def a_shop() -> World:
    world = World()
    world.sell("pro", a_price("m", 1000))
    world.customer()
    return world


def opened() -> World:
    world = a_shop()
    start_checkout(world.ports, a_cause(), EMBEDDED)
    return world


def slot_of(world: World) -> CheckoutSession:
    found = world.store.get(CheckoutSession, ACME, "app")
    assert found is not None
    return found


def expire(world: World) -> CheckoutSession:
    return expire_checkout(world.ports, a_cause(), slot_of(world).id)


def payable(world: World) -> list[str]:
    open_ones = (
        one for one in world.billing.checkouts.values() if one.status is CheckoutStatus.OPEN
    )
    return [one.billing_id for one in open_ones]


def assert_given_up(world: World, what: object = None) -> None:
    assert slot_of(world).status is CheckoutStatus.EXPIRED, what
    assert payable(world) == [], what
    assert world.subscriptions() == (), what
    again = start_checkout(world.ports, a_cause(), HOSTED)
    assert payable(world) == [again.billing_id], what


def test_expiry_killed_anywhere_is_finished_by_the_next() -> None:
    for world in every_crash(opened, expire):
        assert expire(world).status is CheckoutStatus.EXPIRED
        assert_given_up(world)


def test_expiry_failing_at_any_call_is_finished_by_the_next() -> None:
    for world, what in every_fault(opened, expire, whens=(When.BEFORE, When.AFTER)):
        with pytest.raises(ProviderUnavailableError):
            expire(world)
        expire(world)
        assert_given_up(world, what)


def test_expiry_beside_a_payment_ends_in_one_of_both() -> None:
    for schedule in overtakings(12):
        world = opened()
        session = slot_of(world)

        def pay(world: World = world, session: CheckoutSession = session) -> None:
            if payable(world):
                world.billing.pay(session.billing_id or "")
            world.converge()

        race = Interleaving(world, [partial(expire, world), pay])
        race.run(schedule)
        assert race.errors[0] is None, (schedule, race.errors)
        held = world.subscriptions()
        if held:
            assert [one.id for one in held] == [session.subscription_id], schedule
        else:
            assert slot_of(world).status is CheckoutStatus.EXPIRED, schedule
        assert payable(world) == [], schedule


def test_expiry_beside_another_order_leaves_at_most_one_to_pay() -> None:
    for schedule in overtakings(16):
        world = opened()
        session = slot_of(world)

        def give_up(world: World = world, session: CheckoutSession = session) -> None:
            try:
                expire_checkout(world.ports, a_cause(), session.id)
            except NotFoundError:
                return  # replaced by the order meanwhile, and so given up

        order = partial(start_checkout, world.ports, a_cause("op_2"), HOSTED)
        race = Interleaving(world, [give_up, order])
        race.run(schedule)
        assert race.errors == [None, None], (schedule, race.errors)
        assert payable(world) == [race.results[1].billing_id], schedule


@pytest.mark.parametrize("order", [EMBEDDED, HOSTED])
def test_embedded_checkout_killed_anywhere_and_asked_for_again_is_one(order: Order) -> None:
    for world in every_crash(
        a_shop, lambda world: start_checkout(world.ports, a_cause(), EMBEDDED)
    ):
        session = start_checkout(world.ports, a_cause(), order)
        assert session.billing_id in payable(world)
        assert (session.client_secret is None) is (order is HOSTED)
        world.billing.pay(session.billing_id or "")
        world.converge()
        assert [one.id for one in world.subscriptions()] == [session.subscription_id]
