"""Payments that fail: who keeps access for how long, and what ends it."""

from collections.abc import Callable

import pytest

from tests.integration.time_stories.life import CARD_THAT_FAILS_LATER, GOOD_CARD, Life

Begin = Callable[[str], Life]


def past_due(life: Life) -> None:
    """The first month was paid, and the second's payment on 28 February failed."""
    life.buys()
    life.changes_card(CARD_THAT_FAILS_LATER)
    life.until("2027-02-28 12:00")
    assert life.status() == "past_due"


def test_payment_that_fails_keeps_access_while_stripe_tries_again(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    past_due(life)
    life.until("2027-03-14")
    assert (life.status(), life.has(), life.paid()) == ("past_due", True, [1000])
    assert life.told().count("invoice.payment_failed") == 3


def test_dunning_to_its_end_cancels(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    past_due(life)
    life.until("2027-03-20")
    assert (life.status(), life.has(), life.paid()) == ("canceled", False, [1000])
    assert life.told().count("invoice.payment_failed") == 4
    assert life.told().count("subscription.deleted") == 1


def test_card_that_is_mended_in_time_pays_what_was_due(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    past_due(life)
    life.until("2027-03-01")
    life.changes_card(GOOD_CARD)
    life.until("2027-03-04")
    assert (life.status(), life.has(), life.paid()) == ("active", True, [1000, 1000])
    life.until("2027-04-01")
    assert life.paid() == [1000, 1000, 1000]
    assert life.told().count("invoice.payment_failed") == 1


def test_grace_of_three_days_ends_access_though_stripe_goes_on_trying(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.sell("pro", grace_period_days=3)
    past_due(life)
    life.until("2027-03-03 09:00")
    assert (life.status(), life.has()) == ("past_due", True)
    life.until("2027-03-04")
    assert (life.status(), life.has(), life.paid()) == ("past_due", False, [1000])
    life.changes_card(GOOD_CARD)
    life.until("2027-03-10")
    assert (life.status(), life.has(), life.paid()) == ("active", True, [1000, 1000])
    assert "invoice.payment_failed" in life.told()


def test_grace_of_no_day_ends_access_with_the_first_failure(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.sell("pro", grace_period_days=0)
    past_due(life)
    assert (life.has(), life.paid()) == (False, [1000])
    assert life.told().count("invoice.payment_failed") == 1


def test_grace_ends_while_nothing_of_ours_runs(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.sell("pro", grace_period_days=3)
    past_due(life)
    life.is_deaf = True
    life.until("2027-03-04")
    assert (life.has(), life.paid()) == (False, [1000])
    assert life.told().count("invoice.payment_failed") == 1


@pytest.mark.parametrize(
    ("end", "status"), [("unpaid", "payment_pending"), ("past_due", "past_due")]
)
def test_dunning_that_ends_otherwise_leaves_what_the_account_says(
    begin: Begin, end: str, status: str
) -> None:
    life = begin("2027-01-31 10:00")
    life.at_stripe("POST", "/_stand_in/settings", dunning_end=end)
    past_due(life)
    life.until("2027-03-20")
    assert (life.status(), life.has()) == (status, status == "past_due")
    assert life.paid() == [1000]
    assert life.told().count("subscription.deleted") == 0


def test_failure_in_an_outage_is_found_when_we_are_back(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.buys()
    life.changes_card(CARD_THAT_FAILS_LATER)
    life.is_deaf = True
    life.until("2027-03-16 12:00")
    assert life.has()
    life.is_deaf = False
    life.until("2027-03-18")
    assert (life.status(), life.has(), life.paid()) == ("canceled", False, [1000])
    assert "subscription.deleted" in life.told()


def test_failure_of_which_no_word_ever_comes_is_found_by_reconciliation(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.buys()
    life.changes_card(CARD_THAT_FAILS_LATER)
    life.deployment.person("POST", "/_stand_in/deliveries", mode="drop")
    life.until("2027-03-20")
    assert life.status() == "active"
    assert "subscription_status" in life.reconcile()
    assert (life.status(), life.has(), life.paid()) == ("canceled", False, [1000])
    assert life.reconcile() == []


def test_customer_who_was_canceled_for_not_paying_buys_again(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    past_due(life)
    life.until("2027-03-20 08:00")
    life.buys()
    assert (life.status(), life.has(), life.paid()) == ("active", True, [1000, 1000])
    assert life.period() == ("2027-03-20", "2027-04-20")
    assert life.told().count("subscription.created") == 2


def test_checkout_that_is_declined_and_then_paid_gives_access_once(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    asked = life.orders()
    session = life.ask(f"checkout_sessions/{asked['checkout_session_id']}")["billing_id"]
    path = f"/_stand_in/checkout_sessions/{session}/pay"
    life.at_stripe("POST", path, outcome="declined")
    assert (life.has(), life.paid()) == (False, [])
    life.later(hours=1)
    life.at_stripe("POST", path, outcome="paid")
    assert (life.has(), life.paid()) == (True, [1000])
    assert life.told().count("subscription.created") == 1


def test_checkout_left_open_can_be_paid_until_it_expires(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.orders()
    life.until("2027-02-02")
    assert (life.has(), life.paid(), life.told()) == (False, [], [])
    again = life.orders()
    life.later(hours=22)
    life.pays(again["checkout_session_id"])
    assert (life.has(), life.paid()) == (True, [1000])
    assert life.period() == ("2027-02-02", "2027-03-02")
