"""Neither order nor number of deliveries matters, nor whether there are any: the end is the same.

Through the real routes, services, SDK and Stripe adapter. In each run the notifications arrive in one order;
how far Stripe has moved on by the time of each arrival varies from run to run: as little as possible, all the
way, or something between.
"""

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import Any, Final

import pytest

from chalicelib.domain.audit_log import AuditEntry, Cause
from chalicelib.domain.billing_events import BillingEvent
from chalicelib.domain.customers import Customer
from chalicelib.domain.plain import plain
from chalicelib.domain.references import Reference, customer_namespace
from chalicelib.ports import QueueName
from chalicelib.services.reconcile import continue_reconciliation
from tests.fakes.system import AmpleTime
from tests.integration.webhooks.stories import (
    Notification,
    Story,
    buy_more_seats,
    cancel_now,
    cancel_with_the_period,
    let_the_period_end,
    pay,
    told,
)
from tests.whole import WHOLE

Order = tuple[Notification, ...]

STORIES: Final = {
    "paid-then-canceled": (pay, cancel_now),
    "paid-then-canceled-with-the-period": (pay, cancel_with_the_period, let_the_period_end),
    "paid-changed-then-canceled": (
        pay,
        buy_more_seats,
        cancel_with_the_period,
        let_the_period_end,
    ),
}
# Of these every order is tried; `invoice.payment_succeeded` is left out as the twin of `invoice.paid`.
STATE_BEARING: Final = {
    "paid-then-canceled": {
        "charge.succeeded",
        "checkout.session.completed",
        "customer.subscription.created",
        "customer.subscription.deleted",
        "invoice.paid",
    },
    "paid-then-canceled-with-the-period": {
        "checkout.session.completed",
        "customer.subscription.created",
        "customer.subscription.deleted",
        "customer.subscription.updated",
        "invoice.paid",
    },
    "paid-changed-then-canceled": {
        "customer.subscription.created",
        "customer.subscription.deleted",
        "customer.subscription.updated",
        "invoice.paid",
    },
}
LONGEST: Final = "paid-changed-then-canceled"
# Some of them in every run of the tests; all, and more samples, with PAYGRADE_TESTS=whole.
ORDERS: Final = {LONGEST: 5_040 if WHOLE else 60}
SAMPLED: Final = {
    "paid-then-canceled": 340 if WHOLE else 60,
    "paid-then-canceled-with-the-period": 160 if WHOLE else 40,
    LONGEST: 2_000 if WHOLE else 40,
}
IGNORED: Final = {
    "invoice_payment.paid",
    "payment_intent.created",
    "payment_intent.succeeded",
    "payment_method.attached",
}


@pytest.fixture(params=STORIES, scope="module")
def told_story(request: pytest.FixtureRequest) -> Iterator[tuple[str, Story]]:
    with Story(*STORIES[request.param]) as story:
        yield request.param, story


@pytest.fixture
def name(told_story: tuple[str, Story]) -> str:
    return told_story[0]


@pytest.fixture
def story(told_story: tuple[str, Story]) -> Story:
    return told_story[1]


class _Oracle:
    """What our side looks like when each notification arrived right after what it tells of."""

    def __init__(self, story: Story) -> None:
        story.begin()
        for notification in story.notifications:
            story.go_to(notification.step)
            story.deliver(notification)
        self.outcome = story.outcome()


class Pace(Enum):
    """How far Stripe has moved on by the time a notification arrives."""

    NO_FURTHER = 0
    TO_THE_END = 1
    SOMEWHERE = 2


def steps_taken(order: Order, pace: Pace, last: int, chance: random.Random) -> Iterator[int]:
    """For each arrival the step that Stripe has taken by then, never one before what it tells of."""
    step = last if pace is Pace.TO_THE_END else 0
    for notification in order:
        step = max(step, notification.step)
        if pace is Pace.SOMEWHERE:
            step = chance.randint(step, last)
        yield step


def run(story: Story, order: Order, pace: Pace, *, seed: int, repeated: bool) -> None:
    """The notifications arrived in this order; `repeated`: with earlier ones again in between."""
    chance = random.Random(seed)
    story.begin()
    version = story.snapshot_version()
    taken = steps_taken(order, pace, len(story.truths) - 1, chance)
    for number, (notification, step) in enumerate(zip(order, taken, strict=True)):
        story.go_to(step)
        again = chance.choices(order[: number + 1], k=2) if repeated else ()
        for one in (notification, *again):
            expected = "ignored" if one.type in IGNORED else "processed"
            assert story.deliver(one) == expected
        assert story.snapshot_version() >= version
        version = story.snapshot_version()


def check(story: Story, wanted: dict[str, Any], order: Order, *, repeated: bool) -> None:
    """Our side looks as it should and nothing was lost; `repeated`: hearing it all again writes nothing."""
    assert story.outcome() == wanted
    store = story.deployment.store
    kept = store.all(BillingEvent)
    assert len(kept) == len(order)
    assert {event.status for event in kept} <= {"processed", "ignored"}
    changes = [one for one in store.all(AuditEntry) if one.action == "subscription.converged"]
    assert 1 <= len(changes) <= len(story.truths)
    if repeated:
        written = len(store.commits)
        for notification in reversed(order):
            story.deliver(notification)
        assert len(store.commits) == written
    assert story.deployment.monitor.named("api_crash") == []
    assert {one.queue for one in story.deployment.queue.messages} <= {QueueName.DELIVER}


def state_bearing(name: str, notifications: Iterable[Notification]) -> Order:
    """Those of which every order is tried; three of them are updates and two are payments in the longest story."""
    return tuple(one for one in notifications if one.type in STATE_BEARING[name])


def all_orders(name: str, notifications: Iterable[Notification]) -> Iterator[Order]:
    """Every order, or as many of them as one run tries, spread over all."""
    orders = list(itertools.permutations(state_bearing(name, notifications)))
    wanted = ORDERS.get(name, len(orders))
    return itertools.islice(orders, 0, None, -(-len(orders) // wanted))


def some_orders(notifications: Sequence[Notification], number: int) -> Iterator[Order]:
    chance = random.Random(20_261_123)
    for _ in range(number):
        yield tuple(chance.sample(notifications, len(notifications)))


def requests_are_right(story: Story) -> None:
    """Stripe could take every request of ours."""
    for step in range(len(story.truths)):
        story.go_to(step)
        seen = story.deployment.requests()
        assert seen
        # Before a product is made it is looked for: the only refusal that is an answer.
        assert set(seen) <= {("GET", 200), ("POST", 200), ("DELETE", 200), ("GET", 404)}


def test_story_has_the_notifications_it_is_about(name: str, story: Story) -> None:
    assert STATE_BEARING[name] | IGNORED <= {one.type for one in story.notifications}
    assert len(state_bearing(name, story.notifications)) == (7 if name == LONGEST else 5)
    assert len(list(all_orders(name, story.notifications))) == ORDERS.get(name, 120)


def test_oracle_grants_access_while_paid_and_none_after(story: Story) -> None:
    story.begin()
    assert not story.outcome()["checks"]["sso"]["has_access"]
    story.go_to(0)
    for notification in story.notifications:
        if notification.step == 0:
            story.deliver(notification)
    paid = story.outcome()["checks"]
    assert paid["sso"]["has_access"]
    assert paid["seats"]["usage_limit"] == 3
    assert paid["api-calls"]["usage_limit"] == 5000
    after = _Oracle(story).outcome
    assert [one["status"] for one in after["subscriptions"]] == ["canceled"]
    assert not any(one["has_access"] for one in after["checks"].values())
    assert [one["status"] for one in after["checkouts"]] == ["complete"]


@pytest.mark.parametrize(
    "pace", [Pace.NO_FURTHER, Pace.TO_THE_END], ids=lambda pace: pace.name.lower()
)
def test_every_order_of_the_state_bearing_ones_ends_alike(
    name: str, story: Story, pace: Pace
) -> None:
    wanted = _Oracle(story).outcome
    for seed, order in enumerate(all_orders(name, story.notifications)):
        run(story, order, pace, seed=seed, repeated=bool(seed % 2))
        check(story, wanted, order, repeated=bool(seed % 2))
    requests_are_right(story)


def test_sampled_orders_of_all_end_alike(name: str, story: Story) -> None:
    wanted = _Oracle(story).outcome
    for seed, order in enumerate(some_orders(story.notifications, SAMPLED[name])):
        run(story, order, Pace(seed % 3), seed=seed, repeated=seed % 4 == 0)
        check(story, wanted, order, repeated=seed % 4 == 0)
    requests_are_right(story)


def test_any_single_notification_of_the_last_step_is_enough(story: Story) -> None:
    wanted = _Oracle(story).outcome
    for notification in story.notifications:
        if notification.type not in IGNORED:
            story.begin()
            story.go_to(len(story.truths) - 1)
            assert story.deliver(notification) == "processed"
            assert story.outcome() == wanted


def reconcile(story: Story) -> dict[str, Any]:
    """The report of a reconciliation that our API was asked for and its worker ran."""
    deployment = story.deployment
    started = told(deployment, "reconciliations")
    cause = Cause(actor="worker:reconcile", request_id="m-1", operation_id="m-1")
    deployment.work_off(
        QueueName.RECONCILE,
        lambda body: continue_reconciliation(
            deployment.ports, cause, body["reconciliation_id"], AmpleTime()
        ),
    )
    report: dict[str, Any] = told(deployment, f"reconciliations/{started['id']}", method="GET")
    assert report["status"] == "succeeded"
    return report


def test_no_delivery_at_all_and_reconciliation_ends_alike(story: Story) -> None:
    wanted = _Oracle(story).outcome
    story.begin()
    story.go_to(len(story.truths) - 1)
    report = reconcile(story)
    found = {drift["kind"] for drift in report["drifts"]} - {"event_missed"}
    assert found == {"subscription_missing"}
    assert story.outcome() == wanted
    assert reconcile(story)["drifts"] == []
    requests_are_right(story)


def test_reconciliation_after_every_step_ends_alike_and_late_deliveries_change_nothing(
    story: Story,
) -> None:
    wanted = _Oracle(story).outcome
    story.begin()
    for step in range(len(story.truths)):
        story.go_to(step)
        assert len(reconcile(story)["drifts"]) >= 1
    assert story.outcome() == wanted
    version = story.snapshot_version()
    for notification in story.notifications:
        story.deliver(notification)
    assert story.outcome() == wanted
    assert story.snapshot_version() == version


def test_every_subset_of_lost_deliveries_is_healed_by_reconciliation(story: Story) -> None:
    wanted = _Oracle(story).outcome
    for every in (2, 3, 4):
        story.begin()
        for number, notification in enumerate(story.notifications):
            story.go_to(notification.step)
            if number % every:
                story.deliver(notification)
        story.go_to(len(story.truths) - 1)
        reconcile(story)
        assert story.outcome() == wanted


def test_deliveries_whose_customer_only_its_metadata_names_are_applied_at_once(
    story: Story,
) -> None:
    """As when the worker that opened the checkout died between Stripe's answer and our own record of it."""
    wanted = _Oracle(story).outcome
    story.begin()
    store = story.deployment.store
    references = [key for key in store.records if key[0] is Reference and "cus" in str(key[1])]
    assert references
    for key in references:
        del store.records[key]
    story.go_to(len(story.truths) - 1)
    assert "pending" not in {story.deliver(one) for one in story.notifications}
    assert story.outcome() == wanted
    assert all(key in store.records for key in references)


def test_deliveries_before_the_customer_is_linked_are_parked_and_replayed(story: Story) -> None:
    """As when the customer is made at Stripe before it is made here."""
    wanted = _Oracle(story).outcome
    story.begin()
    store = story.deployment.store
    customer = store.get(Customer, "acme")
    assert customer is not None
    billing_id = customer.billing_id("stripe")
    assert billing_id is not None
    key = (Reference, (customer_namespace("stripe"), billing_id))
    reference = store.records.pop(key)
    del store.records[Customer, customer.identity]
    story.go_to(len(story.truths) - 1)
    parked = [one for one in story.notifications if story.deliver(one) == "pending"]
    assert len(parked) == sum(one.type not in IGNORED for one in story.notifications)
    waiting = story.deployment.send("GET", "/v1/billing_events?status=pending&limit=100").json
    assert {one["reason"] for one in waiting["data"]} == {"unknown_customer"}
    store.records[key] = reference
    store.records[Customer, customer.identity] = customer
    for event in waiting["data"]:
        replayed = told(story.deployment, f"billing_events/{event['id']}/replay")
        assert replayed["status"] == "processed"
    assert story.outcome() == wanted
    assert plain(customer) == plain(store.get(Customer, "acme"))
