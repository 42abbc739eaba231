import itertools
import random
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.billing import ProviderEvent, SyncStatus
from chalicelib.domain.billing_events import BillingEvent, BillingEventStatus
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import (
    NotFoundError,
    ProviderRefusedError,
    ProviderUnavailableError,
    StoreConflictError,
    StoreUnavailableError,
)
from chalicelib.domain.references import Reference, customer_namespace
from chalicelib.domain.subscriptions import Subscription, SubscriptionStatus
from chalicelib.ports import QueueName
from chalicelib.services.apply_billing_event import (
    apply_billing_event,
    enqueue_billing_event,
    keep_billing_event,
    receive_billing_event,
    replay_billing_event,
)
from chalicelib.services.link_customer import link_customer
from tests.factories import ACME, ENVIRONMENT, a_limit, a_price, a_value
from tests.fakes.crashes import Interleaving, every_crash, schedules
from tests.fakes.world import World, a_cause, calls_of

PENDING, PROCESSED = BillingEventStatus.PENDING, BillingEventStatus.PROCESSED
FAILED, IGNORED = BillingEventStatus.FAILED, BillingEventStatus.IGNORED


def a_shop() -> World:
    world = World()
    world.sell("pro", a_price(), entitlements=[a_value("sso", True), a_limit("api", 100)])
    world.customer()
    return world


def bought(world: World) -> tuple[str, str]:
    """The provider's ids of the customer and of its paid subscription, of which we have not heard."""
    billing_id = world.buy()
    return world.billing.subscriptions[billing_id].customer_billing_id, billing_id


def receive(world: World, event: ProviderEvent) -> BillingEvent:
    return receive_billing_event(world.ports, a_cause(event.id), "stripe", event)


def stored(world: World, event_id: str = "evt_1") -> BillingEvent:
    found = world.store.get(BillingEvent, event_id)
    assert found is not None
    return found


def test_event_about_a_paid_checkout_gives_access_and_is_processed_in_one_commit() -> None:
    world = a_shop()
    customer, _ = bought(world)
    event = receive(world, world.event("evt_1", "checkout.session.completed", customer))
    assert event == stored(world)
    assert (event.status, event.customer_id, event.reason) == (PROCESSED, ACME, None)
    assert event.processed_at == world.clock.now()
    assert world.check("sso").decision.has_access
    assert {BillingEvent, Subscription} <= {type(write.record) for write in world.store.commits[-1]}


def test_event_delivered_again_does_nothing_again() -> None:
    world = a_shop()
    customer, _ = bought(world)
    receive(world, world.event(customer_billing_id=customer))
    commits, calls = len(world.store.commits), len(world.billing.calls)
    for _ in range(3):
        assert receive(world, world.event(customer_billing_id=customer)).status is PROCESSED
    assert (len(world.store.commits), len(world.billing.calls)) == (commits, calls)


def test_event_delivered_twice_at_once_makes_one_subscription() -> None:
    for schedule in itertools.islice(schedules(5, 5), 0, None, 5):
        world = a_shop()
        customer, _ = bought(world)

        def deliver(world: World = world, customer: str = customer) -> BillingEvent:
            return receive(world, world.event(customer_billing_id=customer))

        race = Interleaving(world, [deliver, deliver])
        race.run(schedule)
        assert race.errors == [None, None], schedule
        assert stored(world).status is PROCESSED
        (held,) = world.subscriptions()
        assert len(world.audited(f"subscription:{held.id}")) == 1


@pytest.mark.parametrize(
    ("event_type", "fields", "reason"),
    [
        ("product.updated", {"about_customer": False}, "not_about_a_customer"),
        ("payment_method.attached", {"about_customer": False}, "not_about_a_customer"),
        ("customer.updated", {"customer_billing_id": None}, "names_no_customer"),
        ("customer.subscription.updated", {"live": True}, "wrong_mode"),
        ("customer.subscription.updated", {"api_version": "2020-01-01"}, "wrong_api_version"),
        ("customer.subscription.updated", {"api_version": None}, "wrong_api_version"),
    ],
)
def test_event_not_ours_to_apply_is_kept_with_the_reason(
    event_type: str, fields: dict[str, Any], reason: str
) -> None:
    world = a_shop()
    before = len(world.billing.calls)
    event = receive(world, world.event("evt_1", event_type, **fields))
    assert event == stored(world)
    assert (event.status, event.reason) == (IGNORED, reason)
    assert len(world.billing.calls) == before
    alarmed = world.monitor.named("billing_event_quarantined")
    assert bool(alarmed) == reason.startswith("wrong_")
    assert apply_billing_event(world.ports, a_cause(), "evt_1") == event
    assert replay_billing_event(world.ports, a_cause(), "evt_1") == event


def test_event_of_the_wrong_mode_alarms_once_however_often_it_comes() -> None:
    world = a_shop()
    for _ in range(3):
        receive(world, world.event(live=True))
    assert len(world.monitor.named("billing_event_quarantined")) == 1


def test_event_of_unknown_customer_is_parked_and_applied_once_the_link_is_there() -> None:
    world = a_shop()
    event = receive(world, world.event(customer_billing_id="cus_000002"))
    assert (event.status, event.reason, event.attempts) == (PENDING, "unknown_customer", 1)
    customer, _ = bought(world)
    assert customer == "cus_000002"
    assert apply_billing_event(world.ports, a_cause(), "evt_1").status is PROCESSED
    assert stored(world).reason is None
    assert world.check("sso").decision.has_access


def test_event_of_a_customer_made_by_a_process_that_died_links_it_by_its_metadata() -> None:
    world = a_shop()
    customer, _ = bought(world)
    held = world.stored_customer()
    world.store.records.pop((Reference, (customer_namespace("stripe"), customer)))
    world.put(replace(held, links=(), email="a@acme.example", version=held.version + 1))
    assert receive(world, world.event(customer_billing_id=customer)).status is PROCESSED
    (link,) = world.stored_customer().links
    assert (link.billing_id, link.sync_status) == (customer, SyncStatus.PENDING)
    assert world.check("sso").decision.has_access
    assert len(world.monitor.named("customer_adopted")) == 1


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"paygrade_environment": "other"},
        {"paygrade_entity_type": "plan"},
        {"paygrade_entity_id": "ghost"},
        {"paygrade_entity_id": ""},
    ],
)
def test_event_of_a_customer_whose_metadata_names_none_of_ours_is_parked(
    metadata: dict[str, str],
) -> None:
    world = a_shop()
    stranger = world.billing.ensure_customer(
        {
            "paygrade_entity_id": ACME,
            "paygrade_entity_type": "customer",
            "paygrade_environment": ENVIRONMENT,
            **metadata,
        }
        if metadata
        else {},
        "key",
    )
    event = receive(world, world.event(customer_billing_id=stranger.billing_id))
    assert (event.status, event.reason) == (PENDING, "unknown_customer")
    assert world.stored_customer().links == ()


def test_event_of_a_second_customer_with_our_metadata_is_parked_and_relinks_nobody() -> None:
    world = a_shop()
    customer, _ = bought(world)
    twin = world.billing.ensure_customer(world.billing.customers[customer].metadata, "by hand")
    event = receive(world, world.event(customer_billing_id=twin.billing_id))
    assert (event.status, event.reason) == (PENDING, "unknown_customer")
    assert world.stored_customer().billing_id("stripe") == customer


def test_event_of_a_stranger_who_was_deleted_is_a_tombstone() -> None:
    world = a_shop()
    stranger = world.billing.ensure_customer({}, "key")
    world.billing.delete_customer(stranger.billing_id)
    deleted = world.event("evt_1", "customer.deleted", stranger.billing_id)
    event = receive(world, deleted)
    assert (event.status, event.reason) == (IGNORED, "customer_deleted")
    assert receive(world, deleted) == event
    assert world.queue.messages == []


def test_event_given_up_can_be_replayed_once_the_customer_is_known() -> None:
    world = a_shop()
    receive(world, world.event(customer_billing_id="cus_000002"))
    world.clock.advance(days=3)
    event = apply_billing_event(world.ports, a_cause(), "evt_1")
    assert (event.status, event.reason) == (FAILED, "unknown_customer")
    assert len(world.monitor.named("billing_event_given_up")) == 1
    assert replay_billing_event(world.ports, a_cause(), "evt_1").status is FAILED
    customer, _ = bought(world)
    assert customer == "cus_000002"
    assert replay_billing_event(world.ports, a_cause(), "evt_1").status is PROCESSED
    assert world.check("sso").decision.has_access


def test_event_naming_a_subscription_that_lists_lag_behind_on_is_not_lost() -> None:
    world = a_shop()
    customer, subscription = bought(world)
    world.billing.unlisted.add(subscription)
    receive(
        world,
        world.event("evt_1", "customer.subscription.created", customer, object_id=subscription),
    )
    assert world.check("sso").decision.has_access


def test_event_about_an_invoice_does_not_take_its_id_for_a_subscriptions() -> None:
    world = a_shop()
    customer, _ = bought(world)
    before = calls_of(world, ["get_subscription"])
    receive(world, world.event("evt_1", "invoice.paid", customer, object_id="in_1"))
    assert calls_of(world, ["get_subscription"]) == before


def test_event_while_the_provider_is_away_is_left_to_a_worker() -> None:
    world = a_shop()
    customer, _ = bought(world)
    world.billing.fail("list_subscriptions", ProviderUnavailableError("away"))
    assert receive(world, world.event(customer_billing_id=customer)).status is PENDING
    (message,) = world.queue.messages
    assert (message.queue, message.group) == (QueueName.CONVERGE, customer)
    assert message.body == {"event_id": "evt_1"}
    world.queue.drain(
        QueueName.CONVERGE,
        lambda sent: apply_billing_event(world.ports, a_cause(), sent.body["event_id"]),
    )
    assert stored(world).status is PROCESSED


def test_event_while_provider_and_queue_are_away_is_left_to_the_sweep() -> None:
    world = a_shop()
    customer, _ = bought(world)
    world.billing.fail("list_subscriptions", ProviderUnavailableError("away"))
    world.queue.down = True
    assert receive(world, world.event(customer_billing_id=customer)).status is PENDING
    assert world.monitor.named("billing_event_left_to_sweep")


def test_event_that_cannot_be_stored_is_refused_so_that_the_provider_sends_it_again() -> None:
    world = a_shop()

    def away(_: object) -> None:
        raise StoreUnavailableError("away")

    world.store.before_commit = away
    with pytest.raises(StoreUnavailableError):
        receive(world, world.event())


def test_event_that_conflicts_with_nothing_stored_is_refused() -> None:
    world = a_shop()

    def conflict(_: object) -> None:
        raise StoreConflictError("transient")

    world.store.before_commit = conflict
    with pytest.raises(StoreConflictError):
        keep_billing_event(world.ports, "stripe", world.event())


def test_event_refused_by_the_provider_for_good_has_failed_and_can_be_replayed() -> None:
    world = a_shop()
    customer, _ = bought(world)
    world.billing.fail("list_subscriptions", ProviderRefusedError("No such permission."))
    event = receive(world, world.event(customer_billing_id=customer))
    assert (event.status, event.reason) == (FAILED, "No such permission.")
    assert world.monitor.named("billing_event_failed")
    assert replay_billing_event(world.ports, a_cause(), "evt_1").status is PROCESSED
    assert world.check("sso").decision.has_access


def test_event_of_customer_that_is_no_longer_stored_has_failed() -> None:
    world = a_shop()
    customer, _ = bought(world)
    held = world.stored_customer()
    world.store.records.pop((Customer, held.identity))
    assert receive(world, world.event(customer_billing_id=customer)).status is FAILED


def test_event_lost_to_a_contended_customer_stays_pending() -> None:
    world = a_shop()
    customer, _ = bought(world)
    keep_billing_event(world.ports, "stripe", world.event(customer_billing_id=customer))

    def conflict(_: object) -> None:
        raise StoreConflictError("Another writer was first.")

    world.store.before_commit = conflict
    with pytest.raises(StoreConflictError):
        apply_billing_event(world.ports, a_cause(), "evt_1")
    assert stored(world).status is PENDING


def test_event_processed_by_another_worker_meanwhile_is_not_processed_twice() -> None:
    world = a_shop()
    customer, _ = bought(world)
    keep_billing_event(world.ports, "stripe", world.event(customer_billing_id=customer))
    raced = False

    def another_worker(_: object) -> None:
        nonlocal raced
        if not raced:
            raced = True
            apply_billing_event(world.ports, a_cause("other"), "evt_1")

    world.store.before_commit = another_worker
    assert apply_billing_event(world.ports, a_cause(), "evt_1").status is PROCESSED
    assert stored(world).attempts == 1


def test_event_replayed_after_it_was_processed_looks_at_the_truth_again() -> None:
    world = a_shop()
    customer, billing_id = bought(world)
    receive(world, world.event(customer_billing_id=customer))
    world.billing.cancel(billing_id)
    assert replay_billing_event(world.ports, a_cause(), "evt_1").status is PROCESSED
    assert not world.check("sso").decision.has_access


def test_event_unknown_is_not_found() -> None:
    world = World()
    for act in (apply_billing_event, replay_billing_event):
        with pytest.raises(NotFoundError):
            act(world.ports, a_cause(), "evt_ghost")


def test_event_naming_no_customer_is_queued_under_its_own_group() -> None:
    world = World()
    event = keep_billing_event(world.ports, "stripe", world.event(customer_billing_id=None))
    enqueue_billing_event(world.ports, event)
    assert world.queue.messages[0].group == "evt_1"


def test_event_received_by_a_process_killed_anywhere_is_applied_in_the_end() -> None:
    def make() -> World:
        world = a_shop()
        bought(world)
        return world

    def deliver(world: World) -> BillingEvent:
        return receive(world, world.event(customer_billing_id="cus_000002"))

    for world in every_crash(make, deliver):
        assert deliver(world).status is PROCESSED
        assert world.check("sso").decision.has_access
        assert len(world.subscriptions()) == 1


# --- every order of a checkout's and a cancellation's events ---------------------------------------------------

STORY = (
    ("evt_1", "invoice.paid"),
    ("evt_2", "customer.subscription.created"),
    ("evt_3", "checkout.session.completed"),
    ("evt_4", "customer.subscription.updated"),
    ("evt_5", "customer.subscription.deleted"),
)


def _end_of(order: tuple[tuple[str, str], ...], *, at: int) -> tuple[Any, ...]:
    """The state after these deliveries; the cancellation happens at the provider after `at` of them."""
    world = a_shop()
    customer = link_customer_of(world)
    subscription = world.buy()
    for number, (event_id, event_type) in enumerate(order):
        if number == at:
            world.billing.cancel(subscription)
        object_id = subscription if "subscription" in event_type else "other"
        receive(world, world.event(event_id, event_type, customer, object_id=object_id))
    held = tuple((one.id, one.status, one.plan_id, one.billing_id) for one in world.subscriptions())
    events = {event.status for event in world.store.all(BillingEvent)}
    return held, world.check("sso").decision.has_access, events


def link_customer_of(world: World) -> str:
    return link_customer(world.ports, world.stored_customer(), world.billing)


def test_events_of_a_checkout_in_every_order_end_in_the_same_state() -> None:
    # What the provider tells is its present truth, so with the cancellation done first the order can't matter.
    ends = [_end_of(order, at=0) for order in itertools.permutations(STORY)]
    assert all(end == ends[0] for end in ends)
    ((_, status, plan, _),), access, events = ends[0]
    assert (status, plan, access, events) == (
        SubscriptionStatus.CANCELED,
        "pro",
        False,
        {PROCESSED},
    )


def test_events_repeated_and_late_around_a_cancellation_end_in_the_same_state() -> None:
    dice = random.Random(7)
    expected = _end_of(STORY, at=0)
    for _ in range(150):
        repeated = [*STORY, *dice.choices(STORY, k=dice.randrange(4))]
        dice.shuffle(repeated)
        # The provider sends the deletion's event only after it happened.
        happens = dice.randrange(1 + repeated.index(STORY[-1]))
        assert _end_of(tuple(repeated), at=happens) == expected


def test_event_marked_twice_at_once_keeps_the_first_mark() -> None:
    world = a_shop()
    receive(world, world.event(customer_billing_id="cus_ghost"))

    def another_worker(_: object) -> None:
        world.store.before_commit = None
        apply_billing_event(world.ports, a_cause("other"), "evt_1")

    world.store.before_commit = another_worker
    event = apply_billing_event(world.ports, a_cause(), "evt_1")
    assert event == stored(world)
    assert event.attempts == 2


def test_event_deleted_while_it_is_marked_is_told_as_it_would_have_been() -> None:
    world = a_shop()
    receive(world, world.event(customer_billing_id="cus_ghost"))

    def expire(writes: object) -> None:
        world.store.records.pop((BillingEvent, ("evt_1",)), None)

    world.store.before_commit = expire
    assert apply_billing_event(world.ports, a_cause(), "evt_1").attempts == 2


def test_event_parked_without_a_customer_stays_parked() -> None:
    world = a_shop()
    kept = keep_billing_event(world.ports, "stripe", world.event())
    world.put(replace(kept, customer_billing_id=None))
    assert apply_billing_event(world.ports, a_cause(), "evt_1").reason == "unknown_customer"
