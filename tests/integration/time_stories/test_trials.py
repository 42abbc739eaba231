"""Trials, with a card and without: when they end, what is paid then, and what nobody has to run for that."""

from collections.abc import Callable

import pytest

from tests.integration.time_stories.changing import CARD_TRIAL
from tests.integration.time_stories.life import CARD_THAT_FAILS_LATER, Life

Begin = Callable[[str], Life]

FREE_TRIAL = {
    "duration": 14,
    "unit": "day",
    "end_behavior": "cancel_subscription",
    "payment_method_required": False,
}


def test_trial_without_card_ends_to_the_second(begin: Begin) -> None:
    life = begin("2027-02-20 12:00")
    life.sell("pro", trial=FREE_TRIAL)
    assert life.orders()["status"] == "provisioned"
    assert (life.status(), life.has()) == ("in_trial", True)
    life.until("2027-03-06 11:59:59")
    assert (life.status(), life.has()) == ("in_trial", True)
    life.until("2027-03-06 12:00")
    assert (life.status(), life.has()) == ("expired", False)
    assert (life.paid(), life.told()) == ([], [])


def test_trial_of_a_month_from_the_31st_ends_on_the_last_of_february(begin: Begin) -> None:
    life = begin("2027-01-31 12:00")
    life.sell("pro", trial={**FREE_TRIAL, "duration": 1, "unit": "month"})
    life.orders()
    life.until("2027-02-28 11:59:59")
    assert life.has()
    life.until("2027-02-28 12:00")
    assert not life.has()
    assert (life.paid(), life.told()) == ([], [])


def test_trial_that_ends_while_nothing_of_ours_runs_has_ended_all_the_same(begin: Begin) -> None:
    life = begin("2027-02-20 12:00")
    life.sell("pro", trial=FREE_TRIAL)
    life.orders()
    life.is_deaf = True
    life.until("2027-04-01")
    assert (life.status(), life.has()) == ("expired", False)
    assert (life.paid(), life.told()) == ([], [])


def test_trial_is_followed_at_once_by_what_is_paid_in_it(begin: Begin) -> None:
    life = begin("2027-02-20 12:00")
    life.sell("pro", trial=FREE_TRIAL)
    life.orders()
    life.until("2027-02-25")
    life.buys()
    assert (life.status(), life.period()) == ("active", ("2027-02-25", "2027-03-25"))
    life.until("2027-03-20")
    assert (life.has(), life.paid()) == (True, [1000])
    assert life.told().count("subscription.created") == 1


def test_trial_is_given_once_whenever_it_is_asked_for_again(begin: Begin) -> None:
    life = begin("2027-02-20 12:00")
    life.sell("pro", trial=FREE_TRIAL)
    life.orders()
    life.until("2029-06-01")
    order = {"customer_id": "acme", "plan_id": "pro"}
    assert life.refused("subscriptions", {**order, "trial": True}) == "invalid"
    assert life.orders()["status"] == "payment_required"
    assert (life.has(), life.paid(), life.told()) == (False, [], [])


def test_trial_with_card_is_paid_when_it_ends(begin: Begin) -> None:
    life = begin("2027-02-20 12:00")
    life.sell("pro", trial=CARD_TRIAL)
    life.buys()
    assert (life.status(), life.has(), life.paid()) == ("in_trial", True, [])
    life.until("2027-03-06 11:59")
    assert (life.status(), life.paid()) == ("in_trial", [])
    life.until("2027-03-06 14:00")
    assert (life.status(), life.has(), life.paid()) == ("active", True, [1000])
    assert life.period() == ("2027-03-06", "2027-04-06")
    assert "subscription.trial_will_end" in life.told()
    assert life.told().count("invoice.paid") == 2  # the one of nothing, when the trial began


def test_trial_with_card_that_ends_in_an_outage_is_active_when_we_are_back(begin: Begin) -> None:
    life = begin("2027-02-20 12:00")
    life.sell("pro", trial=CARD_TRIAL)
    life.buys()
    life.is_deaf = True
    life.until("2027-03-08")
    assert life.has()  # the customer paid: an outage of ours locks nobody out
    life.is_deaf = False
    life.until("2027-03-09")
    assert (life.status(), life.has(), life.paid()) == ("active", True, [1000])
    assert "subscription.updated" in life.told()


def test_trial_with_a_card_that_fails_is_past_due_and_ends_with_the_last_try(begin: Begin) -> None:
    life = begin("2027-02-20 12:00")
    life.sell("pro", trial=CARD_TRIAL)
    life.buys(card=CARD_THAT_FAILS_LATER)
    life.until("2027-03-06 14:00")
    assert (life.status(), life.has(), life.paid()) == ("past_due", True, [])
    life.until("2027-04-01")
    assert (life.status(), life.has(), life.paid()) == ("canceled", False, [])
    assert life.told().count("invoice.payment_failed") == 4
    assert life.told().count("subscription.deleted") == 1


@pytest.mark.parametrize("trial", [FREE_TRIAL, CARD_TRIAL], ids=["without-card", "with-card"])
def test_trial_that_is_extended_ends_later(begin: Begin, trial: dict[str, object]) -> None:
    life = begin("2027-02-20 12:00")
    life.sell("pro", trial=trial)
    held = life.orders()
    if held["status"] == "payment_required":
        life.pays(held["checkout_session_id"])
    life.until("2027-03-01")
    path = f"subscriptions/{life.subscription()['id']}/extend_trial"
    life.tell(path, {"trial_end": "2027-03-20T12:00:00Z"})
    life.until("2027-03-20 11:59")
    assert (life.status(), life.has(), life.paid()) == ("in_trial", True, [])
    life.until("2027-03-21")
    paying = trial is CARD_TRIAL
    assert life.has() is paying
    assert life.paid() == ([1000] if paying else [])
    assert ("subscription.updated" in life.told()) is paying


def test_trial_with_card_canceled_in_time_costs_nothing(begin: Begin) -> None:
    life = begin("2027-02-20 12:00")
    life.sell("pro", trial=CARD_TRIAL)
    held = life.buys()
    life.until("2027-03-01")
    life.tell(f"subscriptions/{held}/cancel", {"effective": "end_of_period"})
    assert (life.status(), life.has()) == ("in_trial", True)
    life.until("2027-03-06 11:59")
    assert life.has()
    life.until("2027-03-10")
    assert (life.status(), life.has(), life.paid()) == ("canceled", False, [])
    assert life.told().count("subscription.deleted") == 1


def test_trial_that_converts_keeps_the_price_it_began_with(begin: Begin) -> None:
    life = begin("2027-02-20 12:00")
    life.sell("pro", trial=CARD_TRIAL)
    life.buys()
    life.until("2027-03-01")
    life.sell("pro", month=2500, trial=CARD_TRIAL)
    life.until("2027-03-07")
    assert (life.status(), life.has(), life.paid()) == ("active", True, [1000])
    assert "subscription.updated" in life.told()
