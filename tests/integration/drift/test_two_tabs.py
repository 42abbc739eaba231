"""The payment page open in two tabs, and paid in both: one subscription stays, and its price is paid once."""

from collections.abc import Iterator

import pytest

import app
from tests.integration.drift.shop import Shop
from tests.integration.drift.subscriber import Subscriber
from tests.integration.world import StripeDeployment
from tests.unit.api.world import served


@pytest.fixture
def acme() -> Iterator[Subscriber]:
    world = StripeDeployment(app.app)
    with served(world):
        yield Subscriber(Shop(world))


def live(acme: Subscriber) -> list[str]:
    return [one["billing"][0]["billing_id"] for one in acme.ours() if one["status"] == "active"]


def test_two_tabs_paid_end_in_one_subscription_and_one_payment(acme: Subscriber) -> None:
    other = acme.pay_in_another_tab()
    assert acme.drifts() == [
        ("subscription_missing", "repaired"),
        ("subscription_duplicate", "repaired"),
    ]
    assert live(acme) == [acme.billing_id]
    assert acme.theirs(other["id"])["status"] == "canceled"
    [refund] = acme.shop.all("refunds")
    assert (refund["amount"], refund["reason"]) == (1900, "duplicate")
    charges = [charge for charge in acme.shop.all("charges") if not charge["refunded"]]
    assert [charge["amount"] for charge in charges] == [1900]
    audited = acme.told("audit_log?entity=subscription:subs_othertab", method="GET")["data"]
    assert "subscription.duplicate_refunded" in {row["action"] for row in audited}
    assert acme.drifts() == []


def test_two_tabs_paid_are_settled_when_stripe_tells_of_it(acme: Subscriber) -> None:
    other = acme.pay_in_another_tab()
    events = acme.told("billing_events?status=processed&limit=100", method="GET")["data"]
    acme.told(f"billing_events/{events[0]['id']}/replay")
    assert acme.theirs(other["id"])["status"] == "canceled"
    assert [refund["amount"] for refund in acme.shop.all("refunds")] == [1900]
    assert acme.drifts() == []


def test_subscription_made_by_hand_beside_ours_is_reported_and_left(acme: Subscriber) -> None:
    by_hand = acme.subscribe_by_hand()
    assert acme.drifts() == [
        ("subscription_missing", "repaired"),
        ("subscription_duplicate", "reported"),
    ]
    assert acme.theirs(by_hand["id"])["status"] == "active"
    assert acme.shop.all("refunds") == []
    again = acme.shop.reconcile()
    assert (again["drifts"], [one["kind"] for one in again["standing"]]) == (
        [],
        ["subscription_duplicate"],
    )
