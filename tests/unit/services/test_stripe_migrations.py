"""Migrations over the real Stripe adapter and SDK, with the stand-in in this process behind them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.entitlements import Entitlement
from chalicelib.domain.features import FeatureType
from chalicelib.domain.migrations import MigrationStatus, Outcome
from chalicelib.domain.plans import Rollout
from chalicelib.domain.prices import PriceModel
from chalicelib.services.converge_customer import converge_customer
from tests.factories import ACME, a_limit, a_price, a_seat_price
from tests.fakes.migrating import EVERYBODY, WITH_THE_PERIOD, Migrating
from tests.fakes.stripe_shop import Json, StripeShop
from tests.fakes.world import a_cause

MONTH = timedelta(days=32)


@dataclass
class Stripe(Migrating, StripeShop):
    """One customer pays 10.00 a month for `pro`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.stock()

    def subscription(self) -> Json:
        return self.objects("subscription")[-1]

    def charged(self) -> list[tuple[int, int | None]]:
        """Amount and quantity of every line."""
        prices = {one["id"]: one for one in self.objects("price")}
        items = self.subscription()["items"]["data"]
        return sorted(
            (prices[item["price"]]["unit_amount"], item.get("quantity")) for item in items
        )

    def look(self) -> None:
        converge_customer(self.ports, a_cause(), ACME, "stripe")

    def advance(self, delta: timedelta) -> None:
        self.send("POST", "/_stand_in/clock", {"advance_seconds": int(delta.total_seconds())})
        self.look()

    def fault(self, path: str, kind: str, times: int = 1) -> None:
        body = {"method": "POST", "path": path, "kind": kind, "times": times}
        self.send("POST", "/_stand_in/faults", body)

    def proration_lines(self) -> list[int]:
        """What is charged and given back with the next invoice."""
        waiting = self.stand_in.account.store.scan("_pending_line")
        return sorted(one["line"]["amount"] for one in waiting)


def a_subscriber() -> Stripe:
    shop = Stripe()
    shop.customer()
    shop.pay(plan_id="pro")
    shop.draft(prices=(a_price("monthly", 1500),))
    return shop


def test_immediate_move_changes_the_price_and_settles_the_period_once() -> None:
    shop = a_subscriber()
    item = shop.subscription()["items"]["data"][0]["id"]
    run = shop.run()
    assert (run.status, run.counts[Outcome.MOVED]) == (MigrationStatus.SUCCEEDED, 1)
    assert shop.charged() == [(1500, 1)]
    assert [one["id"] for one in shop.subscription()["items"]["data"]] == [item]
    assert sorted(shop.proration_lines()) == [-1000, 1500]
    assert shop.versions() == {ACME: 2}
    assert shop.check("calls").decision.usage_limit == 50


def test_move_with_the_period_happens_when_it_ends() -> None:
    shop = a_subscriber()
    run = shop.run(WITH_THE_PERIOD)
    assert run.counts[Outcome.SCHEDULED] == 1
    shop.look()
    assert (shop.charged(), shop.versions()) == ([(1000, 1)], {ACME: 1})
    shop.advance(MONTH)
    assert (shop.charged(), shop.versions()) == ([(1500, 1)], {ACME: 2})
    assert not shop.proration_lines()
    shop.advance(timedelta(days=2))
    assert shop.subscription()["schedule"] is None
    paid = [one["amount_due"] for one in shop.objects("invoice")]
    assert paid == [1000, 1500]


def test_version_with_the_same_price_moves_by_metadata_alone() -> None:
    shop = a_subscriber()
    shop.draft(prices=(a_price("monthly", 1000),))
    shop.run()
    assert shop.charged() == [(1000, 1)]
    assert shop.versions() == {ACME: 2}
    assert not shop.proration_lines()
    shop.look()
    assert shop.versions() == {ACME: 2}


def test_version_with_the_same_price_moves_with_the_period() -> None:
    shop = a_subscriber()
    shop.draft(prices=(a_price("monthly", 1000),))
    shop.run(WITH_THE_PERIOD)
    shop.look()
    assert shop.versions() == {ACME: 1}
    shop.advance(MONTH)
    assert shop.versions() == {ACME: 2}


def test_seats_keep_their_number_and_a_new_charge_begins_with_its_least() -> None:
    shop = Stripe()
    shop.features(seats=FeatureType.METERED, boxes=FeatureType.METERED)
    seats: tuple[Entitlement, ...] = (a_limit("calls", 100),)
    shop.draft(prices=(a_price("monthly", 1000), a_seat_price("seats", 300)), entitlements=seats)
    shop.roll_out()
    shop.customer()
    shop.pay(plan_id="pro", quantities={"seats": 4})
    boxes = a_price("boxes", 70, model=PriceModel.PER_UNIT, feature_id="boxes", min_quantity=2)
    shop.draft(prices=(a_seat_price("seats", 500), boxes))
    shop.run(operation="second")
    assert shop.charged() == [(70, 2), (500, 4)]
    [held] = shop.subscriptions()
    assert dict(held.quantities) == {"seats": 4, "boxes": 2}


def test_immediate_migration_replaces_one_that_waits_for_the_period() -> None:
    shop = a_subscriber()
    shop.run(WITH_THE_PERIOD)
    shop.draft(prices=(a_price("monthly", 2000),), name="third")
    shop.run(operation="third")
    assert shop.subscription()["schedule"] is None
    assert (shop.charged(), shop.versions()) == ([(2000, 1)], {ACME: 3})
    shop.advance(MONTH)
    assert (shop.charged(), shop.versions()) == ([(2000, 1)], {ACME: 3})


def test_later_migration_with_the_period_replaces_an_earlier_one() -> None:
    shop = a_subscriber()
    shop.run(WITH_THE_PERIOD)
    shop.draft(prices=(a_price("monthly", 2000),), name="third")
    shop.run(WITH_THE_PERIOD, operation="third")
    assert len(shop.objects("subscription_schedule")) == 1
    shop.advance(MONTH)
    assert (shop.charged(), shop.versions()) == ([(2000, 1)], {ACME: 3})


@pytest.mark.parametrize("rollout", [EVERYBODY, WITH_THE_PERIOD])
def test_schedule_that_somebody_else_made_is_left_alone(rollout: Rollout) -> None:
    shop = a_subscriber()
    held = shop.subscription()
    schedule = shop.send("POST", "/v1/subscription_schedules", {"from_subscription": held["id"]})
    price = held["items"]["data"][0]["price"]
    shop.send(
        "POST",
        f"/v1/subscription_schedules/{schedule['id']}",
        {
            "phases[0][items][0][price]": price,
            "phases[0][start_date]": schedule["phases"][0]["start_date"],
            "phases[0][end_date]": schedule["phases"][0]["end_date"],
            "phases[1][items][0][price]": price,
            "phases[1][duration][interval]": "month",
        },
    )
    run = shop.run(rollout)
    assert [one.code for one in run.failures] == ["billing_provider_refused"]
    assert shop.charged() == [(1000, 1)]


_SUBSCRIPTION = "/v1/subscriptions/*"
_SCHEDULE = "/v1/subscription_schedules"


@pytest.mark.parametrize("kind", ["429", "500_before", "500_after", "timeout_after", "reset"])
@pytest.mark.parametrize(
    ("rollout", "path"),
    [
        (EVERYBODY, _SUBSCRIPTION),
        (WITH_THE_PERIOD, _SCHEDULE),
        (WITH_THE_PERIOD, f"{_SCHEDULE}/*"),
    ],
)
def test_move_survives_a_fault_of_stripe(rollout: Rollout, path: str, kind: str) -> None:
    shop = a_subscriber()
    shop.roll_out(rollout=rollout)
    shop.fault(path, kind)
    shop.work()
    shop.recover()
    assert shop.migrations()[0].status is MigrationStatus.SUCCEEDED
    assert len(shop.objects("subscription_schedule")) <= 1
    assert sorted(shop.proration_lines()) in ([], [-1000, 1500])
    shop.advance(MONTH)
    assert (shop.charged(), shop.versions()) == ([(1500, 1)], {ACME: 2})


def test_move_repeated_asks_stripe_for_nothing_more() -> None:
    shop = a_subscriber()
    shop.run()

    def writes() -> list[Any]:
        log = shop.send("GET", "/_stand_in/requests")
        return [one for one in log["data"] if one["method"] == "POST"]

    before = len(writes())
    shop.recover()
    shop.look()
    assert len(writes()) == before
