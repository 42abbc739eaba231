"""Subscribing at a provider that asks for no payment: made there once, and found by whoever looks."""

import contextlib
from dataclasses import replace
from functools import partial
from typing import Any, cast

import pytest

from chalicelib.domain.billing import CheckoutStatus
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.errors import (
    BusyError,
    InvalidError,
    ProviderRefusedError,
    ProviderUnavailableError,
    SubscriptionExistsError,
)
from chalicelib.domain.orders import Order
from chalicelib.domain.subscriptions import Subscription
from chalicelib.services.provision_subscription import provision_subscription
from chalicelib.services.run_sync_task import run_sync_task
from chalicelib.services.start_checkout import start_checkout
from tests.factories import ACME, a_price, a_value
from tests.fakes.billing import FakeBillingProvider, FakeDirectProvider, FakeProviders, When
from tests.fakes.crashes import Interleaving, every_crash, every_fault, overtakings, schedules
from tests.fakes.world import World, a_cause, an_order

PRO = an_order(metadata={"order": "42"})


def a_shop() -> World:
    """Its only provider writes down what is sold."""
    world = World()
    world.billing = cast("FakeBillingProvider", FakeDirectProvider(world.clock))
    world.ports = replace(world.ports, providers=FakeProviders([world.billing]))
    world.sell("pro", a_price("m", 1000), entitlements=[a_value("sso", True)])
    world.publish("free")
    world.customer()
    return world


def subscribe(world: World, operation: str = "op_1", order: Order = PRO) -> Subscription:
    made = provision_subscription(world.ports, a_cause(operation), order).subscription
    assert made is not None
    return made


def test_subscription_is_made_at_the_provider_and_taken_over_from_there() -> None:
    world = a_shop()
    held = subscribe(world)
    (truth,) = world.billing.subscriptions.values()
    assert (held.billing_id, held.provider) == (truth.billing_id, "offline")
    assert truth.metadata["paygrade_entity_id"] == held.id
    assert (held.plan_version, held.metadata) == (1, {"order": "42"})
    assert world.check("sso").decision.has_access
    slot = world.store.get(CheckoutSession, ACME, "app")
    assert slot is not None
    assert slot.status is CheckoutStatus.COMPLETE
    assert world.converge().drifts == ()


def test_subscription_asked_for_again_is_the_same_or_refused() -> None:
    world = a_shop()
    held = subscribe(world)
    assert subscribe(world) == held
    with pytest.raises(SubscriptionExistsError):
        subscribe(world, "op_2")
    assert len(world.billing.subscriptions) == 1


def test_subscription_killed_anywhere_and_retried_is_one() -> None:
    for world in every_crash(a_shop, subscribe):
        held = subscribe(world)
        assert world.subscriptions() == (held,)
        assert len(world.billing.subscriptions) == 1


def test_subscription_killed_anywhere_and_asked_for_by_another_is_one() -> None:
    for world in every_crash(a_shop, subscribe):
        try:
            subscribe(world, "op_2")
        except (BusyError, SubscriptionExistsError):
            # The dead request's claim binds as long as it could be alive.
            world.clock.advance(seconds=91)
            with contextlib.suppress(SubscriptionExistsError):
                subscribe(world, "op_2")
        world.converge()
        assert len(world.subscriptions()) == len(world.billing.subscriptions) == 1


def test_subscription_failing_at_any_call_and_retried_is_one() -> None:
    for world, what in every_fault(a_shop, subscribe, whens=(When.BEFORE, When.AFTER)):
        with pytest.raises(ProviderUnavailableError):
            subscribe(world)
        held = subscribe(world)
        assert world.subscriptions() == (held,), what
        assert len(world.billing.subscriptions) == 1, what


def test_subscription_by_two_at_once_is_one_in_any_order() -> None:
    for schedule in (*overtakings(14), *schedules(5, 5)):
        world = a_shop()
        race = Interleaving(
            world, [partial(subscribe, world, "op_1"), partial(subscribe, world, "op_2")]
        )
        race.run(schedule)
        (held,) = world.subscriptions()
        assert len(world.billing.subscriptions) == 1, schedule
        assert [result for result in race.results if result] == [held], schedule
        (error,) = (error for error in race.errors if error)
        assert isinstance(error, BusyError | SubscriptionExistsError), schedule


def test_subscription_beside_a_free_one_is_one_in_any_order() -> None:
    free = an_order("free")
    for schedule in (*overtakings(14), *schedules(4, 4)):
        world = a_shop()
        race = Interleaving(
            world, [partial(subscribe, world), partial(subscribe, world, "op_2", free)]
        )
        race.run(schedule)
        assert len(world.subscriptions()) == 1, schedule
        for error in race.errors:
            assert error is None or isinstance(error, BusyError | SubscriptionExistsError)


def test_subscription_refused_by_the_provider_leaves_the_slot_free() -> None:
    world = a_shop()
    world.billing.fail("create_subscription", ProviderRefusedError("No."))
    with pytest.raises(ProviderRefusedError):
        subscribe(world)
    assert subscribe(world, "op_2").plan_id == "pro"


def test_subscription_that_no_list_shows_yet_is_waited_for() -> None:
    world = a_shop()

    def hide(call: Any) -> None:
        if call.method == "list_subscriptions":
            world.billing.unlisted.update(world.billing.subscriptions)

    world.billing.on_call = hide
    with pytest.raises(ProviderUnavailableError):
        subscribe(world)
    world.billing.on_call = None
    world.billing.unlisted.clear()
    subscribe(world)
    assert len(world.billing.subscriptions) == 1


# --- which provider ---------------------------------------------------------------------------------------


def two_providers(*, direct_first: bool = False) -> tuple[World, FakeDirectProvider]:
    world = World()
    direct = FakeDirectProvider(world.clock)
    both = [direct, world.billing] if direct_first else [world.billing, direct]
    world.ports = replace(world.ports, providers=FakeProviders(both))
    world.publish("pro", a_price("m", 1000), entitlements=[a_value("sso", True)])
    run_sync_task(world.ports, "sync_pro_1")
    world.customer()
    return world, direct


@pytest.mark.parametrize("direct_first", [True, False])
def test_provider_not_chosen_is_the_one_that_takes_a_payment(direct_first: bool) -> None:
    world, direct = two_providers(direct_first=direct_first)
    assert provision_subscription(world.ports, a_cause(), PRO).checkout is not None
    assert direct.subscriptions == {}


def test_provider_chosen_is_used() -> None:
    world, direct = two_providers()
    held = subscribe(world, order=replace(PRO, billing_provider="offline"))
    assert held.provider == "offline"
    assert len(direct.subscriptions) == 1


@pytest.mark.parametrize("wished", ["ghost", ""])
def test_provider_unknown_is_refused(wished: str) -> None:
    world, _ = two_providers()
    with pytest.raises(InvalidError) as caught:
        subscribe(world, order=replace(PRO, billing_provider=wished))
    assert caught.value.violations[0].code == "unknown_provider"


def test_provider_without_a_checkout_cannot_open_one() -> None:
    world, _ = two_providers()
    with pytest.raises(InvalidError) as caught:
        start_checkout(world.ports, a_cause(), replace(PRO, billing_provider="offline"))
    assert caught.value.violations[0].code == "no_checkout"


def test_subscription_at_one_provider_closes_the_checkout_at_the_other() -> None:
    world, _ = two_providers()
    session = start_checkout(world.ports, a_cause(), PRO)
    subscribe(world, order=replace(PRO, billing_provider="offline"))
    closed = world.billing.checkouts[session.billing_id or ""]
    assert closed.status is CheckoutStatus.EXPIRED
    assert len(world.subscriptions()) == 1


def test_checkout_while_another_request_subscribes_directly_is_told_to_wait() -> None:
    world, direct = two_providers()
    seen: list[type[BaseException]] = []

    def interrupt(call: Any) -> None:
        if call.method == "create_subscription":
            direct.on_call = None
            with pytest.raises(BusyError) as caught:
                start_checkout(world.ports, a_cause("op_2"), PRO)
            seen.append(caught.type)

    direct.on_call = interrupt
    subscribe(world, order=replace(PRO, billing_provider="offline"))
    assert seen == [BusyError]
    assert world.billing.checkouts == {}


def test_checkout_after_a_direct_request_died_goes_through() -> None:
    world, direct = two_providers()
    direct.fail("create_subscription", ProviderUnavailableError("away"))
    with pytest.raises(ProviderUnavailableError):
        subscribe(world, order=replace(PRO, billing_provider="offline"))
    world.clock.advance(seconds=91)
    assert start_checkout(world.ports, a_cause("op_2"), PRO).url
