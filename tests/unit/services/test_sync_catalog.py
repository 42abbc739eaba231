"""Carrying the catalog to the provider: what it holds in the end, whatever happened on the way."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from chalicelib.domain.billing import SyncStatus
from chalicelib.domain.errors import (
    BusyError,
    DomainError,
    NotFoundError,
    ProviderRefusedError,
    ProviderUnavailableError,
    StoreUnavailableError,
)
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.plans import PackageKind, PricingType
from chalicelib.domain.prices import BillingPeriod
from chalicelib.domain.references import Reference, price_namespace
from chalicelib.domain.sync import CatalogLink, SyncTask, SyncTaskStatus
from chalicelib.services.queue_sync import retry_task
from chalicelib.services.run_sync_task import run_sync_task
from chalicelib.services.sync_catalog import LEASE
from tests.factories import a_package, a_price, a_seat_price, a_version
from tests.fakes.billing import FakeBillingProvider, FakeProviders, When
from tests.fakes.crashes import (
    Interleaving,
    every_crash,
    every_fault,
    overtakings,
    schedules,
)
from tests.fakes.world import World, a_cause, calls_of

KEY = "pg_test_plan_pro"
MONTHLY = a_price("m", 1000)
YEARLY = a_price("y", 10000, billing_period=BillingPeriod.YEAR)
SEATS = a_seat_price("s", 500)


def run(world: World, number: int = 1) -> SyncTask:
    return run_sync_task(world.ports, f"sync_pro_{number}")


def published(*prices: Any) -> World:
    world = World()
    world.publish("pro", *prices)
    return world


def held(world: World) -> dict[str, tuple[str | None, int | None, bool]]:
    """Every price at the provider, by its id: its slot, its amount and whether it is sold."""
    return {
        billing_id: (stored.observed.lookup_key, stored.price.amount, stored.observed.active)
        for billing_id, stored in world.billing._prices.items()
    }


def sold(world: World) -> dict[str, int | None]:
    """What can be bought at the provider: the amount by our price id."""
    return {
        str(key).rpartition(":")[2]: amount
        for key, amount, active in held(world).values()
        if active
    }


# --- what it holds in the end -----------------------------------------------------------------------------


def test_sync_new_plan_creates_its_product_and_prices_and_links_them() -> None:
    world = published(MONTHLY, YEARLY, SEATS)
    task = run(world)
    assert (task.status, task.attempts, task.error) == (SyncTaskStatus.SUCCEEDED, 1, None)
    assert sold(world) == {"m": 1000, "y": 10000, "s": 500}
    link = world.link()
    assert (link.sync_status, link.billing_id, link.synced_version) == (SyncStatus.SYNCED, KEY, 1)
    assert (link.lease_until, link.lease_owner, link.error) == (None, None, None)
    assert link.url == f"https://billing.example/products/{KEY}"
    default = world.billing.products[KEY].default_price
    assert default == world.price_id("pro", "m")
    for price in link.prices:
        reference = world.store.get(Reference, price_namespace("stripe"), price.billing_id)
        assert reference is not None
        assert reference.target == ("plan", "pro", price.price_id, price.fingerprint)


def test_sync_again_writes_nothing_to_the_provider() -> None:
    world = published(MONTHLY)
    run(world)
    before = calls_of(world, ["apply"])
    retried = world.archive("pro", Lifecycle.ACTIVE)
    assert run_sync_task(world.ports, retried.id).status is SyncTaskStatus.SUCCEEDED
    assert calls_of(world, ["apply"]) == before


def test_sync_task_done_already_asks_the_provider_nothing() -> None:
    world = published(MONTHLY)
    done = run(world)
    before = len(world.billing.calls)
    assert run(world) == done
    assert len(world.billing.calls) == before


def test_sync_changed_money_sells_the_new_price_and_archives_the_old() -> None:
    world = published(MONTHLY, YEARLY)
    run(world)
    old = world.price_id("pro", "m")
    world.publish("pro", replace(MONTHLY, amount=1200), YEARLY)
    run(world, 2)
    assert sold(world) == {"m": 1200, "y": 10000}
    assert held(world)[old] == (None, 1000, False)
    link = world.link()
    assert link.synced_version == 2
    known = {price.billing_id: price.active for price in link.prices}
    assert known[old] is False
    assert world.store.get(Reference, price_namespace("stripe"), old) is not None


def test_sync_back_to_older_money_uses_the_old_price_again() -> None:
    world = published(MONTHLY)
    run(world)
    old = world.price_id("pro", "m")
    for number, amount in ((2, 1200), (3, 1000), (4, 1200), (5, 1000)):
        world.publish("pro", replace(MONTHLY, amount=amount))
        run(world, number)
    assert len(held(world)) == 2
    assert world.price_id("pro", "m") == old
    assert sold(world) == {"m": 1000}


def test_sync_removed_price_is_archived_and_comes_back_when_sold_again() -> None:
    world = published(MONTHLY, YEARLY)
    run(world)
    world.publish("pro", YEARLY)
    run(world, 2)
    assert sold(world) == {"y": 10000}
    assert world.billing.products[KEY].default_price == world.price_id("pro", "y")
    world.publish("pro", MONTHLY, YEARLY)
    run(world, 3)
    assert (len(held(world)), sold(world)) == (2, {"m": 1000, "y": 10000})


def test_sync_archived_plan_is_not_sold_and_unarchived_is_again_with_the_same_prices() -> None:
    world = published(MONTHLY, YEARLY)
    run(world)
    run_sync_task(world.ports, world.archive().id)
    assert sold(world) == {}
    product = world.billing.products[KEY]
    assert (product.active, product.default_price) == (False, None)
    assert world.link().sync_status is SyncStatus.NOT_REQUIRED
    assert not any(price.active for price in world.link().prices)
    run_sync_task(world.ports, world.archive("pro", Lifecycle.ACTIVE).id)
    assert sold(world) == {"m": 1000, "y": 10000}
    assert len(held(world)) == 2


def test_sync_plan_that_became_free_is_not_sold() -> None:
    world = published(MONTHLY)
    run(world)
    world.publish("pro", pricing_type=PricingType.FREE)
    run(world, 2)
    assert (sold(world), world.link().sync_status) == ({}, SyncStatus.NOT_REQUIRED)


def test_sync_free_plan_never_reaches_the_provider() -> None:
    world = World()
    world.publish("pro")
    assert run(world).status is SyncTaskStatus.SUCCEEDED
    assert world.billing.calls == []
    assert world.store.get(CatalogLink, "plan", "pro", "stripe") is None


def test_sync_unpublished_plan_does_nothing() -> None:
    world = World()
    world.put(a_package("pro", published_version=None), a_task(world))
    assert run(world).status is SyncTaskStatus.SUCCEEDED
    assert world.billing.calls == []


def a_task(world: World, package_id: str = "pro") -> SyncTask:
    return SyncTask(
        id="sync_pro_1",
        kind=PackageKind.PLAN,
        package_id=a_package(package_id).id,
        status=SyncTaskStatus.PENDING,
        reason="published",
        created_at=world.clock.now(),
        updated_at=world.clock.now(),
    )


def test_sync_price_damaged_in_the_dashboard_is_replaced_and_can_be_bought() -> None:
    world = published(MONTHLY)
    run(world)
    damaged = world.price_id("pro", "m")
    world.billing.edit_price(damaged, lookup_key="theirs", metadata={})
    run_sync_task(world.ports, world.archive("pro", Lifecycle.ACTIVE).id)
    assert held(world)[damaged][2] is False
    link = world.link()
    (fingerprint,) = {price.fingerprint for price in link.prices}
    usable = link.price("m", fingerprint)
    assert usable is not None
    assert (usable.active, usable.billing_id == damaged) == (True, False)


# --- what goes wrong ------------------------------------------------------------------------------------------


def test_sync_unknown_task_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        run(World())


def test_sync_task_of_a_plan_that_does_not_exist_has_failed() -> None:
    world = World()
    world.put(a_task(world, "ghost"))
    assert run(world).status is SyncTaskStatus.FAILED


def test_sync_refused_for_good_has_failed_and_says_why() -> None:
    world = published(MONTHLY)
    world.billing.fail("apply", ProviderRefusedError("Amount too small."))
    task = run(world)
    assert (task.status, task.error) == (SyncTaskStatus.FAILED, "Amount too small.")
    link = world.link()
    assert (link.sync_status, link.error) == (SyncStatus.ERROR, "Amount too small.")
    assert link.lease_owner is None
    assert world.monitor.named("sync_failed")
    assert retry_task(world.ports, a_cause(), task.id).status is SyncTaskStatus.PENDING
    assert run(world).status is SyncTaskStatus.SUCCEEDED
    assert world.link().error is None


def test_sync_refused_by_one_provider_still_reaches_the_others() -> None:
    world = published(MONTHLY)
    other = FakeBillingProvider(world.clock, name="other")
    world.ports = replace(world.ports, providers=FakeProviders([world.billing, other]))
    world.billing.fail("observe_product", ProviderRefusedError("No such permission."))
    assert run(world).status is SyncTaskStatus.FAILED
    assert other.products


def test_sync_while_the_provider_is_away_stays_pending_and_frees_its_lease() -> None:
    world = published(MONTHLY)
    world.billing.fail("observe_product", ProviderUnavailableError("away"))
    with pytest.raises(ProviderUnavailableError):
        run(world)
    (task,) = world.store.all(SyncTask)
    assert (task.status, task.attempts, task.error) == (SyncTaskStatus.PENDING, 1, "away")
    assert world.link().lease_owner is None
    assert run(world).status is SyncTaskStatus.SUCCEEDED


FIRST = "a new plan"
SECOND = "a changed plan"
THIRD = "an archived plan"


def at_second() -> World:
    world = published(MONTHLY, SEATS)
    run(world)
    world.publish("pro", replace(MONTHLY, amount=1200), YEARLY, SEATS)
    return world


def at_third() -> World:
    world = at_second()
    run(world, 2)
    world.archive()
    return world


STORIES: dict[str, Any] = {
    FIRST: partial(published, MONTHLY, YEARLY, SEATS),
    SECOND: at_second,
    THIRD: at_third,
}


def pending(world: World) -> None:
    for task in world.store.all(SyncTask):
        if task.status is SyncTaskStatus.PENDING:
            run_sync_task(world.ports, task.id)


def outcome(world: World) -> tuple[Any, ...]:
    """All that matters in the end; ids at the provider differ where fewer or more calls were needed."""
    link = world.link()
    return (
        sold(world),
        sorted(map(repr, held(world).values())),
        {price.billing_id for price in link.prices} <= set(held(world)),
        sorted((price.price_id, price.fingerprint, price.active) for price in link.prices),
        (link.sync_status, link.synced_version, link.lease_owner, link.error),
        {task.status for task in world.store.all(SyncTask)},
    )


@pytest.mark.parametrize("story", STORIES)
def test_sync_killed_anywhere_and_run_again_ends_as_if_nothing_had_happened(story: str) -> None:
    make = STORIES[story]
    expected = make()
    pending(expected)
    for world in every_crash(make, pending):
        world.clock.advance(seconds=LEASE.total_seconds() + 1)
        pending(world)
        assert outcome(world) == outcome(expected)


@pytest.mark.parametrize("story", STORIES)
def test_sync_failing_at_any_call_and_run_again_ends_as_if_nothing_had_happened(
    story: str,
) -> None:
    make = STORIES[story]
    expected = make()
    pending(expected)
    for world, what in every_fault(make, pending):
        with pytest.raises(ProviderUnavailableError):
            pending(world)
        pending(world)
        assert outcome(world) == outcome(expected), what


@pytest.mark.parametrize("story", STORIES)
def test_sync_whose_commit_was_done_but_not_answered_ends_as_if_nothing_had_happened(
    story: str,
) -> None:
    make = STORIES[story]
    expected = make()
    before = len(expected.store.commits)
    pending(expected)
    for number in range(len(expected.store.commits) - before):
        world = make()
        left = number

        def lose_answer(_: object, world: World = world) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                world.store.after_commit = None
                raise StoreUnavailableError("No answer.")

        world.store.after_commit = lose_answer
        with pytest.raises(StoreUnavailableError):
            pending(world)
        world.clock.advance(seconds=LEASE.total_seconds() + 1)
        pending(world)
        assert outcome(world) == outcome(expected), number


def test_sync_after_a_day_of_a_lost_answer_finds_what_it_had_created() -> None:
    world = published(MONTHLY)
    world.billing.fail(
        "apply",
        ProviderUnavailableError("No answer."),
        when=When.AFTER,
        where=lambda call: type(call.arguments[0]).__name__ == "CreatePrice",
    )
    with pytest.raises(ProviderUnavailableError):
        run(world)
    world.clock.advance(days=2)
    world.billing.forget_idempotency_keys()
    run(world)
    assert len(held(world)) == 1


def test_sync_stored_failures_of_the_provider_are_passed_by_a_new_key_each_time() -> None:
    world = published(MONTHLY)
    for _ in range(5):
        # Nothing is created, and the failure is what the key answers from now on.
        world.billing.fail(
            "apply",
            ProviderUnavailableError("Server error.", definite=True),
            where=lambda call: type(call.arguments[0]).__name__ == "CreatePrice",
        )
        with pytest.raises(ProviderUnavailableError):
            run(world)
    run(world)
    keys = [
        call.idempotency_key
        for call in world.billing.calls
        if call.method == "apply" and type(call.arguments[0]).__name__ == "CreatePrice"
    ]
    assert len(set(keys)) == len(keys) == 6


def test_sync_generation_of_a_key_outlives_many_others() -> None:
    world = published(MONTHLY)
    run(world)
    link = world.link()
    own = dict(link.generations)
    crowd = {f"other_{number}": 1 for number in range(199)}
    world.put(replace(link, generations={**own, **crowd}, revision=link.revision + 1))
    # Deleted at the provider: the same creation again must not be answered with the dead price.
    dead = world.price_id("pro", "m")
    del world.billing._prices[dead]
    world.billing.products.clear()
    for _ in range(2):
        run_sync_task(world.ports, world.archive("pro", Lifecycle.ACTIVE).id)
    generations = world.link().generations
    assert {digest: generations.get(digest) for digest in own} == {
        digest: number + 1 for digest, number in own.items()
    }
    assert len(generations) == 200


# --- leases -----------------------------------------------------------------------------------------------------


def test_sync_while_another_worker_holds_the_lease_is_busy_until_it_lapses() -> None:
    world = published(MONTHLY)
    now = world.clock.now()
    world.put(
        CatalogLink(
            provider="stripe",
            kind=PackageKind.PLAN,
            package_id=a_package().id,
            sync_status=SyncStatus.PENDING,
            lease_until=now + LEASE,
            lease_owner="lease_dead",
        )
    )
    with pytest.raises(BusyError):
        run(world)
    assert world.billing.calls == []
    world.clock.advance(seconds=LEASE.total_seconds())
    assert run(world).status is SyncTaskStatus.SUCCEEDED


def test_sync_whose_lease_was_taken_over_leaves_the_new_owner_alone() -> None:
    world = published(MONTHLY)

    def take_over(_: object) -> None:
        world.billing.on_call = None
        link = world.link()
        world.put(replace(link, lease_owner="lease_other", revision=link.revision + 1))

    world.billing.on_call = take_over
    with pytest.raises(DomainError):
        run(world)
    assert world.link().lease_owner == "lease_other"


def test_sync_by_two_at_once_creates_everything_once_in_any_order() -> None:
    for schedule in (*overtakings(15), *schedules(4, 4)):
        world = published(MONTHLY)
        race = Interleaving(world, [partial(run, world), partial(run, world)])
        race.run(schedule)
        assert all(error is None or isinstance(error, BusyError) for error in race.errors)
        pending(world)
        assert (sold(world), len(held(world))) == ({"m": 1000}, 1), schedule


def test_sync_overtaken_by_a_newer_version_never_brings_the_old_one_back() -> None:
    for schedule in (*overtakings(15), *schedules(4, 4)):
        world = published(MONTHLY)

        def publish_and_sync(world: World = world) -> None:
            world.publish("pro", replace(MONTHLY, amount=1200))
            run(world, 2)

        race = Interleaving(world, [partial(run, world), publish_and_sync])
        race.run(schedule)
        assert all(error is None or isinstance(error, BusyError) for error in race.errors)
        pending(world)
        assert sold(world) == {"m": 1200}, schedule
        assert world.link().synced_version == 2


def test_sync_task_finished_by_two_at_once_keeps_the_first_word() -> None:
    world = published(MONTHLY)

    def redelivery(writes: Any) -> None:
        if isinstance(writes[0].record, SyncTask):
            world.store.before_commit = None
            run(world)

    world.store.before_commit = redelivery
    assert run(world).attempts == 1


def test_sync_version_that_is_not_stored_has_failed() -> None:
    world = World()
    world.put(a_package("pro", published_version=3), a_task(world), a_version("pro", 1))
    assert run(world).status is SyncTaskStatus.FAILED
