"""Who subscribes to what is written with the subscription, by everybody who writes one."""

from dataclasses import replace

from chalicelib.domain.ids import CustomerId, PackageId
from chalicelib.domain.plans import PackageKind
from chalicelib.domain.subscribers import SHARDS, Subscriber, holds_of, shard_key, shard_of
from chalicelib.domain.subscriptions import SubscribedAddon, SubscriptionStatus
from chalicelib.services.provision_subscription import provision_subscription
from chalicelib.services.store_subscription import subscription_writes
from tests.factories import a_price, a_subscription, a_value, our_metadata
from tests.fakes.world import World, a_cause, an_order

STORAGE = SubscribedAddon(id=PackageId("storage"), version=2, quantity=3)


def holds(world: World) -> list[tuple[str, str, int]]:
    return [(one.kind, one.package_id, one.version) for one in world.store.all(Subscriber)]


def test_live_subscription_holds_its_plan_and_addons() -> None:
    held = list(holds_of(a_subscription(addons=(STORAGE,))))
    assert [(one.kind, one.package_id, one.version) for one in held] == [
        (PackageKind.PLAN, "pro", 1),
        (PackageKind.ADDON, "storage", 2),
    ]


def test_ended_subscription_holds_nothing() -> None:
    assert not list(holds_of(a_subscription(status=SubscriptionStatus.CANCELED)))


def test_customers_are_spread_over_all_shards() -> None:
    assert {shard_of(CustomerId(f"customer-{n}")) for n in range(200)} == set(range(SHARDS))


def test_writes_move_the_hold_that_changed_and_leave_the_other() -> None:
    world = World()
    before = a_subscription(addons=(STORAGE,))
    world.store.commit(*subscription_writes(None, before))
    after = replace(before, plan_version=2, version=2)
    writes = list(subscription_writes(before, after))
    world.store.commit(*writes)
    assert holds(world) == [(PackageKind.ADDON, "storage", 2), (PackageKind.PLAN, "pro", 2)]
    assert len(writes) == 3


def test_plan_subscribed_without_payment_is_held() -> None:
    world = World()
    world.publish("free", entitlements=[a_value("sso", True)])
    world.customer()
    provision_subscription(world.ports, a_cause(), an_order("free"))
    assert holds(world) == [(PackageKind.PLAN, "free", 1)]


def test_hold_follows_the_provider_through_versions_to_the_end() -> None:
    world = World()
    world.sell("pro", a_price("monthly", 1000))
    world.customer()
    billing_id = world.buy()
    world.converge()
    assert holds(world) == [(PackageKind.PLAN, "pro", 1)]
    world.sell("pro", a_price("monthly", 1000), description="second")
    [held] = world.subscriptions()
    stated = our_metadata(held.id, plan_version="pro=2")
    world.billing.edit_subscription(billing_id, metadata=stated)
    world.converge()
    assert holds(world) == [(PackageKind.PLAN, "pro", 2)]
    world.billing.cancel(billing_id)
    world.converge()
    assert not holds(world)


def test_holds_of_a_package_are_listed_by_shard_with_older_versions_first() -> None:
    world = World()
    for number in (10, 2, 1):
        held = a_subscription(f"subs_{number}", plan_version=number)
        world.store.commit(*subscription_writes(None, held))
    shard = shard_key(shard_of(CustomerId("acme")))
    page = world.store.list_within(Subscriber, PackageKind.PLAN, "pro", shard)
    assert [one.version for one in page.items] == [1, 2, 10]
