"""Reconciliation: whatever was lost or changed by hand, a run finds it by state, repairs it and tells of it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.billing import SyncStatus
from chalicelib.domain.billing_events import BillingEvent, BillingEventStatus
from chalicelib.domain.errors import (
    NotFoundError,
    ProviderRefusedError,
    ProviderUnavailableError,
    StoreUnavailableError,
)
from chalicelib.domain.plans import PackageKind
from chalicelib.domain.reconciliations import (
    DriftAction,
    DriftKind,
    DriftPolicy,
    Phase,
    Reconciliation,
    ReconciliationStatus,
)
from chalicelib.domain.subscriptions import SubscriptionStatus
from chalicelib.domain.sync import CatalogLink, SyncTaskStatus
from chalicelib.ports import QueueName
from chalicelib.services.apply_billing_event import keep_billing_event, receive_billing_event
from chalicelib.services.manage_customers import update_customer
from chalicelib.services.reconcile import continue_reconciliation
from chalicelib.services.start_reconciliation import start_reconciliation
from tests.factories import ACME, a_price, a_provider_subscription, a_value
from tests.fakes.billing import When
from tests.fakes.crashes import every_crash
from tests.fakes.world import World, a_cause, calls_of

REPAIRED, REPORTED = DriftAction.REPAIRED, DriftAction.REPORTED
KEY = "pg_test_plan_pro"


@dataclass
class FakeDeadline:
    """So much is left; each look takes `step` away."""

    seconds: float = 900
    step: float = 0

    def remaining_seconds(self) -> float:
        self.seconds -= self.step
        return self.seconds


def reconcile(world: World) -> Reconciliation:
    run = start_reconciliation(world.ports, "test")
    done = continue_reconciliation(world.ports, a_cause(), run.id, FakeDeadline())
    assert done.status is ReconciliationStatus.SUCCEEDED
    world.clock.advance(seconds=1)
    return done


def drifts(run: Reconciliation) -> list[tuple[DriftKind, str, DriftAction]]:
    return [(drift.kind, drift.entity, drift.action) for drift in run.drifts]


def a_business(customers: int = 1) -> World:
    """Two plans on sale, an add-on, and customers who bought, all of it at rest."""
    world = World()
    world.sell("pro", a_price("m"), entitlements=[a_value("sso", True)])
    world.sell("gold", a_price("g", 1), product_id="other")
    world.sell("storage", a_price("s", 2), kind=PackageKind.ADDON)
    for number in range(customers):
        name = ACME if number == 0 else f"customer_{number:03d}"
        world.customer(name)
        world.buy("pro", name)
        world.converge(name)
    world.clock.advance(minutes=30)
    return world


def the_subscription(world: World, customer_id: str = ACME) -> str:
    billing_id = world.subscriptions(customer_id)[0].billing_id
    assert billing_id is not None
    return billing_id


def test_reconcile_at_rest_finds_nothing_and_changes_nothing() -> None:
    world = a_business(3)
    writes = calls_of(world, ["apply", "update_customer", "ensure_customer"])
    run = reconcile(world)
    assert run.drifts == ()
    assert run.counts == {
        "resent": 0,
        "packages": 3,
        "skipped": 0,
        "failed": 0,
        "coupons": 0,
        "customers": 3,
        "events_missed": 0,
        "events": 0,
    }
    assert calls_of(world, ["apply", "update_customer", "ensure_customer"]) == writes
    assert run.finished_at is not None


# --- subscriptions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"status": SubscriptionStatus.CANCELED}, DriftKind.SUBSCRIPTION_STATUS),
        ({"status": SubscriptionStatus.PAST_DUE}, DriftKind.SUBSCRIPTION_STATUS),
        ({"current_period_end": None}, DriftKind.SUBSCRIPTION_PERIOD),
        ({"currency": "eur"}, DriftKind.SUBSCRIPTION_PLAN),
        ({"url": None}, DriftKind.SUBSCRIPTION_DETAILS),
    ],
)
def test_reconcile_change_nobody_told_of_is_repaired_and_reported_once(
    change: dict[str, Any], kind: DriftKind
) -> None:
    world = a_business()
    world.billing.edit_subscription(the_subscription(world), **change)
    run = reconcile(world)
    entity = f"subscription:{world.subscriptions()[0].id}"
    assert drifts(run) == [(kind, entity, REPAIRED)]
    assert (run.counts["drifts"], run.counts["repaired"]) == (1, 1)
    assert world.monitor.named("drift") == [{"kind": kind, "entity": entity, "action": REPAIRED}]
    assert reconcile(world).drifts == ()


def test_reconcile_cancellation_nobody_told_of_takes_access() -> None:
    world = a_business()
    world.billing.cancel(the_subscription(world))
    reconcile(world)
    assert not world.check("sso").decision.has_access


def test_reconcile_payment_nobody_told_of_gives_access() -> None:
    world = a_business()
    world.customer("late")
    world.buy("pro", "late")
    assert [kind for kind, _, _ in drifts(reconcile(world))] == [DriftKind.SUBSCRIPTION_MISSING]
    assert world.check("sso", customer_id="late").decision.has_access


def test_reconcile_subscription_that_vanished_is_canceled() -> None:
    world = a_business()
    del world.billing.subscriptions[the_subscription(world)]
    assert [kind for kind, _, _ in drifts(reconcile(world))] == [DriftKind.SUBSCRIPTION_VANISHED]
    assert reconcile(world).drifts == ()


def test_reconcile_subscription_made_by_hand_is_taken_over_or_reported() -> None:
    world = a_business()
    customer = world.stored_customer().billing_id("stripe")
    assert customer is not None
    gold = world.price_id("gold", "g")
    for billing_id, price in (("sub_gold", gold), ("sub_x", "price_x"), ("sub_gold2", gold)):
        world.billing.add_subscription(
            a_provider_subscription(billing_id, [price], customer_billing_id=customer)
        )
    kinds = sorted((kind, action) for kind, _, action in drifts(reconcile(world)))
    assert kinds == [
        (DriftKind.SUBSCRIPTION_DUPLICATE, REPORTED),
        (DriftKind.SUBSCRIPTION_MISSING, REPAIRED),
        (DriftKind.SUBSCRIPTION_MISSING, REPAIRED),
        (DriftKind.SUBSCRIPTION_UNMANAGED, REPORTED),
    ]


def test_reconcile_customer_deleted_at_the_provider_loses_access_and_the_link() -> None:
    world = a_business()
    billing_id = world.stored_customer().billing_id("stripe")
    assert billing_id is not None
    world.billing.delete_customer(billing_id)
    run = reconcile(world)
    assert [kind for kind, _, _ in drifts(run)] == [
        DriftKind.SUBSCRIPTION_STATUS,
        DriftKind.CUSTOMER_DELETED,
    ]
    assert not world.check("sso").decision.has_access
    assert world.stored_customer().links == ()
    assert reconcile(world).drifts == ()
    # And may buy again, as a new customer there.
    world.buy()
    world.converge()
    assert world.check("sso").decision.has_access


def test_reconcile_tells_the_provider_of_details_that_changed() -> None:
    world = a_business()
    update_customer(world.ports, a_cause(), ACME, {"name": "Acme Ltd"}, None)
    assert reconcile(world).drifts == ()
    assert ("Acme Ltd", None) in world.billing.customer_details.values()
    assert world.stored_customer().links[0].sync_status is SyncStatus.SYNCED


# --- the catalog ------------------------------------------------------------------------------------------


def archive_price(world: World) -> None:
    world.billing.edit_product(KEY, default_price=None)
    world.billing.edit_price(world.price_id("pro", "m"), active=False)


def delete_product(world: World) -> None:
    del world.billing.products[KEY]
    del world.billing._prices[world.price_id("pro", "m")]


def add_price(world: World) -> None:
    stored = world.billing._prices[world.price_id("pro", "m")]
    world.billing._prices["price_extra"] = replace(
        stored,
        observed=replace(stored.observed, billing_id="price_extra", lookup_key=None, metadata={}),
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (archive_price, [DriftKind.PRICE_ARCHIVED, DriftKind.DEFAULT_PRICE_CHANGED]),
        (
            lambda world: world.billing.edit_price(world.price_id("pro", "m"), lookup_key=None),
            [DriftKind.PRICE_LOOKUP_KEY],
        ),
        (
            lambda world: world.billing.edit_price(
                world.price_id("pro", "m"), lookup_key=None, metadata={}
            ),
            [DriftKind.PRICE_MISSING, DriftKind.PRICE_EXTRA, DriftKind.DEFAULT_PRICE_CHANGED],
        ),
        (add_price, [DriftKind.PRICE_EXTRA]),
        (
            delete_product,
            [DriftKind.PRODUCT_MISSING],
        ),
        (
            lambda world: world.billing.edit_product(KEY, name="Hacked"),
            [DriftKind.PRODUCT_CHANGED],
        ),
        (
            lambda world: world.billing.edit_product(KEY, active=False),
            [DriftKind.PRODUCT_ARCHIVED],
        ),
        (
            lambda world: world.billing.edit_product(KEY, metadata={}),
            [DriftKind.PRODUCT_METADATA],
        ),
        (
            lambda world: world.billing.edit_product(KEY, default_price=None),
            [DriftKind.DEFAULT_PRICE_CHANGED],
        ),
    ],
)
def test_reconcile_catalog_edited_by_hand_is_repaired_and_reported_once(
    change: Any, expected: list[DriftKind]
) -> None:
    world = a_business()
    change(world)
    run = reconcile(world)
    assert drifts(run) == [(kind, "plan:pro", REPAIRED) for kind in expected]
    assert reconcile(world).drifts == ()
    world.customer("new")
    world.buy("pro", "new")


def test_reconcile_change_still_on_its_way_is_no_drift() -> None:
    world = a_business()
    world.publish("pro", a_price("m", 1500))
    world.publish("fresh", a_price("f"))
    before = calls_of(world, ["apply"])
    assert reconcile(world).drifts == ()
    assert calls_of(world, ["apply"]) == before


def test_reconcile_package_being_synced_is_skipped() -> None:
    world = a_business()
    archive_price(world)
    link = world.link()
    world.put(replace(link, lease_until=world.clock.now() + timedelta(minutes=1)))
    run = reconcile(world)
    assert (run.drifts, run.counts["skipped"]) == ((), 1)


def test_reconcile_package_refused_by_the_provider_does_not_stop_the_others() -> None:
    world = a_business()
    world.billing.edit_product("pg_test_plan_gold", name="Hacked")
    world.billing.edit_product(KEY, name="Hacked")
    world.billing.fail(
        "observe_product",
        ProviderRefusedError("No such permission."),
        times=9,
        where=lambda call: call.arguments == ("pg_test_plan_gold",),
    )
    run = reconcile(world)
    assert drifts(run) == [(DriftKind.PRODUCT_CHANGED, "plan:pro", REPAIRED)]
    assert run.counts["failed"] == 1
    assert world.monitor.named("reconcile_object_failed") == [
        {"entity": "plan:gold", "code": "billing_provider_refused"}
    ]


# --- strays and marks ----------------------------------------------------------------------------------------


def a_stray(world: World, metadata: dict[str, str] | None = None) -> str:
    """Somebody sold our plan to a customer there whom nobody linked; the customer's id there."""
    made = world.billing.ensure_customer(metadata or {}, f"by hand {metadata}")
    world.billing.add_subscription(
        a_provider_subscription(
            f"sub_of_{made.billing_id}",
            [world.price_id("pro", "m")],
            customer_billing_id=made.billing_id,
        )
    )
    return made.billing_id


def test_reconcile_stray_of_nobody_is_reported_once_and_stands_then() -> None:
    world = a_business()
    customer = a_stray(world)
    entity = f"customer_subscription:sub_of_{customer}"
    assert drifts(reconcile(world)) == [(DriftKind.SUBSCRIPTION_STRAY, entity, REPORTED)]
    for _ in range(2):
        again = reconcile(world)
        assert again.drifts == ()
        assert [one.entity for one in again.standing] == [entity]
    world.billing.cancel(f"sub_of_{customer}")
    last = reconcile(world)
    assert (last.drifts, last.standing) == ((), ())


def test_reconcile_stray_that_somebody_acts_on_and_repeats_is_news_again() -> None:
    world = a_business()
    customer = a_stray(world)
    reconcile(world)
    world.billing.cancel(f"sub_of_{customer}")
    reconcile(world)
    world.billing.edit_subscription(f"sub_of_{customer}", status=SubscriptionStatus.ACTIVE)
    assert len(reconcile(world).drifts) == 1


def test_reconcile_subscription_of_another_system_in_the_account_is_none_of_our_business() -> None:
    world = a_business()
    made = world.billing.ensure_customer({}, "shop")
    world.billing.add_subscription(
        a_provider_subscription("sub_shop", ["price_x"], customer_billing_id=made.billing_id)
    )
    before = calls_of(world, ["get_customer"])
    assert reconcile(world).drifts == ()
    assert calls_of(world, ["get_customer"]) == before + 1  # Acme's


def test_reconcile_stray_that_cannot_be_looked_up_does_not_stop_the_others() -> None:
    world = a_business()
    first, second = a_stray(world), a_stray(world, {"a": "b"})
    error = ProviderUnavailableError("Server error.", definite=True)
    world.billing.fail("get_customer", error, where=lambda call: call.arguments == (first,))
    run = reconcile(world)
    assert run.counts["failed"] == 1
    assert [entity for _, entity, _ in drifts(run)] == [f"customer_subscription:sub_of_{second}"]


def test_reconcile_refused_a_list_of_all_subscriptions_goes_on_without() -> None:
    world = a_business()
    world.billing.fail("live_subscriptions", ProviderRefusedError("No such permission."))
    run = reconcile(world)
    assert (run.counts["failed"], run.drifts) == (1, ())


def test_reconcile_goes_through_all_pages_of_live_subscriptions() -> None:
    world = a_business()
    for number in range(120):
        world.billing.add_subscription(
            a_provider_subscription(f"sub_{number:03d}", ["price_x"], customer_billing_id="cus_x")
        )
    customer = a_stray(world)
    assert [entity for _, entity, _ in drifts(reconcile(world))] == [
        f"customer_subscription:sub_of_{customer}"
    ]


def test_reconcile_marks_wiped_on_both_are_restored() -> None:
    world = a_business()
    billing_id = the_subscription(world)
    customer = world.billing.subscriptions[billing_id].customer_billing_id
    held, marks = (
        world.billing.customers[customer],
        world.billing.subscriptions[billing_id].metadata,
    )
    world.billing.edit_subscription(billing_id, metadata={"crm": "17"})
    world.billing.customers[customer] = replace(held, metadata={})
    assert [(kind, action) for kind, _, action in drifts(reconcile(world))] == [
        (DriftKind.SUBSCRIPTION_METADATA, REPAIRED),
        (DriftKind.CUSTOMER_METADATA, REPAIRED),
    ]
    found = world.billing.subscriptions[billing_id].metadata
    assert found["crm"] == "17"
    assert {key: found.get(key) for key in found.keys() & marks.keys()}.items() <= marks.items()
    assert world.billing.customers[customer].metadata == held.metadata
    assert reconcile(world).drifts == ()


def test_reconcile_shows_of_the_other_mode_are_told_of_and_not_believed() -> None:
    world = a_business()
    world.billing.edit_subscription(
        the_subscription(world), live=True, status=SubscriptionStatus.CANCELED
    )
    run = reconcile(world)
    assert drifts(run) == [(DriftKind.LIVEMODE, f"customer:{ACME}", REPORTED)]
    assert run.counts["failed"] == 0
    assert world.check("sso").decision.has_access


# --- what stands in the way --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        ProviderRefusedError("Refused."),
        ProviderUnavailableError("Server error.", definite=True),
    ],
)
def test_reconcile_customer_that_fails_does_not_stop_the_others(error: Exception) -> None:
    world = a_business(3)
    poisoned = world.stored_customer().billing_id("stripe")
    world.billing.fail(
        "list_subscriptions", error, times=99, where=lambda call: call.arguments == (poisoned,)
    )
    for number in (1, 2):
        world.billing.cancel(the_subscription(world, f"customer_{number:03d}"))
    run = reconcile(world)
    assert run.counts["failed"] == 1
    assert [kind for kind, _, _ in drifts(run)] == [DriftKind.SUBSCRIPTION_STATUS] * 2


def test_reconcile_while_the_provider_is_away_breaks_off_and_goes_on_later() -> None:
    world = a_business(2)
    world.billing.cancel(the_subscription(world))
    world.billing.fail("list_subscriptions", ProviderUnavailableError("Rate limited."))
    run = start_reconciliation(world.ports, "test")
    with pytest.raises(ProviderUnavailableError):
        continue_reconciliation(world.ports, a_cause(), run.id, FakeDeadline())
    stored = world.store.get(Reconciliation, run.id)
    assert stored is not None
    assert (stored.status, stored.phase) == (ReconciliationStatus.RUNNING, Phase.CUSTOMERS)
    done = continue_reconciliation(world.ports, a_cause(), run.id, FakeDeadline())
    assert done.status is ReconciliationStatus.SUCCEEDED
    assert [kind for kind, _, _ in drifts(done)] == [DriftKind.SUBSCRIPTION_STATUS]


def test_reconcile_while_the_store_is_away_breaks_off() -> None:
    world = a_business()
    world.billing.cancel(the_subscription(world))
    run = start_reconciliation(world.ports, "test")

    def away(writes: Any) -> None:
        if not isinstance(writes[0].record, Reconciliation):
            raise StoreUnavailableError("away")

    world.store.before_commit = away
    with pytest.raises(StoreUnavailableError):
        continue_reconciliation(world.ports, a_cause(), run.id, FakeDeadline())


# --- the outbox and events -----------------------------------------------------------------------------------


def test_reconcile_tasks_left_behind_are_sent_again_and_reported() -> None:
    world = a_business()
    world.publish("late", a_price("l"))
    world.clock.advance(minutes=11)
    run = reconcile(world)
    assert drifts(run) == [(DriftKind.SYNC_STUCK, "plan:late", REPORTED)]
    assert run.counts["resent"] == 1
    assert [message.queue for message in world.queue.messages].count(QueueName.SYNC) == 1
    world.sync()
    assert reconcile(world).drifts == ()


def test_reconcile_task_that_failed_is_reported_until_somebody_acts() -> None:
    world = a_business()
    world.publish("bad", a_price("b"))
    world.billing.fail("apply", ProviderRefusedError("Amount too small."))
    world.sync()
    world.clock.advance(minutes=11)
    (drift,) = reconcile(world).drifts
    assert drift.ours == {
        "sync_task": "sync_bad_1",
        "status": SyncTaskStatus.FAILED,
        "error": "Amount too small.",
    }


def test_reconcile_event_left_behind_is_applied_and_reported() -> None:
    world = a_business()
    customer = world.stored_customer().billing_id("stripe")
    keep_billing_event(world.ports, "stripe", world.event(customer_billing_id=customer))
    world.clock.advance(minutes=11)
    run = reconcile(world)
    assert drifts(run) == [(DriftKind.EVENT_STUCK, "billing_event:evt_1", REPAIRED)]
    event = world.store.get(BillingEvent, "evt_1")
    assert event is not None
    assert event.status is BillingEventStatus.PROCESSED


def test_reconcile_event_of_a_stranger_is_reported() -> None:
    world = a_business()
    event = world.event(customer_billing_id="cus_stranger")
    receive_billing_event(world.ports, a_cause(), "stripe", event)
    assert reconcile(world).drifts == ()
    world.clock.advance(minutes=11)
    (drift,) = reconcile(world).drifts
    assert (drift.kind, drift.action) == (DriftKind.EVENT_STUCK, REPORTED)
    assert drift.ours == {"type": event.type, "reason": "unknown_customer"}


def test_reconcile_takes_in_the_events_that_never_came_once() -> None:
    world = a_business()
    customer = world.stored_customer().billing_id("stripe")
    heard = world.event("evt_heard", customer_billing_id=customer)
    receive_billing_event(world.ports, a_cause(), "stripe", heard)
    world.billing.history.append(heard)
    for number in range(5):
        event = world.event(f"evt_{number}", customer_billing_id=customer, api_version="2020-01-01")
        world.billing.history.append(event)
    world.clock.advance(minutes=11)
    world.billing.history.append(world.event("evt_young", customer_billing_id=customer))
    run = reconcile(world)
    missed = [f"billing_event:evt_{number}" for number in range(5)]
    assert sorted(drifts(run)) == [(DriftKind.EVENT_MISSED, one, REPAIRED) for one in missed]
    assert run.counts["events_missed"] == 5
    kept = world.store.all(BillingEvent)
    assert len(kept) == 7
    assert {event.status for event in kept} == {BillingEventStatus.PROCESSED}
    again = reconcile(world)
    assert (again.drifts, again.counts["events_missed"]) == ((), 0)
    # The late delivery finds it done.
    commits = len(world.store.commits)
    receive_billing_event(world.ports, a_cause(), "stripe", world.billing.history[1])
    assert len(world.store.commits) == commits


def test_reconcile_looks_for_missed_events_from_the_last_run_that_ended_well() -> None:
    world = a_business()
    looks: list[Any] = []

    def since() -> timedelta:
        asked = [call for call in world.billing.calls if call.method == "past_events"]
        assert len(asked) > len(looks)
        looks.extend(asked[len(looks) :])
        moment: datetime = looks[-1].arguments[0]
        return world.clock.now() - moment

    reconcile(world)
    assert since() == timedelta(days=3, seconds=1)
    world.clock.advance(hours=5)
    reconcile(world)
    assert since() == timedelta(hours=5, minutes=10, seconds=2)
    world.clock.advance(days=40)
    reconcile(world)
    assert since() == timedelta(days=30, seconds=1)


def test_reconcile_events_nobody_can_read_are_counted_where_operators_look() -> None:
    world = a_business()
    world.billing.unreadable = 3
    assert reconcile(world).drifts == ()
    assert world.monitor.named("billing_events_unreadable") == [
        {"provider": "stripe", "unreadable": 3}
    ]


def test_reconcile_refused_a_look_at_past_events_goes_on_without() -> None:
    world = a_business()
    world.billing.fail("past_events", ProviderRefusedError("No such permission."))
    run = reconcile(world)
    assert (run.counts["failed"], run.drifts) == (1, ())
    assert world.monitor.named("reconcile_object_failed") == [
        {"entity": "history:stripe", "code": "billing_provider_refused"}
    ]


def test_reconcile_event_that_fails_does_not_stop_the_others() -> None:
    world = a_business(2)
    poisoned = world.stored_customer().billing_id("stripe")
    other = world.stored_customer("customer_001").billing_id("stripe")
    for number, customer in enumerate((poisoned, other)):
        event = world.event(f"evt_{number}", customer_billing_id=customer)
        keep_billing_event(world.ports, "stripe", event)
    error = ProviderUnavailableError("Server error.", definite=True)
    world.billing.fail(
        "list_subscriptions", error, times=99, where=lambda call: call.arguments == (poisoned,)
    )
    run = reconcile(world)
    assert run.counts["failed"] == 2  # the customer, too
    applied = world.store.get(BillingEvent, "evt_1")
    assert applied is not None
    assert applied.status is BillingEventStatus.PROCESSED


# --- runs ------------------------------------------------------------------------------------------------------


def continuations(world: World) -> int:
    return sum(message.queue is QueueName.RECONCILE for message in world.queue.messages)


def test_reconcile_out_of_time_resumes_where_it_stopped() -> None:
    world = a_business(45)
    for held in list(world.billing.subscriptions):
        world.billing.cancel(held)
    run = start_reconciliation(world.ports, "test")
    invocations = 0
    while run.status is ReconciliationStatus.RUNNING:
        invocations += 1
        assert invocations < 100
        messages = continuations(world)
        run = continue_reconciliation(
            world.ports, a_cause(), run.id, FakeDeadline(seconds=40, step=10)
        )
        assert continuations(world) - messages == (run.status is ReconciliationStatus.RUNNING)
    assert invocations > 3
    assert run.counts["customers"] == 45
    assert run.counts["drifts"] == 45
    assert len({drift.entity for drift in run.drifts}) == 45


def test_reconcile_killed_anywhere_is_finished_by_the_next_delivery() -> None:
    def make() -> World:
        world = a_business(2)
        world.billing.cancel(the_subscription(world))
        archive_price(world)
        start_reconciliation(world.ports, "test")
        return world

    def go_on(world: World) -> Reconciliation:
        (run,) = world.store.all(Reconciliation)
        return continue_reconciliation(world.ports, a_cause(), run.id, FakeDeadline())

    for world in every_crash(make, go_on):
        world.clock.advance(minutes=2)
        go_on(world)
        assert not world.check("sso").decision.has_access
        # A catalog cut off in the middle of its lease is left to the next run.
        reconcile(world)
        assert reconcile(world).drifts == ()


def test_reconcile_delivered_twice_is_done_once() -> None:
    world = a_business()
    world.billing.cancel(the_subscription(world))
    run = start_reconciliation(world.ports, "test")

    def redelivery(writes: Any) -> None:
        if isinstance(writes[0].record, Reconciliation):
            world.store.before_commit = None
            continue_reconciliation(world.ports, a_cause(), run.id, FakeDeadline())

    world.store.before_commit = redelivery
    done = continue_reconciliation(world.ports, a_cause(), run.id, FakeDeadline())
    assert (done.status, done.counts["customers"]) == (ReconciliationStatus.SUCCEEDED, 1)
    again = continue_reconciliation(world.ports, a_cause(), run.id, FakeDeadline())
    assert again == done


def test_reconcile_unknown_run_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        continue_reconciliation(World().ports, a_cause(), "rec_ghost", FakeDeadline())


def test_start_reconciliation_while_one_runs_returns_that_one() -> None:
    world = World()
    first = start_reconciliation(world.ports, "schedule")
    # As long as nothing has moved it, its message may never have been sent.
    assert start_reconciliation(world.ports, "api") == first
    assert len(world.queue.messages) == 2
    moved = replace(first, phase=Phase.CATALOG, revision=2)
    world.put(moved)
    assert start_reconciliation(world.ports, "api") == moved
    assert len(world.queue.messages) == 2
    assert world.queue.messages[0].body == {"reconciliation_id": first.id}


def test_start_reconciliation_of_one_gone_silent_sets_it_going_again() -> None:
    world = World()
    first = start_reconciliation(world.ports, "schedule")
    world.clock.advance(minutes=11)
    assert start_reconciliation(world.ports, "schedule") == first
    assert len(world.queue.messages) == 2


def test_start_reconciliation_of_one_that_never_moves_gives_it_up_for_a_new_one() -> None:
    world = World()
    first = start_reconciliation(world.ports, "schedule")
    world.clock.advance(minutes=61)
    second = start_reconciliation(world.ports, "schedule")
    assert second.id != first.id
    given_up = world.store.get(Reconciliation, first.id)
    assert given_up is not None
    assert given_up.status is ReconciliationStatus.FAILED
    assert (given_up.error, given_up.finished_at) == (
        "No progress in the phase 'outbox'.",
        world.clock.now(),
    )
    assert world.monitor.named("reconciliation_given_up")
    # A late message of the dead run wakes nobody.
    late = continue_reconciliation(world.ports, a_cause(), first.id, FakeDeadline())
    assert late == given_up


def test_reconcile_keeps_so_many_drifts_and_counts_the_rest() -> None:
    world = World()
    world.sell("pro", a_price("m"))
    world.customer()
    world.buy()
    customer = world.stored_customer().billing_id("stripe")
    assert customer is not None
    for number in range(310):
        world.billing.add_subscription(
            a_provider_subscription(f"sub_x{number}", ["price_x"], customer_billing_id=customer)
        )
    run = reconcile(world)
    assert (len(run.drifts), run.drifts_omitted, run.counts["drifts"]) == (300, 11, 311)


def test_reconcile_failing_after_the_repair_repeats_the_page_and_changes_nothing_twice() -> None:
    world = a_business()
    world.billing.cancel(the_subscription(world))
    world.billing.fail("get_customer", ProviderUnavailableError("away"), when=When.AFTER)
    run = start_reconciliation(world.ports, "test")
    with pytest.raises(ProviderUnavailableError):
        continue_reconciliation(world.ports, a_cause(), run.id, FakeDeadline())
    done = continue_reconciliation(world.ports, a_cause(), run.id, FakeDeadline())
    assert done.status is ReconciliationStatus.SUCCEEDED
    assert len(world.audited(f"subscription:{world.subscriptions()[0].id}")) == 2


def test_reconcile_goes_through_all_pages_of_plans_and_addons() -> None:
    world = World()
    for number in range(23):
        world.sell(f"plan_{number:02d}", a_price(f"p{number}"))
        world.sell(f"addon_{number:02d}", a_price(f"a{number}"), kind=PackageKind.ADDON)
    world.billing.edit_product("pg_test_plan_plan_22", name="Hacked")
    world.billing.edit_product("pg_test_addon_addon_22", name="Hacked")
    run = reconcile(world)
    assert run.counts["packages"] == 46
    assert [entity for _, entity, _ in drifts(run)] == ["plan:plan_22", "addon:addon_22"]


def test_reconcile_what_the_provider_refuses_to_make_good_is_still_told_of() -> None:
    world = a_business()
    world.billing.edit_product(KEY, name="Hacked")
    world.billing.fail("apply", ProviderRefusedError("No such permission."), times=9)
    (drift,) = reconcile(world).drifts
    assert (drift.kind, drift.action) == (DriftKind.PRODUCT_CHANGED, REPORTED)
    assert (drift.ours, drift.theirs) == (
        {"product": KEY, "name": "Pro"},
        {"product": KEY, "name": "Hacked"},
    )


def test_reconcile_only_reporting_pushes_nothing_and_still_follows_subscriptions() -> None:
    world = a_business()
    world.billing.edit_product(KEY, name="Hacked")
    update_customer(world.ports, a_cause(), ACME, {"name": "Acme Ltd"}, None)
    world.billing.cancel(the_subscription(world))
    writes = calls_of(world, ["apply", "update_customer", "ensure_customer"])
    run = start_reconciliation(world.ports, "test", DriftPolicy.REPORT)
    done = continue_reconciliation(world.ports, a_cause(), run.id, FakeDeadline())
    assert drifts(done)[0] == (DriftKind.PRODUCT_CHANGED, "plan:pro", REPORTED)
    assert not world.check("sso").decision.has_access
    assert calls_of(world, ["apply", "update_customer", "ensure_customer"]) == writes


def test_start_reconciliation_while_one_runs_keeps_its_policy() -> None:
    world = World()
    first = start_reconciliation(world.ports, "schedule")
    again = start_reconciliation(world.ports, "api", DriftPolicy.REPORT)
    assert (again.id, again.policy) == (first.id, DriftPolicy.RESTORE)


def test_reconcile_of_a_provider_configured_later_is_only_told_of_when_reporting() -> None:
    world = a_business()
    del world.store.records[CatalogLink, world.link().identity]
    run = start_reconciliation(world.ports, "test", DriftPolicy.REPORT)
    done = continue_reconciliation(world.ports, a_cause(), run.id, FakeDeadline())
    assert drifts(done) == [(DriftKind.PRODUCT_MISSING, "plan:pro", REPORTED)]
