"""Other plans, periods, quantities, add-ons and coupons for who pays: now and with the next period."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.time_stories.changing import (
    CARD_TRIAL,
    change,
    limit,
    preview,
    sell_seats,
    sell_storage,
    stocked,
)
from tests.integration.time_stories.life import CARD_THAT_FAILS_LATER, GOOD_CARD, Life

Begin = Callable[[str], Life]


def half_of_april(begin: Begin, plan: str = "pro", **order: Any) -> Life:
    """A subscriber since 1 April, on 16 April: half of the period is over."""
    life = begin("2027-04-01 00:00")
    stocked(life)
    life.buys(plan, **order)
    life.until("2027-04-16 00:00")
    return life


@pytest.mark.parametrize(
    ("proration", "paid"),
    [
        ("create", [1000, 1000 + 3000]),
        ("invoice_now", [1000, 1000, 3000]),
        ("none", [1000, 3000]),
    ],
)
def test_upgrade_now_gives_at_once_and_settles_as_asked(
    begin: Begin, proration: str, paid: list[int]
) -> None:
    life = half_of_april(begin)
    answer = change(life, plan_id="team", proration=proration)
    assert (answer["plan_id"], limit(life)) == ("team", 500)
    assert life.period() == ("2027-04-01", "2027-05-01")
    life.until("2027-05-02")
    assert (life.paid(), limit(life)) == (paid, 500)
    assert life.told().count("invoice.paid") == len(paid)
    assert "subscription.updated" in life.announced()


def test_downgrade_with_the_period_keeps_what_was_paid_until_then(begin: Begin) -> None:
    life = half_of_april(begin, "team")
    answer = change(life, plan_id="pro", effective="end_of_period")
    assert (answer["plan_id"], answer["scheduled_change"]["plan_id"]) == ("team", "pro")
    life.until("2027-04-30 23:59:59")
    assert limit(life) == 500
    life.until("2027-05-01 00:00")
    assert limit(life) == 100
    life.until("2027-06-02")
    held = life.subscription()
    assert (held["plan_id"], held["scheduled_change"]) == ("pro", None)
    assert (life.paid(), life.has()) == ([3000, 1000, 1000], True)
    assert life.told().count("invoice.paid") == 3


def test_downgrade_with_the_period_comes_about_in_an_outage(begin: Begin) -> None:
    life = half_of_april(begin, "team")
    change(life, plan_id="pro", effective="end_of_period")
    life.is_deaf = True
    life.until("2027-05-01 00:00:01")
    assert (limit(life), life.told().count("invoice.paid")) == (100, 1)
    life.is_deaf = False
    life.until("2027-05-04")
    assert (life.subscription()["plan_id"], life.paid()) == ("pro", [3000, 1000])


def test_downgrade_and_then_a_cancellation_end_with_the_period(begin: Begin) -> None:
    life = half_of_april(begin, "team")
    held = life.subscription()["id"]
    change(life, plan_id="pro", effective="end_of_period")
    answer = life.tell(f"subscriptions/{held}/cancel", {"effective": "end_of_period"})
    assert (answer["cancel_at"], answer["scheduled_change"]) == ("2027-05-01T00:00:00Z", None)
    life.until("2027-04-30 23:59:59")
    assert limit(life) == 500
    life.until("2027-05-02")
    assert (life.status(), life.has(), life.paid()) == ("canceled", False, [3000])
    assert life.announced()[-1] == "subscription.canceled"


def test_downgrade_canceled_and_kept_goes_on_with_what_is_held(begin: Begin) -> None:
    life = half_of_april(begin, "team")
    held = life.subscription()["id"]
    change(life, plan_id="pro", effective="end_of_period")
    life.tell(f"subscriptions/{held}/cancel", {"effective": "end_of_period"})
    life.until("2027-04-20")
    answer = life.tell(f"subscriptions/{held}/resume")
    assert (answer["cancel_at"], answer["scheduled_change"]) == (None, None)
    life.until("2027-05-02")
    assert (life.subscription()["plan_id"], limit(life)) == ("team", 500)
    assert life.paid() == [3000, 3000]
    assert life.told().count("subscription.deleted") == 0


def test_second_scheduled_change_replaces_the_first(begin: Begin) -> None:
    life = half_of_april(begin, "team")
    change(life, plan_id="pro", effective="end_of_period")
    life.until("2027-04-20")
    answer = change(life, billing_period="year", effective="end_of_period")
    coming = answer["scheduled_change"]
    assert (coming["plan_id"], coming["billing_period"]) == ("team", "year")
    life.until("2027-05-02")
    assert (life.subscription()["plan_id"], limit(life)) == ("team", 500)
    assert (life.paid(), life.period()) == ([3000, 30_000], ("2027-05-01", "2028-05-01"))
    assert life.told().count("invoice.paid") == 2


def test_second_scheduled_change_back_to_what_is_held_leaves_nothing_to_come(begin: Begin) -> None:
    life = half_of_april(begin)
    change(life, plan_id="team", effective="end_of_period")
    answer = change(life, plan_id="pro", effective="end_of_period")
    assert (answer["plan_id"], answer["scheduled_change"]) == ("pro", None)
    life.until("2027-05-02")
    assert (life.paid(), limit(life)) == ([1000, 1000], 100)
    assert life.told().count("invoice.paid") == 2


def test_upgrade_now_drops_what_was_scheduled(begin: Begin) -> None:
    life = half_of_april(begin)
    change(life, billing_period="year", effective="end_of_period")
    answer = change(life, plan_id="team", proration="invoice_now")
    assert (answer["plan_id"], answer["scheduled_change"]) == ("team", None)
    life.until("2027-05-02")
    assert (life.paid(), life.period()[1], limit(life)) == ([1000, 1000, 3000], "2027-06-01", 500)
    assert life.told().count("invoice.paid") == 3


def test_scheduled_change_that_is_dropped_never_comes(begin: Begin) -> None:
    life = half_of_april(begin, "team")
    change(life, plan_id="pro", effective="end_of_period")
    path = f"subscriptions/{life.subscription()['id']}/scheduled_change"
    assert life.tell(path, None, "DELETE")["scheduled_change"] is None
    life.until("2027-05-02")
    assert (life.paid(), limit(life)) == ([3000, 3000], 500)
    assert life.told().count("invoice.paid") == 2
    assert life.reconcile() == []


def test_seats_up_and_down_limit_at_once_and_settle_with_the_next_invoice(begin: Begin) -> None:
    life = begin("2027-04-01 00:00")
    sell_seats(life)
    life.buys(quantities={"seats": 4})
    life.until("2027-04-16 00:00")
    change(life, quantities={"seats": 10})
    assert life.check("seats")["usage_limit"] == 10
    life.until("2027-05-01 12:00")
    assert life.paid() == [2200, 900 + 4000]
    life.until("2027-05-16 12:00")  # half of May's 31 days
    change(life, quantities={"seats": 2})
    assert life.check("seats")["usage_limit"] == 2
    life.until("2027-06-02")
    assert life.paid() == [2200, 4900, 1600 - 1200]
    assert life.told().count("invoice.paid") == 3


def test_addon_added_and_removed_is_paid_for_as_long_as_it_was_had(begin: Begin) -> None:
    life = begin("2027-04-01 00:00")
    sell_storage(life)
    life.buys()
    life.until("2027-04-16 00:00")
    change(life, addons=[{"id": "storage"}], proration="invoice_now")
    assert (life.has("backups"), life.paid()) == (True, [1000, 300])
    life.until("2027-05-10")
    assert life.paid() == [1000, 300, 1600]
    change(life, addons=[], effective="end_of_period")
    assert life.has("backups")
    life.until("2027-06-02")
    assert (life.has("backups"), life.has(), life.paid()[3:]) == (False, True, [1000])
    assert life.subscription()["addons"] == []
    assert life.told().count("invoice.paid") == 4


def test_month_to_year_now_begins_the_year_today_and_credits_the_rest(begin: Begin) -> None:
    life = half_of_april(begin)
    change(life, billing_period="year")
    assert (life.paid(), life.period()) == ([1000, 9500], ("2027-04-16", "2028-04-16"))
    assert life.usage_period() == ("2027-04-01", "2027-05-01")
    life.until("2028-04-17")
    assert (life.paid(), life.has()) == ([1000, 9500, 10_000], True)
    assert life.told().count("invoice.paid") == 3


def test_month_to_year_with_the_period_begins_the_year_then(begin: Begin) -> None:
    life = half_of_april(begin)
    change(life, billing_period="year", effective="end_of_period")
    assert (life.paid(), life.period()) == ([1000], ("2027-04-01", "2027-05-01"))
    life.until("2028-05-02")
    assert (life.paid(), life.has()) == ([1000, 10_000, 10_000], True)
    assert life.period() == ("2028-05-01", "2029-05-01")
    assert life.told().count("invoice.paid") == 3


def test_plan_changed_in_a_trial_with_card_costs_the_new_price_when_it_ends(begin: Begin) -> None:
    life = begin("2027-02-20 12:00")
    stocked(life)
    life.sell("pro", trial=CARD_TRIAL)
    life.buys()
    life.until("2027-03-01")
    answer = change(life, plan_id="team")
    assert (answer["status"], answer["trial_end"]) == ("in_trial", "2027-03-06T12:00:00Z")
    assert (limit(life), life.paid()) == (500, [])
    life.until("2027-03-07")
    assert (life.status(), limit(life), life.paid()) == ("active", 500, [3000])
    assert "trial.converted" in life.announced()


def test_version_that_is_pinned_is_paid_and_kept_whatever_comes(begin: Begin) -> None:
    life = half_of_april(begin)
    life.sell("pro", month=2000, calls=200)
    assert (life.subscription()["plan_version"], limit(life)) == (1, 100)
    path = f"subscriptions/{life.subscription()['id']}/migrate"
    life.tell(path, {"version": 2, "proration": "invoice_now"})
    life.sell("pro", month=5000, calls=900)
    assert (life.subscription()["plan_version"], limit(life)) == (2, 200)
    life.until("2027-06-02")
    assert (life.paid(), limit(life)) == ([1000, 500, 2000, 2000], 200)
    assert life.told().count("invoice.paid") == 4


def test_version_whose_price_is_sold_no_more_is_refused_and_nothing_changes(begin: Begin) -> None:
    life = half_of_april(begin)
    life.sell("pro", month=2000, calls=200)
    life.sell("pro", month=5000, calls=900)
    path = f"subscriptions/{life.subscription()['id']}/migrate"
    assert life.refused(path, {"version": 2}) == "wrong_state"
    life.until("2027-05-02")
    assert (life.subscription()["plan_version"], limit(life)) == (1, 100)
    assert life.paid() == [1000, 1000]
    assert life.told().count("subscription.updated") == 1  # the renewal


def test_coupon_of_a_running_subscription_takes_off_from_the_next_invoice(begin: Begin) -> None:
    life = half_of_april(begin)
    half = {"id": "half", "name": "Half", "percent_off": 50, "duration": "forever"}
    life.tell("coupons", half)
    change(life, coupon="half")
    life.until("2027-06-10")
    assert (life.paid(), limit(life)) == ([1000, 500, 500], 100)
    change(life, coupon=None)
    life.until("2027-07-02")
    assert (life.paid()[3:], life.has()) == ([1000], True)
    assert life.told().count("invoice.paid") == 4


def test_change_scheduled_for_a_period_whose_payment_fails_is_made_and_owed(begin: Begin) -> None:
    life = half_of_april(begin)
    change(life, plan_id="team", effective="end_of_period")
    life.changes_card(CARD_THAT_FAILS_LATER)
    life.until("2027-05-01 14:00")
    assert (life.status(), life.subscription()["plan_id"], limit(life)) == ("past_due", "team", 500)
    assert (life.paid(), life.told().count("invoice.payment_failed")) == ([1000], 1)
    life.changes_card(GOOD_CARD)
    life.until("2027-05-06")
    assert (life.status(), life.paid()) == ("active", [1000, 3000])
    assert "subscription.past_due" in life.announced()


def test_change_while_a_payment_is_late_leaves_it_owed(begin: Begin) -> None:
    life = half_of_april(begin)
    life.changes_card(CARD_THAT_FAILS_LATER)
    life.until("2027-05-01 14:00")
    assert life.status() == "past_due"
    change(life, plan_id="team", proration="none")
    assert (life.status(), limit(life), life.paid()) == ("past_due", 500, [1000])
    life.changes_card(GOOD_CARD)
    life.until("2027-06-02")
    assert (life.status(), life.paid()) == ("active", [1000, 1000, 3000])
    assert life.told().count("invoice.payment_failed") == 1


@pytest.mark.parametrize(
    "wish",
    [
        {"plan_id": "team", "proration": "create"},
        {"plan_id": "team", "proration": "invoice_now"},
        {"plan_id": "team", "proration": "none"},
        {"plan_id": "team", "effective": "end_of_period"},
        {"billing_period": "year"},
        {"billing_period": "year", "effective": "end_of_period"},
        {"plan_id": "team", "billing_period": "year", "proration": "none"},
    ],
    ids=str,
)
def test_preview_is_what_is_then_collected(begin: Begin, wish: dict[str, Any]) -> None:
    life = half_of_april(begin)
    told = preview(life, **wish)
    assert (told["is_estimate"], life.paid(), limit(life)) == (False, [1000], 100)
    change(life, **wish)
    due = [told["amount_due_now"]] if told["amount_due_now"] else []
    assert life.paid() == [1000, *due]
    following = told["next_invoice"]
    if following is None:  # Stripe tells of one invoice only, where a period begins today
        assert life.period()[0] == "2027-04-16"
        return
    assert following["at"] == "2027-05-01T00:00:00Z"
    life.until("2027-05-01 04:00")
    assert life.paid() == [1000, *due, following["amount_due"]]
    assert life.told().count("invoice.paid") == 2 + len(due)


@pytest.mark.parametrize("seats", [10, 1])
def test_preview_of_seats_is_what_is_then_collected(begin: Begin, seats: int) -> None:
    life = begin("2027-04-01 00:00")
    sell_seats(life)
    life.buys(quantities={"seats": 4})
    life.until("2027-04-11 00:00")
    told = preview(life, quantities={"seats": seats})
    change(life, quantities={"seats": seats})
    life.until("2027-05-02")
    assert told["amount_due_now"] == 0
    assert life.paid() == [2200, told["next_invoice"]["amount_due"]]
    assert life.check("seats")["usage_limit"] == seats
