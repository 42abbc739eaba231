"""What is collected over months: discounts, units, grants beside it, other prices, other ways to pay."""

from collections.abc import Callable

import pytest

from tests.integration.time_stories.changing import sell_seats
from tests.integration.time_stories.life import Life

Begin = Callable[[str], Life]


@pytest.mark.parametrize(
    ("coupon", "paid"),
    [
        ({"duration": "once"}, [500, 1000, 1000, 1000]),
        ({"duration": "repeating", "duration_months": 2}, [500, 500, 1000, 1000]),
        ({"duration": "forever"}, [500, 500, 500, 500]),
    ],
    ids=["once", "for-two-months", "for-ever"],
)
def test_coupon_takes_off_as_long_as_it_says(
    begin: Begin, coupon: dict[str, object], paid: list[int]
) -> None:
    life = begin("2027-01-31 10:00")
    life.tell("coupons", {"id": "half", "name": "Half", "percent_off": 50, **coupon})
    life.buys(coupon="half")
    life.until("2027-05-02")
    assert (life.paid(), life.has()) == (paid, True)
    assert life.told().count("invoice.paid") == 4


def test_coupon_archived_goes_on_for_who_has_it(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.tell("coupons", {"id": "half", "name": "Half", "percent_off": 50, "duration": "forever"})
    life.buys(coupon="half")
    life.tell("coupons/half/archive")
    life.until("2027-03-02")
    assert (life.paid(), life.has()) == ([500, 500], True)
    assert life.told().count("invoice.paid") == 2


def test_units_are_paid_each_month_and_limit_what_is_had(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    sell_seats(life)
    life.buys(quantities={"seats": 4})
    life.until("2027-03-02")
    assert life.paid() == [1000 + 4 * 300] * 2
    assert life.check("seats")["usage_limit"] == 4
    assert (life.has(), life.told().count("invoice.paid")) == (True, 2)


def test_units_changed_in_stripes_dashboard_are_settled_and_limit_from_then_on(
    begin: Begin,
) -> None:
    life = begin("2027-04-01 00:00")
    sell_seats(life)
    life.buys(quantities={"seats": 4})
    life.until("2027-04-16 00:00")
    held = life.deployment.stand_in.account.all("subscription")[0]
    item = next(one for one in held["items"]["data"] if one["quantity"] == 4)
    life.at_stripe("POST", f"/v1/subscription_items/{item['id']}", quantity=6)
    assert life.check("seats")["usage_limit"] == 6
    life.until("2027-05-02")
    assert life.paid() == [2200, 300 + 1000 + 6 * 300]
    assert (life.has(), life.told().count("invoice.paid")) == (True, 2)


def test_grant_counts_beside_the_plan_and_ends_by_itself(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.buys()
    life.tell(
        "customers/acme/grants",
        {
            "feature_id": "calls",
            "usage_limit": 500,
            "reset_period": "month",
            "expires_at": "2027-02-15T00:00:00Z",
        },
    )
    assert life.check()["usage_limit"] == 500
    assert life.check()["valid_until"] == "2027-02-15T00:00:00Z"
    life.until("2027-02-14 23:59:59")
    assert life.check()["usage_limit"] == 500
    life.until("2027-02-15")
    assert (life.check()["usage_limit"], life.has(), life.paid()) == (100, True, [1000])
    assert life.told().count("invoice.paid") == 1


def test_grant_for_life_outlives_the_subscription(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    held = life.buys()
    life.tell("customers/acme/grants", {"feature_id": "sso", "value": True})
    life.tell(f"subscriptions/{held}/cancel", {"effective": "end_of_period"})
    life.until("2029-01-01")
    assert (life.has("sso"), life.has("calls"), life.paid()) == (True, False, [1000])
    assert life.told().count("subscription.deleted") == 1


def test_free_plan_goes_on_for_ever_and_costs_nothing(begin: Begin) -> None:
    life = begin("2027-01-31 10:00")
    life.sell("free", month=None, year=None, calls=10)
    life.orders("free")
    life.until("2029-03-01")
    assert (life.status(), life.check()["usage_limit"], life.has()) == ("active", 10, True)
    assert life.usage_period() == ("2029-02-28", "2029-03-31")
    assert (life.paid(), life.told()) == ([], [])


def test_new_version_with_migration_at_once_settles_the_rest_of_the_month(begin: Begin) -> None:
    life = begin("2027-04-01 00:00")
    life.buys()
    life.until("2027-04-16 00:00")
    life.tell("plans/pro", {"prices": [price(month=2000)]}, "PATCH")
    life.tell("plans/pro/publish", {"migration": "all_customers", "effective": "immediate"})
    assert life.subscription()["plan_version"] == 2
    life.until("2027-05-02")
    assert life.paid() == [1000, 500 + 2000]
    assert (life.has(), life.told().count("invoice.paid")) == (True, 2)


def test_new_version_with_migration_at_the_periods_end_costs_more_from_then_on(
    begin: Begin,
) -> None:
    life = begin("2027-04-01 00:00")
    life.buys()
    life.until("2027-04-16 00:00")
    life.tell("plans/pro", {"prices": [price(month=2000)]}, "PATCH")
    life.tell("plans/pro/publish", {"migration": "all_customers", "effective": "end_of_period"})
    life.later(minutes=5)
    held = life.subscription()
    assert (held["plan_version"], held["scheduled_change"]["plan_version"]) == (1, 2)
    assert held["scheduled_change"]["at"] == "2027-05-01T00:00:00Z"
    life.until("2027-05-02")
    assert (life.subscription()["plan_version"], life.paid()) == (2, [1000, 2000])
    assert (life.has(), life.told().count("invoice.paid")) == (True, 2)


def price(month: int) -> dict[str, object]:
    return {"model": "flat_fee", "billing_period": "month", "currency": "usd", "amount": month}
