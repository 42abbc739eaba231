"""The application hears of every change of a customer, once it is committed, and of what time alone brings about."""

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.billing import SyncStatus
from chalicelib.domain.customer_timers import CustomerTimer
from chalicelib.domain.entitlements import Entitlement
from chalicelib.domain.errors import StoreConflictError
from chalicelib.domain.features import FeatureType, Lifecycle
from chalicelib.domain.ids import CustomerId, FeatureId
from chalicelib.domain.outbound_events import OutboundEvent
from chalicelib.domain.plans import Trial, TrialEnd, TrialUnit
from chalicelib.domain.subscriptions import SubscriptionStatus
from chalicelib.ports import QueueName
from chalicelib.services.manage_customers import set_customer_status
from chalicelib.services.manage_grants import give_grant, revoke_grant
from chalicelib.services.provision_subscription import provision_subscription
from chalicelib.services.settle_customer import settle_customer, sweep_timers
from tests.factories import ACME, a_price, a_value
from tests.fakes.crashes import every_crash
from tests.fakes.deliveries import deliver
from tests.fakes.world import World, a_cause, an_order

TRIAL = Trial(
    duration=14,
    unit=TrialUnit.DAY,
    end_behavior=TrialEnd.CANCEL_SUBSCRIPTION,
    payment_method_required=False,
)


def a_shop(**content: Any) -> World:
    world = World()
    world.customer()
    world.sell("pro", a_price(), entitlements=(a_value("sso", value=True),), **content)
    return world


def told(world: World) -> list[str]:
    """The types of all events, in their order, and none of them twice."""
    return [event.type.value for event in world.store.all(OutboundEvent)]


def data_of(world: World, kind: str) -> dict[str, Any]:
    """Of the latest event of the type."""
    found = [event for event in world.store.all(OutboundEvent) if event.type == kind]
    made: dict[str, Any] = json.loads(json.dumps(found[-1].data))
    return made


def pass_time(world: World, **delta: float) -> None:
    """Time passes, and the minute's sweep runs."""
    world.clock.advance(**delta)
    sweep_timers(world.ports)
    deliver(world)


# --- With each change ----------------------------------------------------------------------------------------------


def test_paid_subscription_is_told_in_the_commit_that_stores_it() -> None:
    world = a_shop()
    world.buy()
    world.converge()
    assert told(world) == [
        "subscription.created",
        "entitlements.updated",
        "customer.state_changed",
    ]
    commit = world.store.commits[-1]
    assert sum(isinstance(write.record, OutboundEvent) for write in commit) == 3
    assert len([one for one in world.queue.messages if one.queue is QueueName.DELIVER]) == 1
    state = data_of(world, "customer.state_changed")
    (held,) = world.subscriptions()
    assert (state["customer_id"], state["version"], state["status"]) == (ACME, 2, "active")
    assert [one["id"] for one in state["subscriptions"]] == [held.id]
    (entitlement,) = state["entitlements"]
    assert (entitlement["feature_id"], entitlement["has_access"]) == ("sso", True)
    assert entitlement["sources"][0]["subscription_id"] == held.id


def test_versions_of_the_state_are_those_of_the_snapshot_without_a_gap() -> None:
    world = a_shop()
    billing_id = world.buy()
    world.converge()
    for status in (Lifecycle.ARCHIVED, Lifecycle.ACTIVE):
        set_customer_status(world.ports, a_cause(status), CustomerId(ACME), status)
    world.billing.cancel(billing_id)
    world.converge()
    versions = [
        event.data["version"]
        for event in world.store.all(OutboundEvent)
        if event.type == "customer.state_changed"
    ]
    assert versions == [2, 3, 4, 5]
    assert world.snapshot().version == 5


def test_change_tells_what_was_before() -> None:
    world = a_shop()
    billing_id = world.buy()
    world.converge()
    world.billing.cancel(billing_id)
    world.converge()
    assert told(world)[3:] == [
        "subscription.canceled",
        "entitlements.updated",
        "customer.state_changed",
    ]
    canceled = data_of(world, "subscription.canceled")
    assert canceled["subscription"]["status"] == "canceled"
    assert canceled["previous_attributes"]["status"] == "active"
    lost = data_of(world, "entitlements.updated")["entitlements"]
    assert [(one["feature_id"], one["has_access"]) for one in lost] == [("sso", False)]
    assert data_of(world, "customer.state_changed")["subscriptions"] == []


def test_convergence_on_nothing_new_tells_nothing() -> None:
    world = a_shop()
    world.buy()
    world.converge()
    before = told(world)
    world.converge()
    assert told(world) == before


def test_archiving_takes_away_and_unarchiving_gives_back() -> None:
    world = a_shop()
    world.buy()
    world.converge()
    set_customer_status(world.ports, a_cause("a"), CustomerId(ACME), Lifecycle.ARCHIVED)
    assert data_of(world, "customer.state_changed")["status"] == "archived"
    assert not data_of(world, "entitlements.updated")["entitlements"][0]["has_access"]
    set_customer_status(world.ports, a_cause("b"), CustomerId(ACME), Lifecycle.ACTIVE)
    assert data_of(world, "entitlements.updated")["entitlements"][0]["has_access"]


def test_grant_is_told_when_given_and_when_taken_back() -> None:
    world = a_shop()
    world.features(gpu=FeatureType.BOOLEAN)
    entitlement = Entitlement(feature_id=FeatureId("gpu"), value=True)
    grant = give_grant(
        world.ports,
        a_cause("g"),
        CustomerId(ACME),
        entitlement,
    )
    assert told(world) == ["entitlements.updated", "customer.state_changed"]
    revoke_grant(world.ports, a_cause("r"), CustomerId(ACME), grant.id)
    assert data_of(world, "entitlements.updated")["entitlements"][0]["has_access"] is False


def test_refused_commit_tells_nothing() -> None:
    world = a_shop()
    world.buy()
    conflicts = 0

    def overtake(writes: object) -> None:
        nonlocal conflicts
        conflicts += 1
        if conflicts == 1:
            raise StoreConflictError("Another writer was first.")

    world.store.before_commit = overtake
    world.converge()
    assert told(world).count("subscription.created") == 1


def test_crash_at_any_step_tells_each_change_once() -> None:
    def make() -> World:
        world = a_shop()
        world.buy()
        return world

    for world in every_crash(make, lambda world: world.converge()):
        world.converge()
        assert told(world).count("subscription.created") == 1
        assert told(world).count("customer.state_changed") == 1


def test_state_too_large_for_a_message_is_told_without_its_lists() -> None:
    world = World()
    world.customer()
    names = [f"feature-{number:04d}-{'x' * 60}" for number in range(600)]
    world.sell("free", entitlements=tuple(a_value(name, value=True) for name in names))
    provision_subscription(world.ports, a_cause("p"), an_order("free"))
    state = data_of(world, "customer.state_changed")
    assert (state["truncated"], state["entitlements"], state["version"]) == (True, None, 2)


def test_sync_that_is_refused_for_good_is_told() -> None:
    from chalicelib.domain.errors import ProviderRefusedError  # noqa: PLC0415 -- used here alone

    world = World()
    world.billing.fail("apply", ProviderRefusedError("No such currency."))
    world.publish("pro", a_price())
    world.sync()
    failed = data_of(world, "sync.failed")
    assert (failed["entity_type"], failed["entity_id"]) == ("plan", "pro")
    assert failed["providers"][0]["status"] == "failed"
    assert world.link().sync_status is SyncStatus.ERROR


# --- By time alone -------------------------------------------------------------------------------------------------


def a_trial(**order: Any) -> World:
    world = a_shop(trial=TRIAL)
    provision_subscription(world.ports, a_cause("trial"), an_order(**order))
    return world


def test_trial_tells_its_start_its_coming_end_and_its_end() -> None:
    world = a_trial()
    assert told(world) == [
        "subscription.created",
        "trial.started",
        "entitlements.updated",
        "customer.state_changed",
    ]
    pass_time(world, days=10, hours=23)
    assert len(told(world)) == 4
    pass_time(world, hours=1)
    assert told(world)[4:] == ["trial.will_end", "customer.state_changed"]
    pass_time(world, days=2, hours=23)
    assert len(told(world)) == 6
    pass_time(world, hours=1)
    assert told(world)[6:] == [
        "subscription.expired",
        "trial.ended",
        "entitlements.updated",
        "customer.state_changed",
    ]
    (held,) = world.subscriptions()
    assert held.status is SubscriptionStatus.EXPIRED
    assert world.audited(f"subscription:{held.id}")[-1].action == "subscription.settled"
    assert data_of(world, "entitlements.updated")["entitlements"][0]["has_access"] is False
    pass_time(world, days=365)
    assert len(told(world)) == 10
    timer = world.store.get(CustomerTimer, ACME)
    assert timer is not None
    assert timer.at is None


def test_trial_shorter_than_the_reminder_is_reminded_of_at_once() -> None:
    world = World()
    world.customer()
    trial = Trial(
        duration=2,
        unit=TrialUnit.DAY,
        end_behavior=TrialEnd.CANCEL_SUBSCRIPTION,
        payment_method_required=False,
    )
    world.sell("pro", a_price(), entitlements=(a_value("sso", value=True),), trial=trial)
    provision_subscription(world.ports, a_cause("trial"), an_order())
    assert "trial.will_end" in told(world)
    pass_time(world, days=1)
    assert told(world).count("trial.will_end") == 1


def test_trial_that_is_followed_by_a_payment_is_converted() -> None:
    world = a_trial()
    world.buy()
    world.converge()
    assert "trial.converted" in told(world)
    assert "trial.ended" not in told(world)


def test_what_time_brought_about_is_told_by_a_change_that_comes_before_the_sweep() -> None:
    world = a_trial()
    world.clock.advance(days=14)
    world.buy()
    world.converge()
    assert told(world).count("trial.ended") + told(world).count("trial.converted") == 1
    before = told(world)
    pass_time(world, minutes=1)
    assert told(world).count("trial.ended") + told(world).count("trial.converted") == 1
    assert set(told(world)[len(before) :]) <= {"subscription.expired", "customer.state_changed"}


def test_grant_that_expires_is_told() -> None:
    world = a_shop()
    world.features(gpu=FeatureType.BOOLEAN)
    give_grant(
        world.ports,
        a_cause("g"),
        CustomerId(ACME),
        Entitlement(feature_id=FeatureId("gpu"), value=True),
        expires_at=world.clock.now() + timedelta(hours=1),
        reason=None,
    )
    given = data_of(world, "entitlements.updated")["entitlements"][0]
    assert given["valid_until"] == "2026-01-15T13:00:00Z"
    pass_time(world, hours=1)
    assert told(world)[2:] == ["entitlements.updated", "customer.state_changed"]
    assert data_of(world, "customer.state_changed")["version"] == 3


@pytest.mark.parametrize("times", [2, 5])
def test_settling_again_tells_nothing_again(times: int) -> None:
    world = a_trial()
    pass_time(world, days=14)
    before = told(world)
    for _ in range(times):
        assert not settle_customer(world.ports, a_cause(), CustomerId(ACME))
    assert told(world) == before


def test_settling_that_crashes_anywhere_is_finished_by_the_next_sweep() -> None:
    def make() -> World:
        world = a_trial()
        world.clock.advance(days=14)
        return world

    def run(world: World) -> None:
        settle_customer(world.ports, a_cause(), CustomerId(ACME))

    for world in every_crash(make, run):
        pass_time(world, minutes=1)
        assert told(world).count("trial.ended") == 1
        assert told(world).count("trial.will_end") <= 1
