"""Subscriptions of one resource of a customer: one of each product for each workspace."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.convergence import METADATA_RESOURCE
from chalicelib.domain.decisions import DeniedReason, Question
from chalicelib.domain.entitlements import ResetPeriod
from chalicelib.domain.errors import InvalidError, SubscriptionExistsError
from chalicelib.domain.ids import PackageId
from chalicelib.domain.impacts import Effect
from chalicelib.domain.plans import Package, PackageKind
from chalicelib.domain.prices import PriceModel
from chalicelib.domain.reconciliations import DriftKind
from chalicelib.domain.subscription_changes import Change
from chalicelib.domain.subscriptions import Subscription
from chalicelib.domain.usage_charges import UsageCharge
from chalicelib.services.change_subscription import change_subscription
from chalicelib.services.preview_subscription import preview_change, preview_order
from chalicelib.services.provision_subscription import provision_subscription
from chalicelib.services.reckon_impact import reckon_impact
from chalicelib.services.start_checkout import start_checkout
from tests.factories import a_content, a_limit, a_price
from tests.fakes.using import a_user, report
from tests.fakes.world import World, a_cause, an_order


def a_shop() -> World:
    world = World()
    world.sell("pro", a_price(), entitlements=[a_limit("api", 10)])
    world.sell("free", entitlements=[a_limit("api", 1)], product_id="other")
    world.customer()
    return world


def subscribe(world: World, resource_id: str | None, operation: str) -> Subscription | None:
    order = an_order("free", resource_id=resource_id)
    return provision_subscription(world.ports, a_cause(operation), order).subscription


def limit(world: World, resource_id: str | None) -> int | None:
    return world.check("api", Question(usage=0, resource_id=resource_id)).decision.usage_limit


def buy(world: World, resource_id: str, **fields: Any) -> str:
    return world.buy(resource_id=resource_id, **fields)


def test_subscription_of_a_resource_gives_it_and_no_other() -> None:
    world = a_shop()
    held = subscribe(world, "ws-1", "op_1")
    assert held is not None
    assert held.resource_id == "ws-1"
    assert limit(world, "ws-1") == 1
    decision = world.check("api", Question(resource_id="ws-2")).decision
    assert decision.denied_reason is DeniedReason.CUSTOMER_RESOURCE_NOT_FOUND
    assert limit(world, None) is None


def test_second_subscription_of_the_product_is_for_another_resource_only() -> None:
    world = a_shop()
    subscribe(world, "ws-1", "op_1")
    with pytest.raises(SubscriptionExistsError):
        subscribe(world, "ws-1", "op_2")
    assert subscribe(world, "ws-2", "op_3") is not None
    assert subscribe(world, None, "op_4") is not None
    assert len(world.subscriptions()) == 3


def test_paid_subscription_keeps_its_resource_through_checkout() -> None:
    world = a_shop()
    buy(world, "ws-1")
    world.converge()
    assert [one.resource_id for one in world.subscriptions()] == ["ws-1"]
    assert limit(world, "ws-1") == 10
    with pytest.raises(SubscriptionExistsError):
        start_checkout(world.ports, a_cause("op_2"), an_order("pro", resource_id="ws-1"))


def test_two_paid_subscriptions_of_two_resources_are_no_duplicates() -> None:
    world = a_shop()
    for resource_id in ("ws-1", "ws-2"):
        buy(world, resource_id)
        converged = world.converge()
        kinds = {drift.kind for drift in converged.drifts}
        assert DriftKind.SUBSCRIPTION_DUPLICATE not in kinds
    assert sorted(str(one.resource_id) for one in world.subscriptions()) == ["ws-1", "ws-2"]


def test_resource_of_a_subscription_never_changes_by_what_the_provider_says() -> None:
    world = a_shop()
    billing_id = buy(world, "ws-1")
    world.converge()
    truth = world.billing.get_subscription(billing_id)
    assert truth is not None
    metadata = {**truth.metadata, METADATA_RESOURCE: "ws-2"}
    world.billing.edit_subscription(billing_id, metadata=metadata)
    world.converge()
    assert [one.resource_id for one in world.subscriptions()] == ["ws-1"]


@pytest.mark.parametrize("stated", ["ws 1", "", "x" * 129])
def test_resource_that_is_no_id_is_none(stated: str) -> None:
    world = a_shop()
    billing_id = buy(world, "ws-1")
    truth = world.billing.get_subscription(billing_id)
    assert truth is not None
    world.billing.edit_subscription(
        billing_id, metadata={**truth.metadata, METADATA_RESOURCE: stated}
    )
    world.converge()
    assert [one.resource_id for one in world.subscriptions()] == [None]


def test_checkouts_of_two_resources_are_two_orders() -> None:
    world = a_shop()
    first = start_checkout(world.ports, a_cause("op_1"), an_order("pro", resource_id="ws-1"))
    again = start_checkout(world.ports, a_cause("op_2"), an_order("pro", resource_id="ws-1"))
    other = start_checkout(world.ports, a_cause("op_3"), an_order("pro", resource_id="ws-2"))
    assert again.id == first.id
    assert (other.id != first.id, other.resource_id) == (True, "ws-2")


def test_free_subscription_of_one_resource_stays_beside_a_paid_one_of_another() -> None:
    world = a_shop()
    world.sell("basic", entitlements=[a_limit("api", 2)])
    order = replace(an_order("basic"), resource_id="ws-1")
    provision_subscription(world.ports, a_cause("op_1"), order)
    buy(world, "ws-2")
    world.converge()
    assert (limit(world, "ws-1"), limit(world, "ws-2")) == (2, 10)


def test_preview_of_an_order_for_a_resource_tells_what_that_resource_gains() -> None:
    world = a_shop()
    subscribe(world, None, "op_1")
    preview = preview_order(world.ports, an_order("pro", resource_id="ws-1"))
    assert preview.differences.gained == (("api", Effect.GAINED),)


def test_impact_of_a_draft_is_counted_for_the_resource_that_has_the_plan() -> None:
    world = a_shop()
    subscribe(world, "ws-1", "op_1")
    package = world.store.get(Package, PackageKind.PLAN, "free")
    assert package is not None
    draft = replace(package, draft=a_content(entitlements=[a_limit("api", 9)]))
    tally = reckon_impact(world.ports, draft).tally
    assert dict(tally.features["api"].counts) == {Effect.RAISED: 1}


def test_first_usage_of_a_resource_makes_it_known_and_counts_in_its_period() -> None:
    world = a_user(a_limit("calls", 10, reset_period=ResetPeriod.MONTH))
    for _ in range(2):
        report(world, 3, resource_id="ws-1")
    decision = world.check("calls", Question(usage=0, resource_id="ws-1")).decision
    assert (decision.current_usage, decision.usage_limit) == (6, 10)
    assert world.check("calls", Question(usage=0)).decision.current_usage == 0


def a_metered_shop() -> World:
    world = World()
    metered = a_price("usage", 2, model=PriceModel.USAGE_BASED, feature_id="api")
    unlimited = [a_limit("api", None)]
    world.sell("pro", a_price(), metered, entitlements=unlimited)
    world.sell("flat", a_price(), entitlements=unlimited)
    world.sell("other", a_price(), metered, entitlements=unlimited, product_id="second")
    world.sell("free", entitlements=[a_limit("api", 100)], product_id="third")
    world.customer()
    return world


def test_usage_of_a_resource_is_charged_by_its_own_subscription_only() -> None:
    world = a_metered_shop()
    buy(world, "ws-1")
    world.converge()
    assert subscribe(world, "ws-2", "op_free") is not None
    report(world, 3, "api", resource_id="ws-1")
    report(world, 50, "api", resource_id="ws-2")
    report(world, 70, "api")
    assert [one.value for one in world.store.all(UsageCharge)] == [3]


def test_usage_of_a_resource_is_charged_by_the_customers_own_subscription_too() -> None:
    world = a_metered_shop()
    world.buy()
    world.converge()
    report(world, 3, "api", resource_id="ws-1")
    report(world, 4, "api")
    assert sorted(one.value for one in world.store.all(UsageCharge)) == [3, 4]


@pytest.mark.parametrize("plan_id", ["pro", "other"])
def test_second_subscription_that_would_charge_the_same_usage_is_refused(plan_id: str) -> None:
    world = a_metered_shop()
    buy(world, "ws-1")
    world.converge()
    order = an_order(plan_id, resource_id="ws-2")
    for ask in (
        lambda: start_checkout(world.ports, a_cause("op_2"), order),
        lambda: provision_subscription(world.ports, a_cause("op_3"), order),
        lambda: preview_order(world.ports, order),
    ):
        with pytest.raises(InvalidError) as caught:
            ask()
        assert caught.value.violations[0].code == "usage_charged_twice"
    buy(world, "ws-2", plan_id="flat")
    world.converge()
    assert len(world.subscriptions()) == 2


def test_change_that_would_charge_the_same_usage_twice_is_refused() -> None:
    world = a_metered_shop()
    for resource_id, plan_id in (("ws-1", "flat"), ("ws-2", "pro")):
        buy(world, resource_id, plan_id=plan_id)
        world.converge()
    [flat] = [one for one in world.subscriptions() if one.plan_id == "flat"]
    wish = Change(plan_id=PackageId("pro"))
    for ask in (change_subscription, preview_change):
        with pytest.raises(InvalidError) as caught:
            ask(world.ports, a_cause("op_9"), flat.id, wish)
        assert caught.value.violations[0].code == "usage_charged_twice"
    assert {one.plan_id for one in world.subscriptions()} == {"flat", "pro"}
