import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.billing_events import BillingEvent, BillingEventStatus
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError
from chalicelib.domain.sync import SyncTask
from chalicelib.domain.usage_charges import UsageCharge
from chalicelib.ports import Clock, Page, QueueName, R, Record
from chalicelib.services.apply_billing_event import (
    apply_billing_event,
    keep_billing_event,
    receive_billing_event,
)
from chalicelib.services.report_charges import report_charges
from chalicelib.services.run_sync_task import run_sync_task
from chalicelib.services.sweep import Swept, sweep
from tests.factories import a_price
from tests.fakes.store import InMemoryStore, Key
from tests.fakes.using import a_payer, report
from tests.fakes.world import World, a_cause

NOTHING = Swept(sync_tasks=0, billing_events=0)


class UnreadableCharges(InMemoryStore):
    """A store in which a newer release has written charges that this one can't read."""

    def __init__(self, clock: Clock, records: dict[Key, Record]) -> None:
        super().__init__(clock)
        self.records = records

    def find_by(self, kind: type[R], by: str, value: str, **page: Any) -> Page[R]:
        if kind is UsageCharge:
            raise ValueError("'deferred' is no status of ours")
        return super().find_by(kind, by, value, **page)


def ages(world: World) -> list[int]:
    """How old the oldest that waits was, at each sweep."""
    return [told["oldest_pending_seconds"] for told in world.monitor.named("backlog")]


def test_sweep_of_nothing_sends_nothing_and_tells_that_nobody_waits() -> None:
    world = World()
    assert sweep(world.ports) == NOTHING
    assert world.queue.messages == []
    assert world.monitor.events == [("backlog", {"oldest_pending_seconds": 0})]


def test_sweep_tells_how_long_the_oldest_change_has_waited_whenever_it_was_tried() -> None:
    world = World()
    world.publish("pro", a_price())
    world.clock.advance(minutes=20)
    world.billing.fail("observe_product", ProviderUnavailableError("away"))
    with pytest.raises(ProviderUnavailableError):
        run_sync_task(world.ports, "sync_pro_1")
    sweep(world.ports)
    assert world.monitor.named("backlog") == [{"oldest_pending_seconds": 1200}]


def test_sweep_tells_how_long_usage_has_waited_to_be_charged() -> None:
    world = a_payer()
    report(world)
    world.clock.advance(minutes=20)
    report(world)
    world.billing.fail("report_usage", ProviderUnavailableError("away"), times=2)
    report_charges(world.ports)
    sweep(world.ports)
    world.clock.advance(minutes=1)
    assert report_charges(world.ports) == 0
    sweep(world.ports)
    world.clock.advance(minutes=10)
    assert report_charges(world.ports) == 2
    sweep(world.ports)
    assert ages(world) == [1200, 1260, 0]


def test_sweep_counts_no_usage_that_was_refused_as_waiting() -> None:
    """It raises an alarm of its own; for as long as it is refused nobody would see what else waits."""
    world = a_payer()
    report(world)
    world.billing.fail("report_usage", ProviderRefusedError("There is no meter."), times=9)
    report_charges(world.ports)
    world.clock.advance(minutes=20)
    report(world)
    world.clock.advance(seconds=30)
    sweep(world.ports)
    assert ages(world) == [30]


def test_sweep_sends_what_is_stuck_though_the_age_of_usage_cannot_be_read() -> None:
    world = World()
    world.publish("pro", a_price())
    world.clock.advance(minutes=2)
    world.ports = replace(world.ports, store=UnreadableCharges(world.clock, world.store.records))
    with pytest.raises(ValueError, match="no status of ours"):
        sweep(world.ports)
    assert [message.queue for message in world.queue.messages] == [QueueName.SYNC]


def test_sweep_task_is_sent_again_only_when_its_message_had_its_chance() -> None:
    world = World()
    world.publish("pro", a_price())
    world.clock.advance(seconds=60)
    assert sweep(world.ports) == NOTHING
    world.clock.advance(seconds=1)
    assert sweep(world.ports) == Swept(sync_tasks=1, billing_events=0)
    (message,) = world.queue.messages
    assert (message.queue, message.body) == (QueueName.SYNC, {"task_id": "sync_pro_1"})
    assert world.monitor.named("swept") == [{"sync_tasks": 1, "billing_events": 0}]


def test_sweep_task_lost_with_its_message_reaches_the_provider() -> None:
    world = World()
    world.publish("pro", a_price())
    world.clock.advance(minutes=2)
    sweep(world.ports)
    world.queue.drain(QueueName.SYNC, lambda sent: run_sync_task(world.ports, sent.body["task_id"]))
    assert world.billing.products
    world.clock.advance(minutes=2)
    assert sweep(world.ports) == NOTHING


def test_sweep_task_that_failed_lately_waits_from_its_last_try() -> None:
    world = World()
    world.publish("pro", a_price())
    world.clock.advance(minutes=2)
    world.billing.fail("observe_product", ProviderUnavailableError("away"))
    with pytest.raises(ProviderUnavailableError):
        run_sync_task(world.ports, "sync_pro_1")
    assert sweep(world.ports) == NOTHING
    world.clock.advance(minutes=2)
    assert sweep(world.ports).sync_tasks == 1


def test_sweep_while_the_queue_is_down_sends_nothing_and_the_next_does() -> None:
    world = World()
    world.publish("pro", a_price())
    keep_billing_event(world.ports, "stripe", world.event())
    world.clock.advance(minutes=2)
    world.queue.down = True
    assert sweep(world.ports) == NOTHING
    assert world.monitor.named("sweep_send_failed")
    world.queue.down = False
    assert sweep(world.ports) == Swept(sync_tasks=1, billing_events=1)


def test_sweep_event_left_by_a_crash_is_applied_in_the_end() -> None:
    world = World()
    world.sell("pro", a_price())
    world.customer()
    billing_id = world.buy()
    customer = world.billing.subscriptions[billing_id].customer_billing_id
    keep_billing_event(world.ports, "stripe", world.event(customer_billing_id=customer))
    world.clock.advance(seconds=61)
    assert sweep(world.ports).billing_events == 1
    world.queue.drain(
        QueueName.CONVERGE,
        lambda sent: apply_billing_event(world.ports, a_cause(), sent.body["event_id"]),
    )
    assert len(world.subscriptions()) == 1
    world.clock.advance(days=1)
    assert sweep(world.ports) == NOTHING


def test_sweep_event_of_a_stranger_is_asked_for_less_and_less_and_given_up_after_three_days() -> (
    None
):
    world = World()
    receive_billing_event(
        world.ports, a_cause(), "stripe", world.event(customer_billing_id="cus_stranger")
    )
    sent_after: list[timedelta] = []
    received = world.clock.now()
    while world.clock.now() - received < timedelta(days=4):
        world.clock.advance(minutes=1)
        if sweep(world.ports).billing_events:
            sent_after.append(world.clock.now() - received)
            world.queue.drain(
                QueueName.CONVERGE,
                lambda sent: apply_billing_event(world.ports, a_cause(), sent.body["event_id"]),
            )
    assert 5 <= len(sent_after) <= 15
    waits = [later - earlier for earlier, later in itertools.pairwise(sent_after)]
    assert waits[:-1] == sorted(waits[:-1])
    assert sent_after[-1] == timedelta(days=3)  # a last look
    kept = world.store.get(BillingEvent, "evt_1")
    assert kept is not None
    assert (kept.status, kept.reason) == (BillingEventStatus.FAILED, "unknown_customer")
    assert world.monitor.named("billing_event_given_up") == [
        {"event_id": "evt_1", "billing_id": "cus_stranger"}
    ]


def test_sweep_event_that_came_due_behind_many_parked_ones_is_not_starved() -> None:
    world = World()
    receive_billing_event(
        world.ports, a_cause(), "stripe", world.event(customer_billing_id="cus_stranger")
    )
    parked = world.store.get(BillingEvent, "evt_1")
    assert parked is not None
    for number in range(700):
        world.put(replace(parked, id=f"evt_parked_{number:03d}", attempts=12))
    world.clock.advance(minutes=5)
    keep_billing_event(world.ports, "stripe", world.event("evt_lost"))
    world.clock.advance(minutes=2)
    world.put(replace(parked, attempts=12))
    assert sweep(world.ports).billing_events == 1
    assert world.queue.messages[-1].body == {"event_id": "evt_lost"}


def test_sweep_goes_through_all_pages() -> None:
    world = World()
    world.publish("pro", a_price())
    (task,) = world.store.all(SyncTask)
    for number in range(150):
        world.put(replace(task, id=f"sync_{number:03d}"))
    world.clock.advance(minutes=2)
    assert sweep(world.ports).sync_tasks == 151


def test_sweep_takes_so_many_at_once_and_leaves_the_rest_to_the_next() -> None:
    world = World()
    world.publish("pro", a_price())
    (task,) = world.store.all(SyncTask)
    for number in range(600):
        world.put(replace(task, id=f"sync_{number:03d}"))
    world.clock.advance(minutes=2)
    assert sweep(world.ports).sync_tasks == 500
