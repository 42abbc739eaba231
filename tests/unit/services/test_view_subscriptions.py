import pytest

from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.references import CHECKOUT_SESSION, SUBSCRIPTION, Reference
from chalicelib.services.start_checkout import start_checkout
from chalicelib.services.view_subscriptions import get_checkout_session, get_subscription
from tests.factories import ACME, a_price
from tests.fakes.world import World, a_cause, an_order


def a_shop() -> World:
    world = World()
    world.sell("pro", a_price())
    world.customer()
    return world


def test_subscription_is_found_by_its_own_id() -> None:
    world = a_shop()
    world.buy()
    world.converge()
    (held,) = world.subscriptions()
    assert get_subscription(world.ports, held.id) == held


def test_subscription_unknown_or_without_record_is_not_found() -> None:
    world = a_shop()
    world.put(Reference(namespace=SUBSCRIPTION, key="subs_gone", target=(ACME,)))
    for subscription_id in ("subs_ghost", "subs_gone"):
        with pytest.raises(NotFoundError):
            get_subscription(world.ports, subscription_id)


def test_checkout_session_is_found_until_a_newer_one_takes_its_slot() -> None:
    world = a_shop()
    first = start_checkout(world.ports, a_cause(), an_order())
    assert get_checkout_session(world.ports, first.id) == first
    second = start_checkout(world.ports, a_cause(), an_order(metadata={"other": "terms"}))
    assert second.id != first.id
    assert get_checkout_session(world.ports, second.id) == second
    with pytest.raises(NotFoundError):
        get_checkout_session(world.ports, first.id)


def test_checkout_session_unknown_or_without_slot_is_not_found() -> None:
    world = a_shop()
    world.put(Reference(namespace=CHECKOUT_SESSION, key="chk_gone", target=(ACME, "x")))
    for session_id in ("chk_ghost", "chk_gone"):
        with pytest.raises(NotFoundError):
            get_checkout_session(world.ports, session_id)
