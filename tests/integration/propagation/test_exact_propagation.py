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
from decimal import Decimal
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
from tests.whole import WHOLE

IS_LONG = WHOLE or os.environ.get("HYPOTHESIS_PROFILE") == "long"
PLANS = st.sampled_from(["basic", "pro"])
AMOUNTS = st.sampled_from([900, 1500])
PERIODS = st.lists(st.sampled_from(["month", "year"]), min_size=1, max_size=2, unique=True)
CURRENCIES = st.lists(st.sampled_from(["usd", "eur"]), min_size=1, max_size=2, unique=True)
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
SEATS = st.sampled_from(["none", "flat", "tiers", "block"])


def seats_price(kind: str, amount: int) -> dict[str, Any]:
    """What is added to a price for each seat."""
    if kind == "tiers":
        tiers = [{"up_to": 10, "unit_amount": amount}, {"up_to": None, "flat_amount": amount}]
        return {"tiers_mode": "graduated", "tiers": tiers}
    return {"amount": amount, **({"block_size": 10} if kind == "block" else {})}


@st.composite
def price_lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The prices of a plan; every period that is sold is sold in the same currencies. None at all: it is free."""
    if draw(st.integers(0, 5)) == 0:
        return []
    seats, usage = draw(SEATS), draw(st.sampled_from([None, "0.5", "0.25"]))
    prices: list[dict[str, Any]] = []
    for period in draw(PERIODS):
        for currency in draw(CURRENCIES) if not prices else sorted({p["currency"] for p in prices}):
            slot = {"billing_period": period, "currency": currency}
            prices.append({"model": "flat_fee", **slot, "amount": draw(AMOUNTS)})
            if seats != "none":
                counted = {"model": "per_unit", "feature_id": "seats"}
                prices.append({**counted, **slot, **seats_price(seats, draw(AMOUNTS))})
            if usage is not None:
                counted = {"model": "usage_based", "feature_id": "calls"}
                prices.append({**counted, **slot, "amount_decimal": usage})
    return prices


PRICES = price_lists()


class KilledError(Exception):
    """The process is gone."""


def decimal(*amounts: Any) -> str | None:
    """The first amount that is given, spelled in one way; Stripe may say nothing or 0 for a tier's free units."""
    given = next((amount for amount in amounts if amount is not None), None)
    return None if given is None or Decimal(given) == 0 else str(Decimal(given).normalize())


def asked_money(price: dict[str, Any]) -> tuple[Any, ...]:
    """What the catalog charges."""
    tiers = [
        (
            tier["up_to"],
            decimal(tier["unit_amount"], tier["unit_amount_decimal"]),
            decimal(tier["flat_amount"]),
        )
        for tier in price["tiers"]
    ]
    return (
        price["currency"],
        decimal(price["amount"], price["amount_decimal"]),
        price["billing_period"],
        "metered" if price["model"] == "usage_based" else "licensed",
        price["tiers_mode"],
        tiers,
        price["block_size"],
    )


def held_money(price: dict[str, Any]) -> tuple[Any, ...]:
    """What Stripe charges."""
    tiers = [
        (tier["up_to"], decimal(tier["unit_amount_decimal"]), decimal(tier["flat_amount"]))
        for tier in price.get("tiers") or []
    ]
    divide = price["transform_quantity"]
    return (
        price["currency"],
        decimal(price["unit_amount_decimal"]),
        price["recurring"]["interval"],
        price["recurring"]["usage_type"],
        price["tiers_mode"],
        tiers,
        divide["divide_by"] if divide else None,
    )


class ExactPropagation(RuleBasedStateMachine):
    """A catalog under edit, a Stripe that fails, workers that die."""

    @initialize()
    def begin(self) -> None:
        self.world = StripeDeployment(app.app)
        runtime.set_ports_factory(lambda: self.world.ports)
        self.ok("POST", "/v1/products", {"id": "app", "name": "App"})
        for feature in ("seats", "calls"):
            metered = {"type": "metered", "usage_kind": "incremental"}
            self.ok("POST", "/v1/features", {"id": feature, "name": feature, **metered})
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
        """By plan: its product's name and default, its prices by lookup key, and which have a product of their own."""
        found = {}
        for plan in sorted(self.plans):
            shown = self.ok("GET", f"/v1/plans/{plan}")
            if shown["status"] != "published" or shown["pricing_type"] != "paid":
                continue
            keys = {
                price["id"]: f"paygrade:test:plan:{plan}:{price['id']}" for price in shown["prices"]
            }
            apart = {price["id"] for price in shown["prices"] if price["model"] == "usage_based"}
            found[plan] = {
                "name": shown["name"],
                "default": next(keys[price["id"]] for price in shown["prices"]),
                "prices": {keys[price["id"]]: asked_money(price) for price in shown["prices"]},
                "apart": apart,
            }
        return found

    def held(self) -> dict[str, Any]:
        products = {product["id"]: product for product in self.listed("/v1/products")}
        prices = self.listed("/v1/prices")
        by_id = {price["id"]: price for price in prices}
        found: dict[str, Any] = {}
        for product in products.values():
            mine = [price for price in prices if price["product"] == product["id"]]
            active = [price for price in mine if price["active"]]
            if not product["active"]:
                assert not active, "an archived product sells nothing"
                continue
            metadata = product["metadata"]
            plan = found.setdefault(
                metadata["paygrade_entity_id"], {"prices": {}, "apart": set(), "name": None}
            )
            default = by_id[product["default_price"]]["lookup_key"]
            if "paygrade_price_id" in metadata:
                assert len(active) == 1
                plan["apart"].add(metadata["paygrade_price_id"])
            else:
                assert plan["name"] is None, "a plan has one product of its own"
                plan |= {"name": product["name"], "default": default}
            for price in active:
                assert price["lookup_key"] not in plan["prices"]
                plan["prices"][price["lookup_key"]] = held_money(price)
        return found

    def no_price_was_made_twice(self) -> None:
        made = Counter(
            (
                price["product"],
                price["metadata"]["paygrade_entity_id"],
                repr(held_money(price)),
            )
            for price in self.listed("/v1/prices")
        )
        assert set(made.values()) <= {1}, made

    def listed(self, path: str) -> list[dict[str, Any]]:
        query = "limit=100" + ("&expand[]=data.tiers" if path == "/v1/prices" else "")
        data: list[dict[str, Any]] = self.ask("GET", path, query)["data"]
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
