"""Whatever somebody does to a subscriber at Stripe's dashboard is found with no event delivered, and told once."""

from collections.abc import Iterator

import pytest

import app
from tests.integration.drift.dashboard_subscriptions import EDITS, Edit
from tests.integration.drift.shop import Shop
from tests.integration.drift.subscriber import Subscriber
from tests.integration.world import StripeDeployment
from tests.unit.api.world import served

by_edit = pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
# What is true at Stripe about a customer's subscriptions is ours to follow whatever the policy.
FOLLOWED = (
    *("subscription_missing", "subscription_status", "subscription_plan", "subscription_period"),
    *("subscription_quantity", "subscription_cancellation", "subscription_vanished"),
    *("subscription_schedule", "customer_deleted"),
)


@pytest.fixture
def acme() -> Iterator[Subscriber]:
    world = StripeDeployment(app.app)
    with served(world):
        yield Subscriber(Shop(world))


def test_reconcile_of_a_subscriber_nobody_touched_finds_and_changes_nothing(
    acme: Subscriber,
) -> None:
    asked = len(acme.world.requests())
    assert acme.drifts() == []
    assert {method for method, _ in acme.world.requests()[asked:]} == {"GET"}


@by_edit
def test_reconcile_after_an_edit_tells_of_it_once_and_is_silent_then(
    acme: Subscriber, edit: Edit
) -> None:
    expected = edit(acme)
    assert acme.drifts() == expected
    acme.assert_nothing_ended_here_is_billed()
    again = acme.shop.reconcile()
    assert again["drifts"] == []
    left = [kind for kind, action in expected if action == "reported"]
    assert [one["kind"] for one in again["standing"]] == left
    asked = len(acme.world.requests())
    assert acme.shop.reconcile()["drifts"] == []
    assert {method for method, _ in acme.world.requests()[asked:]} == {"GET"}


@by_edit
def test_reconcile_told_to_report_after_an_edit_writes_nothing_at_stripe(
    acme: Subscriber, edit: Edit
) -> None:
    expected = [(kind, action if kind in FOLLOWED else "reported") for kind, action in edit(acme)]
    asked = len(acme.world.requests())
    assert acme.drifts({"policy": "report"}) == expected
    assert acme.shop.reconcile({"policy": "report"})["drifts"] == []
    assert {method for method, _ in acme.world.requests()[asked:]} == {"GET"}


def test_reconcile_restores_the_marks_and_leaves_others_alone(acme: Subscriber) -> None:
    acme.change(metadata="")
    acme.change(**{"metadata[crm]": "17"})
    acme.shop.edit(f"customers/{acme.customer}", metadata="")
    acme.shop.reconcile()
    marks = {"paygrade_entity_id", "paygrade_entity_type", "paygrade_environment"}
    found = acme.theirs()["metadata"]
    assert marks | {"crm", "paygrade_customer_id"} <= set(found)
    assert found["paygrade_entity_id"] == acme.ours()[0]["id"]
    customer = acme.world.person("GET", f"/v1/customers/{acme.customer}")
    assert marks | {"paygrade_entity_url"} <= set(customer["metadata"])


def test_reconcile_links_a_stray_whose_customer_says_whose_it_is(acme: Subscriber) -> None:
    acme.told("customers", {"id": "globex"})
    marks = {
        "metadata[paygrade_entity_id]": "globex",
        "metadata[paygrade_entity_type]": "customer",
        "metadata[paygrade_environment]": acme.world.ports.environment.name,
    }
    made = acme.shop.edit("customers", **marks)["id"]
    acme.subscribe_by_hand(customer=made)
    assert acme.drifts() == [
        ("subscription_missing", "repaired"),
        ("subscription_stray", "repaired"),
    ]
    [held] = acme.told("subscriptions?customer_id=globex", method="GET")["data"]
    assert held["status"] == "active"
    assert acme.drifts() == []


def test_customer_wiped_at_stripe_is_made_anew_and_audited_when_it_is_needed(
    acme: Subscriber,
) -> None:
    acme.shop.delete(f"subscriptions/{acme.billing_id}")
    acme.shop.reconcile()
    acme.world.stand_in.account.store.delete("customer", acme.customer)
    assert acme.drifts() == [("customer_unknown", "reported")]
    acme.subscribe()
    [link] = acme.told("customers/acme", method="GET")["billing"]
    assert link["billing_id"] != acme.customer
    audited = acme.told("audit_log?entity=customer:acme", method="GET")["data"]
    [relinked] = [row for row in audited if row["action"] == "customer.relinked"]
    assert relinked["before"]["billing_id"] == acme.customer
    assert acme.drifts() == []


def test_events_that_never_came_are_taken_in_and_told_once(acme: Subscriber) -> None:
    acme.change(cancel_at_period_end="true")
    acme.world.clock.advance(minutes=11)
    [drift] = [one for one in acme.shop.reconcile()["drifts"] if one["kind"] == "event_missed"]
    assert (drift["theirs"]["type"], drift["action"]) == (
        "customer.subscription.updated",
        "repaired",
    )
    event = acme.told(drift["entity"].replace("billing_event:", "billing_events/"), method="GET")
    assert event["status"] == "processed"
    assert acme.shop.reconcile()["drifts"] == []
