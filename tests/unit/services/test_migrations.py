"""Moving subscribers to a new version: everybody, each once, whatever goes wrong in between."""

from collections import Counter
from dataclasses import replace
from typing import cast

import pytest

from chalicelib.domain.errors import (
    NotFoundError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from chalicelib.domain.ids import PackageId
from chalicelib.domain.migrations import MigrationStatus, Outcome
from chalicelib.domain.orders import AddonOrder
from chalicelib.domain.plans import PackageKind, PricingType
from chalicelib.domain.prices import BillingPeriod
from chalicelib.domain.subscribers import Subscriber
from chalicelib.domain.subscriptions import SubscribedAddon
from chalicelib.ports import Providers, QueueName
from chalicelib.services.edit_package import create_package, edit_package
from chalicelib.services.migrate_subscribers import (
    cancel_migration,
    continue_migration,
    get_migration,
)
from chalicelib.services.publish_package import publish_package
from chalicelib.services.queue_migrations import resume_migrations
from tests.factories import APP, a_content, a_limit, a_price, a_value
from tests.fakes.billing import Call, FakeBillingProvider, FakeProviders, When
from tests.fakes.crashes import Interleaving, every_crash, every_fault
from tests.fakes.migrating import EVERYBODY, FREE, PLAN, WITH_THE_PERIOD, Countdown, Shop
from tests.fakes.world import a_cause

NAMES = ("ann", "bob", "eve")
STORAGE = PackageId("storage")


def a_billed_shop(*names: str) -> Shop:
    shop = Shop()
    shop.subscribe_pro(*names)
    shop.draft(prices=(a_price("monthly", 1200),))
    return shop


def a_free_shop(*names: str) -> Shop:
    shop = Shop()
    shop.subscribe_free(*names)
    shop.draft(FREE)
    return shop


def charged(shop: Shop) -> set[str]:
    """The provider's prices that subscriptions are charged by."""
    return {
        item.price_billing_id for held in shop.billing.subscriptions.values() for item in held.items
    }


# --- Publishing ---------------------------------------------------------------------------------


def test_publication_for_new_customers_moves_nobody() -> None:
    shop = a_billed_shop(*NAMES)
    publish_package(shop.ports, a_cause("p"), PLAN, PackageId("pro"))
    assert not shop.migrations()
    assert set(shop.versions().values()) == {1}


def test_first_publication_for_everybody_has_nobody_to_move() -> None:
    shop = Shop()
    new = PackageId("new")
    create_package(shop.ports, a_cause(), PLAN, new, APP, a_content())
    publish_package(shop.ports, a_cause("p"), PLAN, new, EVERYBODY)
    assert not shop.migrations()


def test_publication_costs_the_same_for_any_number_of_subscribers() -> None:
    costs = []
    for number in (0, 2000):
        shop = a_free_shop(*(f"c{one}" for one in range(number)))
        calls: Counter[str] = Counter()
        shop.store.on_get = lambda kind, identity, calls=calls: calls.update(["get"])
        commits = len(shop.store.commits)
        lists = shop.store.list_within

        def counting(
            *args: object, calls: Counter[str] = calls, lists: object = lists, **more: object
        ) -> object:
            calls.update(["list"])
            return lists(*args, **more)  # type: ignore[operator]

        shop.store.list_within = counting  # type: ignore[method-assign,assignment]
        publish_package(shop.ports, a_cause("p"), PLAN, FREE, EVERYBODY)
        costs.append((calls["get"], calls["list"], len(shop.store.commits) - commits))
        assert len(shop.store.commits[-1]) <= 5
    assert costs[0] == costs[1]
    assert costs[0][2] == 1


def test_many_subscribers_are_moved_in_bounded_slices() -> None:
    shop = a_free_shop(*(f"c{one}" for one in range(300)))
    shop.roll_out(FREE)
    shop.work(seconds=60, costs=0.2)
    [run] = shop.migrations()
    assert run.status is MigrationStatus.SUCCEEDED
    assert run.counts[Outcome.MOVED] == 300
    assert set(shop.versions("free").values()) == {2}
    assert {one.version for one in shop.store.all(Subscriber)} == {2}


def test_migration_that_the_queue_did_not_take_is_found_by_the_sweep() -> None:
    shop = a_free_shop(*NAMES)
    shop.queue.down = True
    publish_package(shop.ports, a_cause("p"), PLAN, FREE, EVERYBODY)
    shop.queue.down = False
    assert resume_migrations(shop.ports) == 0
    shop.recover()
    assert set(shop.versions("free").values()) == {2}


def test_publication_repeated_under_its_operation_starts_one_migration() -> None:
    shop = a_free_shop(*NAMES)
    for _ in range(2):
        publish_package(shop.ports, a_cause("same"), PLAN, FREE, EVERYBODY)
    assert len(shop.migrations()) == 1


# --- Who is moved, and how ---------------------------------------------------------------------------


def test_subscriber_without_a_provider_is_moved_with_its_entitlements() -> None:
    shop = a_free_shop("ann")
    assert shop.check("calls", customer_id="ann").decision.usage_limit == 100
    shop.roll_out(FREE)
    shop.work()
    assert shop.check("calls", customer_id="ann").decision.usage_limit == 50
    [held] = shop.subscriptions("ann")
    assert [entry.action for entry in shop.audited(f"subscription:{held.id}")] == [
        "subscription.provisioned",
        "subscription.migrated",
    ]


def test_billed_subscriber_is_moved_to_the_new_price_at_once() -> None:
    shop = a_billed_shop(*NAMES)
    shop.roll_out()
    shop.work()
    assert shop.versions() == dict.fromkeys(NAMES, 2)
    assert charged(shop) == {shop.price_id("pro", "monthly")}
    [run] = shop.migrations()
    assert (run.status, run.counts[Outcome.MOVED]) == (MigrationStatus.SUCCEEDED, 3)


def test_billed_subscriber_whose_price_stays_is_moved_all_the_same() -> None:
    shop = Shop()
    shop.subscribe_pro(*NAMES)
    shop.draft()
    shop.roll_out()
    shop.work()
    assert shop.versions() == dict.fromkeys(NAMES, 2)
    shop.converge_all(*NAMES)
    assert shop.versions() == dict.fromkeys(NAMES, 2)


def test_move_with_the_period_changes_nothing_before_it_ends() -> None:
    shop = a_billed_shop("ann")
    old = charged(shop)
    shop.roll_out(rollout=WITH_THE_PERIOD)
    shop.work()
    [run] = shop.migrations()
    assert run.counts[Outcome.SCHEDULED] == 1
    assert (charged(shop), shop.versions()) == (old, {"ann": 1})
    [billing_id] = shop.billing.subscriptions
    shop.moving.renew(billing_id)
    shop.converge_all("ann")
    assert shop.versions() == {"ann": 2}
    assert charged(shop) == {shop.price_id("pro", "monthly")}


def test_subscription_that_ends_with_its_period_is_not_moved_after_it() -> None:
    shop = a_billed_shop("ann")
    [held] = shop.billing.subscriptions.values()
    shop.billing.cancel(held.billing_id, at=held.current_period_end)
    shop.roll_out(rollout=WITH_THE_PERIOD)
    shop.work()
    assert shop.migrations()[0].counts[Outcome.SKIPPED] == 1
    assert not shop.moving.changes


def test_subscription_that_ended_unnoticed_is_skipped() -> None:
    shop = a_billed_shop("ann")
    [billing_id] = shop.billing.subscriptions
    shop.billing.cancel(billing_id)
    shop.roll_out()
    shop.work()
    assert shop.migrations()[0].counts[Outcome.SKIPPED] == 1
    assert shop.versions() == {}


def test_free_plan_that_becomes_paid_keeps_its_subscribers_where_they_are() -> None:
    shop = Shop()
    shop.subscribe_free("ann")
    shop.draft(FREE, pricing_type=PricingType.PAID, prices=(a_price("monthly", 5),))
    shop.roll_out(FREE)
    shop.work()
    [run] = shop.migrations()
    assert run.status is MigrationStatus.FAILED
    assert [one.code for one in run.failures] == ["payment_required"]
    assert shop.versions("free") == {"ann": 1}


def test_version_without_the_subscribers_price_is_a_failure_of_each() -> None:
    shop = Shop()
    shop.subscribe_pro("ann")
    shop.draft(prices=(a_price("yearly", 9000, billing_period=BillingPeriod.YEAR),))
    shop.roll_out()
    shop.work()
    [run] = shop.migrations()
    assert [one.code for one in run.failures] == ["no_such_price"]


def test_provider_that_cannot_change_subscriptions_is_a_failure_of_each() -> None:
    shop = a_billed_shop("ann")
    run = shop.roll_out()
    unable = FakeBillingProvider(shop.clock, subscriptions=shop.billing.subscriptions)
    providers = cast("Providers", FakeProviders([unable]))
    shop.ports = replace(shop.ports, providers=providers)
    shop.work()
    assert [one.code for one in get_migration(shop.ports, run.id).failures] == ["not_supported"]


def test_addon_is_moved_without_its_plan() -> None:
    shop = Shop()
    addon = PackageKind.ADDON
    create_package(
        shop.ports, a_cause(), addon, STORAGE, APP, a_content(prices=[a_price("monthly", 10)])
    )
    publish_package(shop.ports, a_cause("1"), addon, STORAGE)
    shop.draft(compatible_addons=(STORAGE,))
    publish_package(shop.ports, a_cause("2"), PLAN, PackageId("pro"))
    shop.sync()
    shop.customer("ann")
    shop.buy("pro", "ann", addons=(AddonOrder(id=STORAGE, quantity=3),))
    shop.converge("ann")
    prices = (a_price("monthly", 20),)
    edit_package(shop.ports, a_cause("3"), addon, STORAGE, {"prices": prices})
    publish_package(shop.ports, a_cause("4"), addon, STORAGE, EVERYBODY)
    shop.sync()
    shop.work()
    [held] = shop.subscriptions("ann")
    assert held.plan_version == 2
    assert held.addons == (SubscribedAddon(id=STORAGE, version=2, quantity=3),)
    [item] = [
        item
        for truth in shop.billing.subscriptions.values()
        for item in truth.items
        if item.price_billing_id == shop.price_id("storage", "monthly", kind=addon)
    ]
    assert item.quantity == 3


def test_one_refused_subscriber_does_not_keep_the_others() -> None:
    shop = a_billed_shop(*NAMES)
    [refused] = [one.billing_id for one in shop.subscriptions("bob")]

    def is_bobs(call: Call) -> bool:
        return bool(call.arguments[0] == refused)

    shop.billing.fail("move_prices", ProviderRefusedError("no"), times=99, where=is_bobs)
    shop.roll_out()
    shop.work()
    [run] = shop.migrations()
    assert run.status is MigrationStatus.FAILED
    assert (run.counts[Outcome.MOVED], run.counts[Outcome.FAILED]) == (2, 1)
    assert [(one.customer_id, one.code) for one in run.failures] == [
        ("bob", "billing_provider_refused")
    ]
    assert shop.versions() == {"ann": 2, "bob": 1, "eve": 2}


# --- Time, retries, cancellation -------------------------------------------------------------------------


def test_migration_waits_for_the_provider_to_know_the_new_price() -> None:
    shop = a_billed_shop(*NAMES)
    publish_package(shop.ports, a_cause("p"), PLAN, PackageId("pro"), EVERYBODY)
    shop.work()
    [run] = shop.migrations()
    assert run.status is MigrationStatus.RUNNING
    assert run.error is not None
    assert run.counts.get(Outcome.FAILED, 0) == 0
    shop.sync()
    shop.recover()
    [run] = shop.migrations()
    assert (run.status, run.error) == (MigrationStatus.SUCCEEDED, None)
    assert shop.versions() == dict.fromkeys(NAMES, 2)


def test_provider_that_is_down_for_ever_ends_in_failures() -> None:
    shop = a_billed_shop("ann")
    shop.roll_out()
    shop.billing.fail("move_prices", ProviderUnavailableError("down"), times=10_000)
    shop.work()
    for _ in range(3):
        shop.recover()
    [run] = shop.migrations()
    assert run.status is MigrationStatus.FAILED
    assert [one.code for one in run.failures] == ["billing_provider_unavailable"]


def test_worker_without_time_leaves_the_rest_to_the_next() -> None:
    shop = a_billed_shop(*NAMES)
    run = shop.roll_out()
    continue_migration(shop.ports, a_cause(), run.id, Countdown(60, costs=12))
    assert get_migration(shop.ports, run.id).status is MigrationStatus.RUNNING
    shop.work()
    assert get_migration(shop.ports, run.id).counts[Outcome.MOVED] == 3


def test_canceled_migration_moves_nobody_else() -> None:
    shop = a_free_shop(*NAMES)
    run = shop.roll_out(FREE)
    assert cancel_migration(shop.ports, a_cause(), run.id).status is MigrationStatus.CANCELED
    shop.work()
    assert set(shop.versions("free").values()) == {1}
    assert cancel_migration(shop.ports, a_cause(), run.id).finished_at == shop.clock.now()


def test_unknown_migration_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        continue_migration(Shop().ports, a_cause(), "mig_nope", Countdown(60))


def test_later_publication_for_everybody_takes_the_place_of_a_running_migration() -> None:
    shop = a_free_shop(*NAMES)
    first = shop.roll_out(FREE)
    shop.draft(FREE, entitlements=(a_value("sso", True),))
    second = shop.roll_out(FREE, operation="again")
    shop.work()
    assert get_migration(shop.ports, first.id).status is MigrationStatus.CANCELED
    assert get_migration(shop.ports, second.id).counts[Outcome.MOVED] == 3
    assert set(shop.versions("free").values()) == {3}


# --- Crashes, repetition, races ------------------------------------------------------------------------------


def settled(shop: Shop, package_id: str = "pro") -> None:
    shop.recover()
    [run] = shop.migrations()
    assert run.status is MigrationStatus.SUCCEEDED
    assert run.counts[Outcome.MOVED] + run.counts[Outcome.SCHEDULED] == 3
    assert run.counts[Outcome.SKIPPED] == run.counts[Outcome.FAILED] == 0
    assert sorted(shop.moving.changes) == sorted(set(shop.moving.changes))


@pytest.mark.parametrize("rollout", [EVERYBODY, WITH_THE_PERIOD])
def test_billed_migration_killed_at_any_step_moves_each_customer_once(rollout: object) -> None:
    def make() -> Shop:
        shop = a_billed_shop(*NAMES)
        shop.roll_out(rollout=rollout)  # type: ignore[arg-type]
        return shop

    for world in every_crash(make, lambda shop: shop.work()):  # type: ignore[attr-defined]
        assert isinstance(world, Shop)
        settled(world)
        assert len(world.moving.changes) == 3


def test_free_migration_killed_at_any_step_moves_each_customer_once() -> None:
    def make() -> Shop:
        shop = a_free_shop(*NAMES)
        shop.roll_out(FREE)
        return shop

    for world in every_crash(make, lambda shop: shop.work()):  # type: ignore[attr-defined]
        assert isinstance(world, Shop)
        settled(world)
        assert set(world.versions("free").values()) == {2}
        for name in NAMES:
            assert world.subscriptions(name)[0].version == 2


def test_publication_killed_at_any_step_is_finished_by_its_repetition() -> None:
    def run(world: object) -> None:
        assert isinstance(world, Shop)
        publish_package(world.ports, a_cause("same"), PLAN, FREE, EVERYBODY)

    for world in every_crash(lambda: a_free_shop(*NAMES), run):
        run(world)
        assert isinstance(world, Shop)
        settled(world)


def test_migration_survives_every_failure_of_the_provider() -> None:
    def make() -> Shop:
        shop = a_billed_shop(*NAMES)
        shop.roll_out()
        return shop

    for world, what in every_fault(make, lambda shop: shop.work(), whens=(When.BEFORE, When.AFTER)):  # type: ignore[attr-defined]
        assert isinstance(world, Shop)
        world.work()
        settled(world)
        assert world.versions() == dict.fromkeys(NAMES, 2), what


def test_message_delivered_again_moves_nobody_again() -> None:
    shop = a_billed_shop(*NAMES)
    run = shop.roll_out()
    for _ in range(3):
        continue_migration(shop.ports, a_cause(), run.id, Countdown(60))
    assert sorted(shop.moving.changes) == sorted(shop.billing.subscriptions)
    assert get_migration(shop.ports, run.id).counts[Outcome.MOVED] == 3


@pytest.mark.parametrize("seed", range(12))
def test_two_workers_at_once_move_each_customer_once(seed: int) -> None:
    shop = a_billed_shop(*NAMES)
    run = shop.roll_out()

    def worker() -> object:
        return continue_migration(shop.ports, a_cause(), run.id, Countdown(60))

    race = Interleaving(shop, [worker, worker])
    race.run([(seed >> (step % 4)) & 1 for step in range(400)])
    assert race.errors == [None, None]
    settled(shop)
    assert sorted(shop.moving.changes) == sorted(shop.billing.subscriptions)
    assert shop.versions() == dict.fromkeys(NAMES, 2)


def test_customer_who_upgrades_meanwhile_is_not_moved_back() -> None:
    shop = a_free_shop("ann")
    run = shop.roll_out(FREE)
    [held] = shop.subscriptions("ann")
    shop.put(replace(held, plan_version=7))
    shop.work()
    assert shop.versions("free") == {"ann": 7}
    assert get_migration(shop.ports, run.id).status is MigrationStatus.SUCCEEDED


def test_messages_about_migrations_are_grouped_by_package() -> None:
    shop = a_free_shop("ann")
    shop.roll_out(FREE)
    [message] = [one for one in shop.queue.messages if one.queue is QueueName.MIGRATE]
    assert message.group == "migration:plan:free"


def test_limits_of_a_moved_customer_are_the_new_ones() -> None:
    shop = a_billed_shop("ann")
    shop.roll_out()
    shop.work()
    decision = shop.check("calls", customer_id="ann").decision
    assert decision.usage_limit == a_limit("calls", 50).usage_limit
