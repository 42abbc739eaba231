"""Fifty requests at once for one customer's checkout, on an engine that is exact under threads.

Few seeds are part of the suite; all are

    DOUBLE_START_SEEDS=20 .venv/bin/python -m pytest tests/integration/checkout/test_double_start.py
"""

import os
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from chalicelib.adapters.dynamodb.store import DynamoStore
from chalicelib.adapters.system import SystemClock
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import BusyError, StoreConflictError, StoreUnavailableError
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.orders import Order
from chalicelib.domain.prices import BillingPeriod
from chalicelib.domain.subscriptions import Subscription
from chalicelib.ports import Anyhow, Put, Store
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.listing import all_within
from chalicelib.services.start_checkout import start_checkout
from infra.local.resources import Resources
from tests.contract.store.threads import at_once
from tests.factories import ACME, a_price
from tests.fakes.stripe_shop import StripeShop
from tests.fakes.world import a_cause, an_order
from tests.integration.conftest import Aws
from tests.whole import WHOLE

SEEDS: Final = range(int(os.environ.get("DOUBLE_START_SEEDS", "20" if WHOLE else "2")))
STARTS: Final = 50
# What a caller may be told instead of a session: come again. Nothing else.
COME_AGAIN: Final = (BusyError, StoreConflictError, StoreUnavailableError)


@pytest.fixture
def shop(aws: Aws, stage: str, resources: Resources, monkeypatch: pytest.MonkeyPatch) -> StripeShop:
    """A plan by month and year at Stripe, and Acme; all that is stored has moved to the emulator."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    assert resources is not None
    made = StripeShop()
    made.sell("pro", a_price("m"), a_price("y", 10_000, billing_period=BillingPeriod.YEAR))
    made.customer()
    exact: Store = DynamoStore(
        stage=stage, region="us-east-1", endpoint_url=aws.endpoint_url, clock=SystemClock()
    )
    for record in made.store.records.values():
        exact.commit(Put(record, Anyhow()))
    exact.get(Customer, ACME)  # or each thread would begin by making a client of its own
    environment = replace(made.ports.environment, checkouts_per_minute=10 * STARTS)
    made.ports = replace(made.ports, store=exact, environment=environment)
    return made


def started(shop: StripeShop, orders: Sequence[Order], seed: int) -> list[CheckoutSession | None]:
    """What each of the requests got, all of them begun together; None for one that is to come again."""
    draw = random.Random(seed)
    pauses = [draw.choice((0.0, 0.0, draw.random() * 0.1)) for _ in orders]

    def start(number: int) -> CheckoutSession | None:
        time.sleep(pauses[number])
        try:
            return start_checkout(shop.ports, a_cause(f"op_{number}"), orders[number])
        except COME_AGAIN:
            return None

    return at_once(start, len(orders))


def open_sessions(shop: StripeShop) -> list[str]:
    return [one["id"] for one in shop.objects("checkout.session") if one["status"] == "open"]


def pay(shop: StripeShop, billing_id: str) -> None:
    shop.send("POST", f"/_stand_in/checkout_sessions/{billing_id}/pay")


def live(shop: StripeShop) -> list[Subscription]:
    converge_customer(shop.ports, a_cause("look"), CustomerId(ACME), "stripe")
    found: Any = all_within(shop.ports.store, Subscription, ACME)
    return [held for held in found if held.is_live]


@pytest.mark.parametrize("seed", SEEDS)
def test_fifty_starts_at_once_open_one_session_and_make_one_subscription(
    shop: StripeShop, seed: int
) -> None:
    order = an_order(billing_period=BillingPeriod.MONTH)
    got = [one for one in started(shop, [order] * STARTS, seed) if one is not None]
    assert len(got) > STARTS / 2
    [only] = open_sessions(shop)
    assert {one.billing_id for one in got} == {only}
    assert len({one.id for one in got}) == 1
    assert len(shop.objects("checkout.session")) == 1
    assert len(shop.objects("customer")) == 1
    pay(shop, only)
    [held] = live(shop)
    assert held.id == got[0].subscription_id
    assert len(shop.objects("subscription")) == 1


@pytest.mark.parametrize("seed", SEEDS[: (len(SEEDS) + 1) // 2])
def test_fifty_starts_at_once_by_month_and_year_leave_one_that_can_be_paid(
    shop: StripeShop, seed: int
) -> None:
    draw = random.Random(1000 + seed)
    periods = [draw.choice((BillingPeriod.MONTH, BillingPeriod.YEAR)) for _ in range(STARTS)]
    orders = [an_order(billing_period=period) for period in periods]
    got = [one for one in started(shop, orders, seed) if one is not None]
    assert got
    handed_out = {one.billing_id for one in got}
    payable = [one for one in open_sessions(shop) if one in handed_out]
    assert len(payable) == 1
    pay(shop, payable[0])
    assert len(live(shop)) == 1
