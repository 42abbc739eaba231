"""What a catalog document would do, where it touches others: subscribers, providers, plans and add-ons that fit."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.catalog_changes import Action
from chalicelib.domain.catalog_documents import (
    CatalogKind,
    WantedCatalog,
    WantedPackage,
    state_hash,
)
from chalicelib.domain.errors import (
    InvalidError,
    StateMovedError,
    StoreConflictError,
    StoreUnavailableError,
    VersionConflictError,
)
from chalicelib.domain.features import Feature, FeatureType
from chalicelib.domain.ids import CustomerId, FeatureId, PackageId, ProductId, SubscriptionId
from chalicelib.domain.plans import Migration, Package, PackageKind, PricingType
from chalicelib.domain.prices import Price, PriceModel
from chalicelib.domain.subscribers import Subscriber
from chalicelib.ports import Absent, AtRevision, Delete, Message, Put, QueueName
from chalicelib.services.apply_catalog import apply_catalog
from chalicelib.services.catalog_document import read_state
from chalicelib.services.plan_catalog import PlannedCatalog, plan_catalog, plan_from
from chalicelib.services.rehearsal import rehearsed
from tests.factories import a_content, a_feature, a_price, a_product
from tests.fakes.world import World, a_cause

PLAN = PackageKind.PLAN
ADDON = PackageKind.ADDON
EUR: dict[str, Any] = {"currency": "eur"}


@pytest.fixture
def world() -> World:
    return World()


def wanted(
    package_id: str, *prices: Price, kind: PackageKind = PLAN, **content: Any
) -> WantedPackage:
    content.setdefault("pricing_type", PricingType.PAID if prices else PricingType.FREE)
    return WantedPackage(
        kind=kind,
        id=PackageId(package_id),
        product_id=ProductId("app"),
        content=a_content(prices=prices, **content),
    )


def a_catalog(*packages: WantedPackage, features: tuple[Feature, ...] = ()) -> WantedCatalog:
    return WantedCatalog(
        features=features,
        products=(a_product(),),
        addons=tuple(one for one in packages if one.kind is ADDON),
        plans=tuple(one for one in packages if one.kind is PLAN),
    )


def planned(world: World, catalog: WantedCatalog, **more: Any) -> PlannedCatalog:
    return plan_catalog(world.ports, a_cause(), catalog, **more)


def apply(world: World, catalog: WantedCatalog, **more: Any) -> list[str]:
    found = state_hash(read_state(world.store))
    done = apply_catalog(world.ports, a_cause(), catalog, found, **more)
    return [f"{one.change.action} {one.change.kind}:{one.change.id}" for one in done.plan.changes]


# --- subscribers --------------------------------------------------------------------------------


def test_plan_counts_who_holds_the_plan_now(world: World) -> None:
    apply(world, a_catalog(wanted("pro", a_price())))
    world.sync()
    for name in ("acme", "bmce"):
        world.customer(name)
        world.buy("pro", name)
        world.converge(name)
    plan = planned(world, a_catalog(wanted("pro", a_price(amount=2000))))
    assert [(one.change.action, one.subscribers) for one in plan.changes] == [("update", 2)]


def test_subscribers_that_are_too_many_to_count_are_not_counted(world: World) -> None:
    catalog = a_catalog(wanted("pro", a_price()))
    apply(world, catalog)
    for number in range(1001):
        world.put(
            Subscriber(
                kind=PLAN,
                package_id=PackageId("pro"),
                version=1,
                customer_id=CustomerId(f"c{number}"),
                subscription_id=SubscriptionId("subs_1"),
            )
        )
    [change] = planned(world, a_catalog(wanted("pro", a_price(amount=2000)))).changes
    assert change.subscribers is None


def test_all_customers_are_migrated_by_the_version_that_an_apply_publishes(world: World) -> None:
    apply(world, a_catalog(wanted("pro", a_price())))
    changed = a_catalog(wanted("pro", a_price(amount=2000)))
    planned(world, changed, migration=Migration.ALL_CUSTOMERS)
    assert read_state(world.store).plans[0].package.latest_version == 1
    apply(world, changed, migration=Migration.ALL_CUSTOMERS)
    sold = read_state(world.store).plans[0].sold
    assert sold is not None
    assert (sold.number, sold.migration) == (2, Migration.ALL_CUSTOMERS)


# --- providers ----------------------------------------------------------------------------------


def steps_of(plan: PlannedCatalog) -> list[str]:
    return [step for one in plan.changes for step in one.billing]


def test_usage_price_is_announced_with_its_meter_and_product(world: World) -> None:
    calls = a_feature("calls", FeatureType.METERED)
    usage = a_price("usage", 2, model=PriceModel.USAGE_BASED, feature_id=FeatureId("calls"))
    with_usage = a_catalog(wanted("pro", a_price("base"), usage), features=(calls,))
    assert steps_of(planned(world, with_usage)) == [
        "new meter 'calls'",
        "new product 'Pro'",
        "new price base",
        "default price base",
        "new product 'Pro: calls'",
        "new price usage",
        "default price usage",
    ]
    apply(world, with_usage)
    without = a_catalog(wanted("pro", a_price("base"), name="Professional"), features=(calls,))
    assert steps_of(planned(world, without)) == [
        "update product 'Professional'",
        "no default price",
        "archive product 'Pro: calls'",
        "archive price usage",
    ]


def test_plan_that_becomes_free_is_announced_to_leave(world: World) -> None:
    apply(world, a_catalog(wanted("pro", a_price())))
    steps = steps_of(planned(world, a_catalog(wanted("pro"))))
    assert steps == ["no default price", "archive product 'Pro'", "archive price monthly"]


# --- what depends on each other -----------------------------------------------------------------


def test_terms_are_added_to_and_taken_from_plan_and_addon_together(world: World) -> None:
    def both(*prices: Price) -> WantedCatalog:
        addon = wanted("more", *prices, kind=ADDON)
        return a_catalog(addon, wanted("pro", *prices, compatible_addons=(addon.id,)))

    one, two = a_price(), a_price("eur", **EUR)
    assert apply(world, both(one)) == ["create product:app", "create addon:more", "create plan:pro"]
    assert len(apply(world, both(one, two))) == 2
    assert sorted(apply(world, both(one))) == ["update addon:more", "update plan:pro"]
    assert planned(world, both(one)).changes == ()


def test_unknown_parent_of_a_refused_plan_is_not_a_second_fault(world: World) -> None:
    broken = wanted("a", a_price(currency="xxx"))
    child = wanted("b", parent_plan_id=PackageId("a"))
    with pytest.raises(InvalidError) as caught:
        planned(world, a_catalog(broken, child))
    assert [one.param for one in caught.value.violations] == ["plans[0].prices[0].currency"]


def test_circle_of_new_parents_is_refused_in_both_places(world: World) -> None:
    circle = (
        wanted("a", parent_plan_id=PackageId("b")),
        wanted("b", parent_plan_id=PackageId("a")),
    )
    with pytest.raises(InvalidError) as caught:
        planned(world, a_catalog(*circle))
    assert {one.param for one in caught.value.violations} == {
        "plans[0].parent_plan_id",
        "plans[1].parent_plan_id",
    }


def test_product_is_not_pruned_while_a_draft_of_it_is_there(world: World) -> None:
    apply(world, a_catalog())
    package = Package(
        kind=PLAN,
        id=PackageId("next"),
        product_id=ProductId("app"),
        draft=a_content(),
        created_at=world.clock.now(),
    )
    world.put(package)
    with pytest.raises(InvalidError) as caught:
        planned(world, WantedCatalog(), prune=True)
    [fault] = caught.value.violations
    assert (fault.param, fault.code) == ("prune", "in_use")


def test_apply_to_another_state_writes_nothing(world: World) -> None:
    commits = len(world.store.commits)
    with pytest.raises(StateMovedError):
        apply_catalog(world.ports, a_cause(), a_catalog(), "0" * 64)
    assert len(world.store.commits) == commits


def test_draft_made_between_a_crash_and_the_next_plan_is_only_published(world: World) -> None:
    catalog = a_catalog(wanted("pro", a_price()))
    world.store.before_commit = _die_at_publication
    with pytest.raises(StoreUnavailableError):
        apply(world, catalog)
    world.store.before_commit = None
    [rest] = planned(world, catalog).changes
    assert (rest.change.action, rest.change.kind) == (Action.PUBLISH, CatalogKind.PLAN)
    assert apply(world, catalog) == ["publish plan:pro"]


def _die_at_publication(writes: Any) -> None:
    if any(getattr(write.record, "number", None) == 1 for write in writes):
        raise StoreUnavailableError("gone")


def test_database_that_is_away_is_no_fault_of_the_document(world: World) -> None:
    apply(world, a_catalog(wanted("pro", a_price())))
    changed = a_catalog(wanted("pro", a_price(amount=2000)))
    reads = iter(range(1000))

    def fail(*_: Any) -> None:
        if next(reads) == 2:
            raise StoreUnavailableError("gone")

    world.store.on_get = fail
    with pytest.raises(StoreUnavailableError):
        planned(world, changed)


def test_object_changed_while_it_is_planned_is_a_conflict(world: World) -> None:
    catalog = a_catalog(features=(a_feature("a"),))
    apply(world, catalog)
    state = read_state(world.store)
    held = state.features[0]
    world.put(replace(held, name="theirs", version=2))
    with pytest.raises(VersionConflictError):
        plan_from(
            world.ports,
            a_cause(),
            state,
            a_catalog(features=(replace(held, name="ours"),)),
            prune=False,
            migration=Migration.NEW_CUSTOMERS,
        )


# --- trying out ---------------------------------------------------------------------------------


def test_rehearsal_shows_what_it_wrote_and_leaves_the_store_alone(world: World) -> None:
    world.put(a_feature("a"), a_feature("b"))
    commits = len(world.store.commits)
    stage = rehearsed(world.ports)
    held = stage.store.get(Feature, "a")
    assert held is not None
    stage.store.commit(
        Put(replace(held, name="New", version=2), AtRevision(number=1)),
        Put(a_feature("c"), Absent()),
        Delete(a_feature("b"), AtRevision(number=1)),
    )
    names = [(one.id, one.name) for one in stage.store.list_within(Feature).items]
    assert names == [("a", "New"), ("c", "c")]
    newest = stage.store.list_within(Feature, newest_first=True).items
    assert [one.id for one in newest] == ["c", "a"]
    assert stage.store.get(Feature, "b") is None
    for refused in (
        Put(a_feature("a"), Absent()),
        Put(a_feature("b"), AtRevision(number=1)),
        Put(a_feature("a"), AtRevision(number=1)),
    ):
        with pytest.raises(StoreConflictError):
            stage.store.commit(Put(a_feature("d"), Absent()), refused)
    assert stage.store.get(Feature, "d") is None
    stage.queue.send(Message(queue=QueueName.SYNC, group="g", body={}))
    assert (len(world.store.commits), world.queue.messages) == (commits, [])
