"""Whoever is archived is billed no more: refused while paid for, closed where a payment is still possible."""

import pytest

from chalicelib.domain.billing import CheckoutStatus
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.errors import DomainError, InUseError, NotFoundError
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.subscriptions import ENDED
from chalicelib.services.archive_customer import archive_customer
from chalicelib.services.start_checkout import start_checkout
from tests.factories import ACME, a_price, a_value
from tests.fakes.crashes import Interleaving, every_crash, schedules
from tests.fakes.world import World, a_cause, an_order

WHO = CustomerId(ACME)


def a_shop() -> World:
    world = World()
    world.sell("pro", a_price("m"), entitlements=[a_value("sso", True)])
    world.customer()
    return world


def open_at_the_provider(world: World) -> list[str]:
    found = world.billing.checkouts.values()
    return [one.billing_id for one in found if one.status is CheckoutStatus.OPEN]


def test_archive_of_a_customer_without_subscriptions_denies_it() -> None:
    world = a_shop()
    assert archive_customer(world.ports, a_cause(), WHO).status is Lifecycle.ARCHIVED
    assert archive_customer(world.ports, a_cause(), WHO).status is Lifecycle.ARCHIVED
    assert not world.check("sso").decision.has_access


def test_archive_of_nobody_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        archive_customer(World().ports, a_cause(), CustomerId("nobody"))


def test_archive_of_a_billed_customer_is_refused_and_changes_nothing() -> None:
    world = a_shop()
    world.buy()
    world.converge()
    commits = len(world.store.commits)
    with pytest.raises(InUseError) as refused:
        archive_customer(world.ports, a_cause(), WHO)
    assert world.subscriptions()[0].id in refused.value.detail
    assert len(world.store.commits) == commits
    assert world.check("sso").decision.has_access


def test_archive_once_the_subscription_has_ended_is_done() -> None:
    world = a_shop()
    world.billing.cancel(world.buy())
    world.converge()
    assert archive_customer(world.ports, a_cause(), WHO).status is Lifecycle.ARCHIVED


def test_archive_closes_an_open_checkout() -> None:
    world = a_shop()
    start_checkout(world.ports, a_cause(), an_order())
    archive_customer(world.ports, a_cause(), WHO)
    assert open_at_the_provider(world) == []
    [slot] = world.store.all(CheckoutSession)
    assert slot.status is CheckoutStatus.EXPIRED


def test_archive_of_a_customer_who_just_paid_is_refused() -> None:
    world = a_shop()
    session = start_checkout(world.ports, a_cause(), an_order())
    assert session.billing_id is not None
    world.billing.pay(session.billing_id)
    with pytest.raises(InUseError):
        archive_customer(world.ports, a_cause(), WHO)
    assert world.check("sso").decision.has_access


def test_archive_killed_anywhere_is_finished_by_the_next_try() -> None:
    def make() -> World:
        world = a_shop()
        start_checkout(world.ports, a_cause(), an_order())
        return world

    def archive(world: World) -> object:
        return archive_customer(world.ports, a_cause(), WHO)

    for world in every_crash(make, archive):
        archive(world)
        assert open_at_the_provider(world) == []
        assert world.stored_customer().status is Lifecycle.ARCHIVED


def test_archive_racing_a_checkout_leaves_nothing_to_pay_or_no_archived_customer() -> None:
    for schedule in schedules(7, 7):
        world = a_shop()

        def buy(world: World = world) -> object:
            return start_checkout(world.ports, a_cause("buy"), an_order())

        def archive(world: World = world) -> object:
            return archive_customer(world.ports, a_cause("archive"), WHO)

        race = Interleaving(world, [buy, archive])
        race.run(schedule)
        handed_out = race.results[0]
        is_archived = world.stored_customer().status is Lifecycle.ARCHIVED
        if is_archived and handed_out is not None:
            assert handed_out.billing_id not in open_at_the_provider(world), schedule
        if is_archived and handed_out is None:
            assert isinstance(race.errors[0], DomainError), schedule
        live = [one for one in world.subscriptions() if one.status not in ENDED]
        assert not live
