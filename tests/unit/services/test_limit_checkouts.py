"""The limit of a customer's checkouts, counted in the database."""

import pytest

from chalicelib.domain.checkout_attempts import CheckoutAttempts
from chalicelib.domain.errors import InvalidError, TooManyCheckoutsError
from chalicelib.domain.ids import CustomerId
from chalicelib.services.limit_checkouts import count_checkout
from chalicelib.services.start_checkout import start_checkout
from tests.factories import ACME, a_price
from tests.fakes.crashes import Interleaving
from tests.fakes.world import World, a_cause, an_order, calls_of


def a_shop() -> World:
    world = World()
    world.sell("pro", a_price("m", 1000))
    world.customer()
    world.customer("other")
    return world


def test_sixth_checkout_of_a_minute_waits_and_reaches_no_provider() -> None:
    world = a_shop()
    for _ in range(5):
        start_checkout(world.ports, a_cause(), an_order())
        world.clock.advance(seconds=5)
    world.billing.calls.clear()
    with pytest.raises(TooManyCheckoutsError) as refused:
        start_checkout(world.ports, a_cause(), an_order())
    assert refused.value.retry_after_seconds == 35
    assert world.billing.calls == []
    start_checkout(world.ports, a_cause(), an_order(customer_id="other"))
    world.clock.advance(seconds=35)
    start_checkout(world.ports, a_cause(), an_order())


def test_order_that_is_invalid_counts_for_nothing() -> None:
    world = a_shop()
    for _ in range(20):
        with pytest.raises(InvalidError):
            start_checkout(world.ports, a_cause(), an_order(currency="jpy"))
    assert world.store.all(CheckoutAttempts) == []


def test_checkouts_that_race_are_counted_one_by_one() -> None:
    world = a_shop()
    refused = []

    def begin() -> None:
        try:
            count_checkout(world.ports, CustomerId(ACME))
        except TooManyCheckoutsError as error:
            refused.append(error)

    race = Interleaving(world, [begin] * 12)
    race.run([number % 12 for number in range(600)])
    assert race.errors == [None] * 12
    assert len(refused) == 7
    assert len(world.store.all(CheckoutAttempts)[0].at) == 5
    assert calls_of(world, ["open_checkout"]) == 0
