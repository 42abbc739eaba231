"""Cancellation now, with the period and at a date, taken back and not; pauses."""

from collections.abc import Callable

import pytest

from tests.integration.time_stories.life import Life

Begin = Callable[[str], Life]


def cancel(life: Life, effective: str, **more: str) -> None:
    path = f"subscriptions/{life.subscription()['id']}/cancel"
    life.tell(path, {"effective": effective, **more})


def test_cancellation_with_the_period_gives_access_until_its_last_second(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.buys()
    life.until("2027-02-10")
    cancel(life, "end_of_period")
    assert (life.status(), life.has()) == ("active", True)
    life.until("2027-02-28 09:59:59")
    assert life.has()
    life.until("2027-02-28 10:00")
    assert (life.has(), life.status(), life.paid()) == (False, "canceled", [1000])
    assert life.told().count("subscription.deleted") == 1


def test_cancellation_with_the_period_ends_access_even_if_we_hear_nothing(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.buys()
    cancel(life, "end_of_period")
    life.is_deaf = True
    life.until("2027-03-01")
    assert (life.has(), life.paid()) == (False, [1000])
    assert "subscription.deleted" not in life.told()


def test_cancellation_now_ends_access_and_pays_nothing_back(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.buys()
    life.until("2027-02-10")
    cancel(life, "immediate")
    assert (life.status(), life.has()) == ("canceled", False)
    life.until("2027-04-01")
    assert life.paid() == [1000]
    assert life.told().count("subscription.deleted") == 1


@pytest.mark.parametrize(
    ("day", "paid"), [("2027-02-10", [1000]), ("2027-03-10", [1000, 1000])], ids=["this", "next"]
)
def test_cancellation_at_a_date_ends_on_it(begin: Begin, day: str, paid: list[int]) -> None:
    life = begin("2027-01-31 10:00")
    life.buys()
    cancel(life, "date", at=f"{day}T12:00:00Z")
    life.until(f"{day} 11:59:59")
    assert life.has()
    life.until(f"{day} 12:00")
    assert (life.has(), life.status(), life.paid()) == (False, "canceled", paid)
    assert life.told().count("subscription.deleted") == 1


def test_cancellation_taken_back_is_as_if_it_had_never_been(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    held = life.buys()
    life.until("2027-02-10")
    cancel(life, "end_of_period")
    life.until("2027-02-27")
    life.tell(f"subscriptions/{held}/resume")
    life.until("2027-03-02")
    assert (life.status(), life.has(), life.paid()) == ("active", True, [1000, 1000])
    assert "subscription.deleted" not in life.told()


def test_cancellation_taken_back_too_late_is_refused(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    held = life.buys()
    cancel(life, "end_of_period")
    life.until("2027-03-02")
    assert life.refused(f"subscriptions/{held}/resume") != "not_found"
    assert (life.status(), life.has(), life.paid()) == ("canceled", False, [1000])
    assert life.told().count("subscription.deleted") == 1


def test_customer_who_left_buys_again_and_pays_from_then_on(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.buys()
    cancel(life, "end_of_period")
    life.until("2027-05-15")
    life.buys()
    assert life.period() == ("2027-05-15", "2027-06-15")
    life.until("2027-06-16")
    assert (life.has(), life.paid()) == (True, [1000, 1000, 1000])
    assert life.told().count("subscription.created") == 2


def test_cancellation_in_stripes_dashboard_is_ours_too(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.buys()
    held = life.subscription()["billing"][0]["billing_id"]
    life.at_stripe("POST", f"/v1/subscriptions/{held}", cancel_at_period_end="true")
    assert life.subscription()["cancel_at"] == "2027-02-28T10:00:00Z"
    life.until("2027-03-01")
    assert (life.has(), life.paid()) == (False, [1000])
    assert life.told().count("subscription.deleted") == 1


def test_annual_plan_canceled_in_spring_gives_access_until_winter(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.buys(billing_period="year")
    life.until("2027-04-01")
    cancel(life, "end_of_period")
    life.until("2028-01-31 09:59")
    assert life.has()
    assert life.usage_period() == ("2027-12-31", "2028-01-31")
    life.until("2028-01-31 10:01")
    assert (life.has(), life.paid()) == (False, [10_000])
    assert life.told().count("subscription.deleted") == 1


def test_pause_stops_access_and_money_until_it_ends(begin: Begin) -> None:
    life = begin("2027-04-01 00:00")
    held = life.buys()
    life.until("2027-04-16 00:00")  # half of the month
    life.tell(f"subscriptions/{held}/pause")
    assert (life.status(), life.has()) == ("paused", False)
    life.until("2027-07-01")
    assert (life.status(), life.paid()) == ("paused", [1000])
    life.tell(f"subscriptions/{held}/resume")
    assert (life.status(), life.has()) == ("active", True)
    assert life.period() == ("2027-07-01", "2027-08-01")
    assert life.paid() == [1000, 500]  # what was left of April is credited
    assert {"subscription.paused", "subscription.resumed"} <= set(life.told())


def test_archived_price_of_a_running_subscription_goes_on_being_paid(begin: Begin) -> None:
    life = begin("2027-01-15 10:00")
    life.buys()
    life.tell("plans/pro/archive")
    life.until("2027-03-20")
    assert (life.status(), life.has(), life.paid()) == ("active", True, [1000, 1000, 1000])
    assert life.told().count("invoice.paid") == 3


def test_customer_archived_has_no_access_whatever_is_paid(begin: Begin) -> None:
    life = begin("2027-01-15 10:00")
    life.sell("free", month=None, year=None)
    life.orders("free")
    life.tell("customers/acme/archive")
    assert life.check()["denied_reason"] == "customer_is_archived"
    life.until("2027-02-20")
    assert life.check()["denied_reason"] == "customer_is_archived"
    life.tell("customers/acme/unarchive")
    assert (life.has(), life.paid(), life.told()) == (True, [], [])
