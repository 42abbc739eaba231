"""Clocks that differ, and notifications that come late, twice, backwards or not at all."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.integration.time_stories.life import Life

Begin = Callable[[str], Life]

SKEWS = [timedelta(minutes=10), -timedelta(minutes=10)]
TRIAL = {
    "duration": 14,
    "unit": "day",
    "end_behavior": "cancel_subscription",
    "payment_method_required": False,
}


def skewed(life: Life, skew: timedelta) -> None:
    """Our clock is that much ahead of Stripe's."""
    life.skew = skew
    life.clock.advance(seconds=skew.total_seconds())


@pytest.mark.parametrize("skew", SKEWS, ids=["ahead", "behind"])
def test_clock_of_ours_that_is_wrong_changes_nothing_of_a_subscription(
    begin: Begin, skew: timedelta
) -> None:
    life = begin("2027-01-31 10:00")
    skewed(life, skew)
    life.buys()
    assert (life.status(), life.has()) == ("active", True)
    life.until("2027-03-05")
    assert (life.status(), life.has(), life.paid()) == ("active", True, [1000, 1000])
    assert life.period() == ("2027-02-28", "2027-03-31")
    assert life.told().count("invoice.paid") == 2


@pytest.mark.parametrize("skew", SKEWS, ids=["ahead", "behind"])
def test_clock_of_ours_that_is_wrong_moves_an_end_by_no_more_than_that(
    begin: Begin, skew: timedelta
) -> None:
    life = begin("2027-01-31 10:00")
    held = life.buys()
    life.tell(f"subscriptions/{held}/cancel", {"effective": "end_of_period"})
    skewed(life, skew)
    life.until("2027-02-28 09:49")
    assert life.has()
    life.until("2027-02-28 10:11")
    assert (life.has(), life.paid()) == (False, [1000])
    assert life.told().count("subscription.deleted") == 1


def test_notifications_three_days_late_change_nothing_that_time_has_not(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    held = life.buys()
    life.tell(f"subscriptions/{held}/cancel", {"effective": "end_of_period"})
    life.deployment.person("POST", "/_stand_in/deliveries", mode="hold")
    life.until("2027-03-03")
    assert not life.has()
    life.at_stripe("POST", "/_stand_in/deliveries/release")
    assert (life.status(), life.has(), life.paid()) == ("canceled", False, [1000])
    assert life.told().count("subscription.deleted") == 1


def test_notifications_backwards_end_alike(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.deployment.person("POST", "/_stand_in/deliveries", mode="reverse")
    life.buys()
    life.at_stripe("POST", "/_stand_in/deliveries/release")
    assert (life.status(), life.has(), life.paid()) == ("active", True, [1000])
    life.until("2027-03-02")
    life.at_stripe("POST", "/_stand_in/deliveries/release")
    assert (life.period()[0], life.paid()) == ("2027-02-28", [1000, 1000])
    assert life.told().count("invoice.paid") == 2


def test_notifications_twice_are_taken_once(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.deployment.person("POST", "/_stand_in/deliveries", mode="duplicate")
    life.buys()
    life.until("2027-03-02")
    assert (life.status(), life.has(), life.paid()) == ("active", True, [1000, 1000])
    assert life.told().count("invoice.paid") == 2
    assert life.told().count("subscription.created") == 1


def test_notifications_lost_for_months_are_made_good_by_one_reconciliation(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.buys()
    life.deployment.person("POST", "/_stand_in/deliveries", mode="drop")
    life.until("2027-06-01")
    assert life.has()
    assert life.period() == ("2027-01-31", "2027-02-28")
    assert "subscription_period" in life.reconcile()
    assert life.period() == ("2027-05-31", "2027-06-30")
    assert (life.has(), life.paid()) == (True, [1000] * 5)
    assert life.reconcile() == []


def test_outage_over_a_renewal_is_slept_through(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.buys()
    life.until("2027-02-27")
    life.is_deaf = True
    life.until("2027-03-02")
    assert life.has()
    assert life.usage_period() == ("2027-02-28", "2027-03-31")
    life.is_deaf = False
    life.until("2027-03-04")
    assert (life.period(), life.paid()) == (("2027-02-28", "2027-03-31"), [1000, 1000])
    assert life.told().count("invoice.paid") == 2


def test_payment_in_an_outage_gives_access_when_we_are_back(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    asked = life.orders()
    life.is_deaf = True
    life.pays(asked["checkout_session_id"])
    life.later(hours=6)
    assert not life.has()
    life.is_deaf = False
    life.later(days=1)
    assert (life.status(), life.has(), life.paid()) == ("active", True, [1000])
    assert life.told().count("subscription.created") == 1


def test_trial_of_ours_needs_no_word_of_anybody(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.sell("pro", trial=TRIAL)
    life.deployment.person("POST", "/_stand_in/deliveries", mode="drop")
    life.orders()
    life.until("2027-02-14 09:59:59")
    assert life.has()
    life.until("2027-02-14 10:00")
    assert (life.has(), life.paid(), life.told()) == (False, [], [])
