"""From what is paid to what nobody bills and back, to another customer, and what is invoiced by hand."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from chalicelib.adapters.billing.manual.provider import ManualProvider
from tests.fakes.billing import FakeProviders
from tests.integration.time_stories.changing import change, limit, preview, stocked
from tests.integration.time_stories.life import Life

Begin = Callable[[str], Life]


def test_paid_to_free_with_the_period_is_followed_by_free_to_the_second(begin: Begin) -> None:
    life = begin("2027-04-01 00:00")
    stocked(life)
    life.buys()
    life.until("2027-04-16 00:00")
    answer = change(life, plan_id="free", effective="end_of_period")
    assert (answer["plan_id"], answer["scheduled_change"]["plan_id"]) == ("pro", "free")
    life.until("2027-04-30 23:59:59")
    assert limit(life) == 100
    life.until("2027-05-01 00:00")
    assert limit(life) == 10
    life.until("2027-08-01")
    held = life.subscription()
    assert (held["plan_id"], held["status"], held["billing"]) == ("free", "active", [])
    assert (life.paid(), limit(life)) == ([1000], 10)
    assert life.told().count("subscription.deleted") == 1
    assert life.announced()[-2:] == ["subscription.canceled", "subscription.created"]


def test_paid_to_free_with_the_period_comes_about_though_we_hear_nothing(begin: Begin) -> None:
    life = begin("2027-04-01 00:00")
    stocked(life)
    life.buys()
    change(life, plan_id="free", effective="end_of_period")
    life.is_deaf = True
    life.until("2027-05-02")
    assert (limit(life), life.paid()) == (10, [1000])
    assert "subscription.deleted" not in life.told()


def test_paid_to_free_taken_back_goes_on_being_paid(begin: Begin) -> None:
    life = begin("2027-04-01 00:00")
    stocked(life)
    held = life.buys()
    change(life, plan_id="free", effective="end_of_period")
    life.until("2027-04-20")
    life.tell(f"subscriptions/{held}/scheduled_change", None, "DELETE")
    life.until("2027-05-02")
    assert (life.subscription()["plan_id"], limit(life), life.paid()) == ("pro", 100, [1000, 1000])
    assert life.told().count("subscription.deleted") == 0


def test_paid_to_free_now_pays_nothing_back(begin: Begin) -> None:
    life = begin("2027-04-01 00:00")
    stocked(life)
    life.buys()
    life.until("2027-04-16 00:00")
    answer = change(life, plan_id="free")
    assert (answer["plan_id"], answer["status"], limit(life)) == ("free", "active", 10)
    life.until("2027-06-02")
    assert (life.paid(), life.has()) == ([1000], True)
    assert life.told().count("subscription.deleted") == 1
    assert life.announced().count("subscription.created") == 2


def test_free_to_paid_changes_nothing_until_it_is_paid(begin: Begin) -> None:
    life = begin("2027-04-01 00:00")
    stocked(life)
    life.orders("free")
    life.until("2027-04-16 00:00")
    free = life.subscription()["id"]
    told = preview(life, plan_id="pro")
    answer = change(life, plan_id="pro")
    assert (answer["status"], limit(life), life.paid()) == ("payment_required", 10, [])
    life.pays(answer["checkout_session_id"])
    assert (life.subscription()["plan_id"], limit(life)) == ("pro", 100)
    assert life.paid() == [told["amount_due_now"]] == [1000]
    assert life.ask(f"subscriptions/{free}")["status"] == "canceled"
    life.until("2027-05-17")
    assert life.paid() == [1000, told["next_invoice"]["amount_due"]]
    assert life.told().count("subscription.created") == 1
    assert life.announced().count("subscription.canceled") == 1


def test_free_to_paid_and_never_paid_stays_free(begin: Begin) -> None:
    life = begin("2027-04-01 00:00")
    stocked(life)
    life.orders("free")
    change(life, plan_id="pro")
    life.until("2027-04-10")
    assert (life.subscription()["plan_id"], limit(life), life.paid()) == ("free", 10, [])
    assert life.told() == []


def test_free_subscription_transferred_gives_to_the_other_from_then_on(begin: Begin) -> None:
    life = begin("2027-04-01 00:00")
    stocked(life)
    life.orders("free")
    life.customer("globex")
    life.until("2027-04-16 00:00")
    held = life.subscription()["id"]
    life.tell(f"subscriptions/{held}/transfer", {"customer_id": "globex"})
    assert (life.has(), life.has(customer="globex"), limit(life, "globex")) == (False, True, 10)
    life.until("2027-06-02")
    assert life.subscription("globex")["id"] == held
    assert (life.has(), life.has(customer="globex")) == (False, True)
    assert (life.paid(), life.told()) == ([], [])


def with_invoices_by_hand(life: Life) -> None:
    """From now on customers may be invoiced by hand, too."""
    deployment = life.deployment
    stripe = deployment.ports.providers.get("stripe")
    by_hand = ManualProvider(store=deployment.ports.store, clock=life.clock)
    deployment.ports = replace(deployment.ports, providers=FakeProviders([stripe, by_hand]))


@pytest.fixture
def by_hand(begin: Begin) -> Life:
    """`acme` is invoiced by hand for `team` since 1 April."""
    life = begin("2027-04-01 00:00")
    with_invoices_by_hand(life)
    stocked(life)
    life.sell("pro", month=900)
    answer = life.orders("team", billing_provider="manual")
    assert answer["status"] == "provisioned"
    return life


def test_invoiced_by_hand_renews_by_itself_and_is_noticed_by_reconciliation(by_hand: Life) -> None:
    by_hand.until("2027-07-10")
    assert by_hand.reconcile() == ["subscription_period"]
    assert (by_hand.status(), limit(by_hand)) == ("active", 500)
    assert by_hand.period() == ("2027-07-01", "2027-08-01")
    assert by_hand.usage_period() == ("2027-07-01", "2027-08-01")
    assert (by_hand.paid(), by_hand.told()) == ([], [])


def test_change_scheduled_for_who_is_invoiced_by_hand_comes_with_the_period(by_hand: Life) -> None:
    by_hand.until("2027-04-16 00:00")
    answer = change(by_hand, plan_id="pro", effective="end_of_period")
    assert (answer["plan_id"], answer["scheduled_change"]["plan_id"]) == ("team", "pro")
    by_hand.until("2027-04-30 23:59:59")
    assert limit(by_hand) == 500
    by_hand.until("2027-05-01 00:00")
    assert limit(by_hand) == 100
    by_hand.until("2027-06-10")
    by_hand.reconcile()
    assert by_hand.reconcile() == []
    held = by_hand.subscription()
    assert (held["plan_id"], held["scheduled_change"]) == ("pro", None)
    assert by_hand.period() == ("2027-06-01", "2027-07-01")
    assert "subscription.updated" in by_hand.announced()
    assert (by_hand.paid(), by_hand.told()) == ([], [])


def test_change_dropped_for_who_is_invoiced_by_hand_never_comes(by_hand: Life) -> None:
    change(by_hand, plan_id="free", effective="end_of_period")
    held = by_hand.subscription()["id"]
    by_hand.tell(f"subscriptions/{held}/scheduled_change", None, "DELETE")
    by_hand.until("2027-05-10")
    assert (by_hand.status(), limit(by_hand)) == ("active", 500)


def test_change_back_for_who_is_invoiced_by_hand_leaves_nothing_to_come(by_hand: Life) -> None:
    change(by_hand, plan_id="pro", effective="end_of_period")
    answer = change(by_hand, plan_id="team", effective="end_of_period")
    assert (answer["plan_id"], answer["scheduled_change"]) == ("team", None)
    by_hand.until("2027-05-10")
    assert (by_hand.status(), limit(by_hand)) == ("active", 500)


def test_free_after_invoices_by_hand_follows_with_the_period(by_hand: Life) -> None:
    change(by_hand, plan_id="free", effective="end_of_period")
    by_hand.until("2027-04-30 23:59:59")
    assert limit(by_hand) == 500
    by_hand.until("2027-05-01 00:00")
    assert limit(by_hand) == 10
    by_hand.until("2027-06-10")
    by_hand.reconcile()
    assert by_hand.reconcile() == []
    held = by_hand.subscription()
    assert (held["plan_id"], held["status"]) == ("free", "active")
    assert by_hand.announced().count("subscription.canceled") == 1
