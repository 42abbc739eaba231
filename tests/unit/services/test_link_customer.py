from dataclasses import replace
from functools import partial

import pytest

from chalicelib.domain.billing import BillingLink, SyncStatus
from chalicelib.domain.errors import (
    NotFoundError,
    ProviderRefusedError,
    ProviderUnavailableError,
    StoreConflictError,
)
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.references import Reference, customer_namespace
from chalicelib.services.link_customer import forget_deleted, link_customer, push_details
from chalicelib.services.manage_customers import update_customer
from tests.factories import ACME
from tests.fakes.billing import Call, When
from tests.fakes.crashes import Interleaving, every_crash, every_fault, overtakings, schedules
from tests.fakes.world import World, a_cause, calls_of


def a_world() -> World:
    world = World()
    world.customer(email="a@example.test", name="Acme")
    return world


def linked(world: World) -> str:
    return link_customer(world.ports, world.stored_customer(), world.billing)


def test_link_is_stored_both_ways_and_details_are_told() -> None:
    world = a_world()
    billing_id = linked(world)
    (link,) = world.stored_customer().links
    assert (link.provider, link.billing_id, link.sync_status) == (
        "stripe",
        billing_id,
        SyncStatus.SYNCED,
    )
    assert link.url == f"https://billing.example/customers/{billing_id}"
    reference = world.store.get(Reference, customer_namespace("stripe"), billing_id)
    assert reference is not None
    assert reference.target == (ACME,)
    assert world.billing.customer_metadata[billing_id] == {
        "paygrade_entity_id": "acme",
        "paygrade_entity_type": "customer",
        "paygrade_entity_url": "https://api.example.test/v1/customers/acme",
        "paygrade_environment": "test",
    }
    assert world.billing.customer_details[billing_id] == ("Acme", "a@example.test")


def test_link_of_customer_without_details_needs_no_update() -> None:
    world = World()
    world.customer()
    linked(world)
    assert calls_of(world, ["update_customer"]) == 0
    assert world.stored_customer().links[0].sync_status is SyncStatus.SYNCED


def test_link_again_is_the_same_and_tells_nothing_again() -> None:
    world = a_world()
    first = linked(world)
    updates = calls_of(world, ["update_customer"])
    assert linked(world) == first
    assert calls_of(world, ["ensure_customer"]) == 1
    assert calls_of(world, ["update_customer"]) == updates


def test_link_by_two_at_once_makes_one_provider_customer() -> None:
    for schedule in (*overtakings(12), *schedules(5, 5)):
        world = a_world()
        race = Interleaving(world, [partial(linked, world), partial(linked, world)])
        race.run(schedule)
        made = [result for result in race.results if result is not None]
        assert len(world.billing.customers) == 1
        assert set(made) == {world.stored_customer().billing_id("stripe")}, schedule


def test_link_killed_or_failing_anywhere_ends_in_one_provider_customer() -> None:
    for world in every_crash(a_world, linked):
        assert linked(world) == world.stored_customer().billing_id("stripe")
        assert len(world.billing.customers) == 1
    faults = every_fault(a_world, linked, whens=(When.BEFORE, When.AFTER))
    for world, what in faults:
        with pytest.raises(ProviderUnavailableError):
            linked(world)
        assert linked(world) == world.stored_customer().billing_id("stripe"), what
        assert len(world.billing.customers) == 1


def test_link_to_customer_deleted_at_the_provider_is_made_anew() -> None:
    world = a_world()
    dead = linked(world)
    world.billing.delete_customer(dead)
    alive = linked(world)
    assert alive != dead
    assert world.stored_customer().billing_id("stripe") == alive
    assert world.billing.customer_details[alive] == ("Acme", "a@example.test")
    assert world.monitor.named("billing_customer_gone") == [
        {"customer_id": "acme", "provider": "stripe", "billing_id": dead}
    ]
    # Late events about the old one still find their customer.
    old = world.store.get(Reference, customer_namespace("stripe"), dead)
    assert old is not None
    assert old.target == (ACME,)


def test_link_to_customer_that_the_provider_never_had_is_made_anew() -> None:
    world = a_world()
    dead = linked(world)
    del world.billing.customers[dead]
    world.billing.forget_idempotency_keys()
    assert linked(world) in world.billing.customers


def test_link_stored_by_another_worker_meanwhile_is_the_one_that_counts() -> None:
    world = a_world()
    stale = world.stored_customer()
    first = linked(world)
    world.billing.forget_idempotency_keys()
    assert link_customer(world.ports, stale, world.billing) == first
    assert world.stored_customer().billing_id("stripe") == first


def test_link_of_customer_changed_meanwhile_keeps_the_change() -> None:
    world = a_world()

    def change(call: Call) -> None:
        world.billing.on_call = None
        update_customer(world.ports, a_cause(), ACME, {"name": "Acme Ltd"}, None)

    world.billing.on_call = change
    billing_id = linked(world)
    assert world.stored_customer().billing_id("stripe") == billing_id
    assert world.billing.customer_details[billing_id] == ("Acme Ltd", "a@example.test")


def test_link_of_customer_deleted_meanwhile_is_a_conflict() -> None:
    world = a_world()
    customer = world.stored_customer()
    world.store.records.pop((type(customer), customer.identity))
    with pytest.raises(StoreConflictError):
        link_customer(world.ports, customer, world.billing)


# --- details ----------------------------------------------------------------------------------------------


def test_details_changed_are_told_by_the_next_push_and_only_once() -> None:
    world = a_world()
    billing_id = linked(world)
    update_customer(world.ports, a_cause(), ACME, {"email": "b@example.test"}, None)
    assert world.stored_customer().links[0].sync_status is SyncStatus.PENDING
    before = calls_of(world, ["update_customer"])
    push_details(world.ports, ACME, world.billing)
    push_details(world.ports, ACME, world.billing)
    assert calls_of(world, ["update_customer"]) == before + 1
    assert world.billing.customer_details[billing_id] == ("Acme", "b@example.test")
    assert world.stored_customer().links[0].sync_status is SyncStatus.SYNCED


def test_details_changed_while_they_are_told_stay_pending() -> None:
    world = a_world()
    linked(world)
    update_customer(world.ports, a_cause(), ACME, {"name": "B"}, None)

    def change(call: Call) -> None:
        if call.method == "update_customer":
            world.billing.on_call = None
            update_customer(world.ports, a_cause(), ACME, {"name": "C"}, None)

    world.billing.on_call = change
    push_details(world.ports, ACME, world.billing)
    assert world.stored_customer().links[0].sync_status is SyncStatus.PENDING
    push_details(world.ports, ACME, world.billing)
    assert next(iter(world.billing.customer_details.values()))[0] == "C"


def test_details_refused_by_the_provider_are_told_of_and_stand_in_nobodys_way() -> None:
    world = a_world()
    world.billing.fail("update_customer", ProviderRefusedError("Invalid email address."))
    billing_id = linked(world)
    (link,) = world.stored_customer().links
    assert (link.billing_id, link.sync_status) == (billing_id, SyncStatus.ERROR)
    assert link.error == "Invalid email address."
    assert world.monitor.named("customer_details_refused")
    assert linked(world) == billing_id
    update_customer(world.ports, a_cause(), ACME, {"email": "good@example.test"}, None)
    push_details(world.ports, ACME, world.billing)
    (link,) = world.stored_customer().links
    assert (link.sync_status, link.error) == (SyncStatus.SYNCED, None)


def test_details_of_unknown_customer_are_not_found() -> None:
    world = World()
    with pytest.raises(NotFoundError):
        push_details(world.ports, "ghost", world.billing)


# --- forgetting --------------------------------------------------------------------------------------------


def test_forget_deleted_drops_the_link_and_audits_it_once() -> None:
    world = a_world()
    billing_id = linked(world)
    assert not forget_deleted(world.ports, a_cause(), ACME, world.billing)
    world.billing.delete_customer(billing_id)
    assert forget_deleted(world.ports, a_cause(), ACME, world.billing)
    assert world.stored_customer().links == ()
    entry = world.audited("customer:acme")[-1]
    assert entry.action == "customer.unlinked"
    assert entry.before == {"provider": "stripe", "billing_id": billing_id}
    assert not forget_deleted(world.ports, a_cause(), ACME, world.billing)


def test_forget_deleted_of_customer_changed_meanwhile_is_left_to_the_next_run() -> None:
    world = a_world()
    world.billing.delete_customer(linked(world))

    def change(writes: object) -> None:
        world.store.before_commit = None
        update_customer(world.ports, a_cause(), ACME, {"name": "B"}, None)

    world.store.before_commit = change
    assert forget_deleted(world.ports, a_cause(), ACME, world.billing)
    assert world.stored_customer().links == ()


def test_forget_deleted_of_unknown_customer_is_nothing() -> None:
    world = World()
    assert not forget_deleted(world.ports, a_cause(), CustomerId("ghost"), world.billing)


def test_details_of_a_link_that_is_still_to_be_made_are_not_told() -> None:
    world = a_world()
    link = BillingLink(provider="stripe", billing_id=None, sync_status=SyncStatus.PENDING)
    world.put(replace(world.stored_customer(), links=(link,)))
    push_details(world.ports, ACME, world.billing)
    assert world.billing.calls == []
