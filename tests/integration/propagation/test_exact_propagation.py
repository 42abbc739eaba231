"""Whatever is edited and whatever fails on the way: once things calm down Stripe holds exactly the catalog.

The oracle reads the catalog over the API and states the mapping on its own, in Stripe's words; it shares no code
with the mapping that it judges. A short run is part of the suite; the long one is

    HYPOTHESIS_PROFILE=long .venv/bin/python -m pytest tests/integration/propagation
"""

import contextlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import app
from chalicelib.api import runtime
from chalicelib.domain.errors import DomainError
from chalicelib.ports import QueueName, Write
from chalicelib.services.run_sync_task import run_sync_task
from chalicelib.services.sweep import sweep
from infra.local.stripe_stand_in import Request
from infra.local.stripe_stand_in.in_process import TEST_KEY
from tests.integration.world import StripeDeployment

IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
PLANS = st.sampled_from(["basic", "pro"])
AMOUNTS = st.sampled_from([900, 1500])
PERIODS = st.sampled_from(["month", "year"])
CURRENCIES = st.sampled_from(["usd", "eur"])
# Mostly published, and mostly carried to Stripe: what is only drafted teaches nothing.
AFTERWARDS = st.sampled_from(["leave", "publish", "work", "work"])
NAMES = st.sampled_from(["One", "Two"])
TROUBLES = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["429", "500_before", "500_after", "timeout_after", "reset"]),
            "path": st.sampled_from(
                ["/v1/products", "/v1/prices", "/v1/products/*", "/v1/prices/*"]
            ),
            "method": st.sampled_from(["POST", "POST", "*"]),
            "times": st.integers(1, 3),
            "after": st.integers(0, 2),
        }
    ),
    max_size=2,
)
# The worker dies at one of its commits, just before it or just after.
DEATHS = st.none() | st.tuples(
    st.integers(0, 4), st.sampled_from(["before_commit", "after_commit"])
)
PRICE = st.fixed_dictionaries(
    {"billing_period": PERIODS, "currency": CURRENCIES, "amount": AMOUNTS}
).map(lambda price: {"model": "flat_fee", **price})


class KilledError(Exception):
    """The process is gone."""


def one_for_each_slot(prices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every period that is sold is sold in the same currencies, each slot once."""
    periods = sorted({price["billing_period"] for price in prices})
    currencies = sorted({price["currency"] for price in prices})
    amounts = {(price["billing_period"], price["currency"]): price["amount"] for price in prices}
    return [
        {
            "model": "flat_fee",
            "billing_period": period,
            "currency": currency,
            "amount": amounts.get((period, currency), 700),
        }
        for period in periods
        for currency in currencies
    ]


PRICES = st.lists(PRICE, max_size=4).map(one_for_each_slot)


class ExactPropagation(RuleBasedStateMachine):
    """A catalog under edit, a Stripe that fails, workers that die."""

    @initialize()
    def begin(self) -> None:
        self.world = StripeDeployment(app.app)
        runtime.set_ports_factory(lambda: self.world.ports)
        self.ok("POST", "/v1/products", {"id": "app", "name": "App"})
        self.plans: set[str] = set()
        self.must_agree = False

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.calm_down()
            self.stripe_holds_exactly_the_catalog()
        runtime.set_ports_factory(None)

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.world.send(method, path, body)
        assert answer.status < 300, answer.body
        return answer.json

    def may_refuse(self, method: str, path: str, body: Any = None) -> None:
        """The request was served, or refused because of the catalog's state."""
        answer = self.world.send(method, path, body)
        assert answer.status < 300 or answer.status == 409, answer.body
        self.must_agree = False

    # --- edits: each with what fails on the way to Stripe, so that every step of a run counts --------

    @rule(plan=PLANS, prices=PRICES, name=NAMES, troubles=TROUBLES, death=DEATHS, then=AFTERWARDS)
    def edit_plan(
        self,
        plan: str,
        prices: list[dict[str, Any]],
        name: str,
        troubles: list[dict[str, Any]],
        death: tuple[int, str] | None,
        then: str,
    ) -> None:
        content = {"name": name, "pricing_type": "paid" if prices else "free", "prices": prices}
        if plan in self.plans:
            self.may_refuse("PATCH", f"/v1/plans/{plan}", content)
        else:
            self.ok("POST", "/v1/plans", {"id": plan, "product_id": "app", **content})
            self.plans.add(plan)
        if then != "leave":
            self.may_refuse("POST", f"/v1/plans/{plan}/publish", {"migration": "new_customers"})
        if then == "work":
            self.work(troubles, death)

    @rule(plan=PLANS, verb=st.sampled_from(["archive", "unarchive"]), troubles=TROUBLES)
    def change_status(self, plan: str, verb: str, troubles: list[dict[str, Any]]) -> None:
        if plan in self.plans:
            self.may_refuse("POST", f"/v1/plans/{plan}/{verb}")
            self.work(troubles, None)

    # --- the world goes on ------------------------------------------------------------------------

    @rule(is_lost=st.booleans())
    def queue_fails(self, is_lost: bool) -> None:
        messages = self.world.queue.messages
        self.world.queue.messages = [] if is_lost else [*messages, *messages]

    @rule(troubles=TROUBLES, death=DEATHS)
    def work_later(self, troubles: list[dict[str, Any]], death: tuple[int, str] | None) -> None:
        self.world.clock.advance(minutes=2)
        sweep(self.world.ports)
        self.work(troubles, death)

    def work(self, troubles: list[dict[str, Any]], death: tuple[int, str] | None) -> None:
        for trouble in troubles:
            # Stripe replays a 500 under its key for a day, whether or not the request had an effect.
            fault = {**trouble, "stored": trouble["kind"].startswith("500")}
            self.ask("POST", "/_stand_in/faults", body=json.dumps(fault))
        self.must_agree = False
        left = [death[0] if death is not None else 0]

        def die(writes: tuple[Write, ...]) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KilledError

        if death is not None:
            setattr(self.world.store, death[1], die)
        self.world.work_off(QueueName.SYNC, self.attempt)
        self.world.store.before_commit = self.world.store.after_commit = None

    def attempt(self, body: Mapping[str, str]) -> None:
        # Whatever went wrong: the message comes again, or the sweep sends it.
        with contextlib.suppress(DomainError, KilledError):
            run_sync_task(self.world.ports, body["task_id"])

    @rule()
    def calm_down(self) -> None:
        """Faults stop, and the schedules run for a few periods."""
        self.ask("DELETE", "/_stand_in/faults")
        for _ in range(4):
            self.world.clock.advance(minutes=3)
            sweep(self.world.ports)
            self.work([], None)
        self.must_agree = True

    @invariant()
    def stripe_holds_exactly_the_catalog(self) -> None:
        if not getattr(self, "must_agree", False):
            return
        expected = self.wanted()
        assert self.held() == expected
        for plan in self.plans:
            shown = self.ok("GET", f"/v1/plans/{plan}")
            assert shown["sync_status"] in ("synced", "not_required"), shown
        self.no_price_was_made_twice()

    def wanted(self) -> dict[str, Any]:
        found = {}
        for plan in sorted(self.plans):
            shown = self.ok("GET", f"/v1/plans/{plan}")
            if shown["status"] != "published" or shown["pricing_type"] != "paid":
                continue
            found[plan] = {
                "name": shown["name"],
                "default": f"paygrade:test:plan:{plan}:{shown['prices'][0]['id']}",
                "prices": {
                    f"paygrade:test:plan:{plan}:{price['id']}": (
                        price["currency"],
                        price["amount"],
                        price["billing_period"],
                        price["id"],
                    )
                    for price in shown["prices"]
                },
            }
        return found

    def held(self) -> dict[str, Any]:
        products = self.listed("/v1/products")
        prices = self.listed("/v1/prices")
        by_id = {price["id"]: price for price in prices}
        found = {}
        for product in products:
            mine = [price for price in prices if price["product"] == product["id"]]
            active = [price for price in mine if price["active"]]
            if not product["active"]:
                assert not active, "an archived product sells nothing"
                continue
            default = by_id[product["default_price"]]
            found[product["metadata"]["paygrade_entity_id"]] = {
                "name": product["name"],
                "default": default["lookup_key"],
                "prices": {
                    price["lookup_key"]: (
                        price["currency"],
                        price["unit_amount"],
                        price["recurring"]["interval"],
                        price["metadata"]["paygrade_entity_id"],
                    )
                    for price in active
                },
            }
            assert len(active) == len({price["lookup_key"] for price in active})
        assert len(found) == sum(product["active"] for product in products)
        return found

    def no_price_was_made_twice(self) -> None:
        made = Counter(
            (
                price["product"],
                price["metadata"]["paygrade_entity_id"],
                price["currency"],
                price["unit_amount"],
                price["recurring"]["interval"],
            )
            for price in self.listed("/v1/prices")
        )
        assert set(made.values()) <= {1}, made

    def listed(self, path: str) -> list[dict[str, Any]]:
        data: list[dict[str, Any]] = self.ask("GET", path, "limit=100")["data"]
        return data

    def ask(self, method: str, path: str, query: str = "", body: str = "") -> Any:
        headers = {"Authorization": f"Bearer {TEST_KEY}"}
        answer = self.world.stand_in.handle(Request(method, path, query, headers, body.encode()))
        assert answer.status == 200, answer.body
        return json.loads(answer.body)


TestExactPropagation = ExactPropagation.TestCase
TestExactPropagation.settings = settings(
    max_examples=2000 if IS_LONG else 100,
    stateful_step_count=50 if IS_LONG else 25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
