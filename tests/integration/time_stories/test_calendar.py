"""Months and years of different length: when is paid, and from when until when usage counts."""

from collections.abc import Callable

import pytest

from tests.integration.time_stories.life import Life

Begin = Callable[[str], Life]


def test_month_bought_on_the_31st_ends_on_the_last_day_of_each_month(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.buys()
    assert life.period() == ("2027-01-31", "2027-02-28")
    life.until("2027-03-01")
    assert life.period() == ("2027-02-28", "2027-03-31")
    life.until("2027-04-15")
    assert life.period() == ("2027-03-31", "2027-04-30")
    assert life.usage_period() == ("2027-03-31", "2027-04-30")
    assert life.has()
    assert life.paid() == [1000, 1000, 1000]
    assert life.told().count("invoice.paid") == 3


def test_month_bought_on_the_31st_before_a_leap_day_ends_on_it(begin: Begin) -> None:
    life = begin("2028-01-31 10:00")
    life.buys()
    assert life.period() == ("2028-01-31", "2028-02-29")
    life.until("2028-03-02")
    assert life.period() == ("2028-02-29", "2028-03-31")
    assert life.usage_period() == ("2028-02-29", "2028-03-31")
    assert (life.has(), life.paid()) == (True, [1000, 1000])
    assert life.told().count("invoice.paid") == 2


@pytest.mark.parametrize(
    ("day", "end"),
    [("2027-01-28", "2027-02-28"), ("2027-01-29", "2027-02-28"), ("2027-01-30", "2027-02-28")],
)
def test_month_bought_late_in_january_ends_in_february(begin: Begin, day: str, end: str) -> None:
    life = begin(f"{day} 23:59")
    life.buys()
    assert life.period() == (day, end)
    assert life.usage_period() == (day, end)
    life.until(f"{end} 23:58")
    assert (life.has(), life.paid()) == (True, [1000])
    life.until("2027-03-02")
    assert (life.period()[0], life.paid()) == (end, [1000, 1000])
    assert life.told().count("subscription.created") == 1


def test_year_bought_on_the_leap_day_ends_on_28_february(begin: Begin) -> None:
    life = begin("2028-02-29 12:00")
    life.buys(billing_period="year")
    assert life.period() == ("2028-02-29", "2029-02-28")
    life.until("2029-03-01")
    assert life.period() == ("2029-02-28", "2030-02-28")
    assert (life.has(), life.paid()) == (True, [10_000, 10_000])
    assert life.told().count("invoice.paid") == 2


def test_year_bought_on_the_leap_day_is_paid_on_the_next_leap_day_again(begin: Begin) -> None:
    life = begin("2028-02-29 12:00")
    life.buys(billing_period="year")
    life.until("2032-03-02")
    assert life.period() == ("2032-02-29", "2033-02-28")
    assert (life.has(), life.paid()) == (True, [10_000] * 5)
    assert life.told().count("invoice.paid") == 5


def test_year_with_monthly_limits_counts_anew_each_month(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.buys(billing_period="year")
    seen = []
    for day in ("2027-02-27", "2027-03-01", "2027-04-01", "2027-05-01", "2027-12-31"):
        life.until(f"{day} 12:00")
        seen.append(life.usage_period())
    assert seen == [
        ("2027-01-31", "2027-02-28"),
        ("2027-02-28", "2027-03-31"),
        ("2027-03-31", "2027-04-30"),
        ("2027-04-30", "2027-05-31"),
        ("2027-12-31", "2028-01-31"),
    ]
    assert (life.has(), life.paid()) == (True, [10_000])
    assert life.told().count("invoice.paid") == 1


def test_limits_by_the_calendar_count_anew_on_the_first(begin: Begin) -> None:
    life = begin("2027-01-15 10:00")
    life.sell("pro", anchor="calendar")
    life.buys()
    assert life.usage_period() == ("2027-01-01", "2027-02-01")
    life.until("2027-01-31 23:59:59")
    assert life.usage_period() == ("2027-01-01", "2027-02-01")
    life.until("2027-02-01")
    assert life.usage_period() == ("2027-02-01", "2027-03-01")
    assert life.period() == ("2027-01-15", "2027-02-15")
    assert (life.has(), life.paid(), life.told().count("invoice.paid")) == (True, [1000], 1)


@pytest.mark.parametrize(
    ("reset", "first", "second"),
    [
        ("day", ("2027-03-27", "2027-03-28"), ("2027-03-28", "2027-03-29")),
        ("week", ("2027-03-27", "2027-04-03"), ("2027-03-27", "2027-04-03")),
    ],
)
def test_limits_over_a_change_to_summer_time_keep_their_length(
    begin: Begin, reset: str, first: tuple[str, str], second: tuple[str, str]
) -> None:
    life = begin("2027-03-27 12:00")
    life.sell("pro", reset=reset)
    life.buys()
    assert life.usage_period() == first
    # Europe turns its clocks in the night to the 28th; UTC does not.
    life.until("2027-03-28 12:00")
    assert life.usage_period() == second
    assert (life.has(), life.paid(), life.told().count("invoice.paid")) == (True, [1000], 1)


def test_month_over_the_turn_of_the_year_is_paid_once_in_each(begin: Begin) -> None:
    life = begin("2026-12-31 23:59:59")
    life.buys()
    life.until("2027-01-31 23:59:58")
    assert life.paid() == [1000]
    life.until("2027-02-02")
    assert (life.paid(), life.has()) == ([1000, 1000], True)
    assert life.period() == ("2027-01-31", "2027-02-28")
    assert life.told().count("invoice.paid") == 2


def test_price_that_changes_is_what_new_customers_pay_only(begin: Begin) -> None:
    life = begin("2027-01-10")
    life.buys()
    life.until("2027-01-20")
    life.sell("pro", month=1500)
    life.buys(customer="late")
    life.until("2027-02-12")
    assert sorted(life.paid()) == [1000, 1000, 1500]
    assert life.ask("subscriptions?customer_id=acme")["data"][0]["plan_version"] == 1
    assert life.subscription("late")["plan_version"] == 2
    assert life.has(customer="acme")
    assert life.told().count("invoice.paid") == 3
