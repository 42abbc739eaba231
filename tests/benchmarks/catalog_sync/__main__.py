"""Stripe requests for each change of the catalog, and the cost of a publication over the number of subscribers.

Run: `.venv/bin/python -m tests.benchmarks.catalog_sync [--plans 500] [--json FILE]`.

Everything is in one process, over the real SDK and the stand-in, so requests are counted exactly; the times are
ratios within one run.
"""

import argparse
import json
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table as RichTable

import app
from chalicelib.domain.audit_log import Cause
from chalicelib.ports import QueueName
from chalicelib.services.reconcile import continue_reconciliation
from chalicelib.services.run_sync_task import run_sync_task
from chalicelib.services.start_reconciliation import start_reconciliation
from infra.local.stripe_stand_in import request_log
from tests.integration.world import StripeDeployment
from tests.unit.api.world import served

CAUSE: Final = Cause(actor="bench", request_id="bench", operation_id="bench")


class Forever:
    def remaining_seconds(self) -> float:
        return 1e9


class Bench:
    def __init__(self) -> None:
        self.world = StripeDeployment(app.app)

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.world.send(method, path, body)
        assert answer.status < 300, answer.body
        return answer.json

    def work(self) -> None:
        self.world.work_off(
            QueueName.SYNC, lambda body: run_sync_task(self.world.ports, body["task_id"])
        )

    def requests(self, change: Callable[[], object]) -> dict[str, int]:
        """How many requests of each method the change made Stripe serve."""
        before = len(request_log.since(self.world.stand_in.account, 0))
        change()
        self.work()
        served_now = request_log.since(self.world.stand_in.account, 0)[before:]
        counts = Counter(entry["method"] for entry in served_now)
        return {"GET": counts["GET"], "POST": counts["POST"]}

    def publish(self, plan: str) -> None:
        self.ok("POST", f"/v1/plans/{plan}/publish", {"migration": "new_customers"})

    def make(self, plan: str, amount: int) -> None:
        prices = [
            {"model": "flat_fee", "billing_period": period, "currency": "usd", "amount": price}
            for period, price in (("month", amount), ("year", amount * 10))
        ]
        body = {"id": plan, "product_id": "app", "name": plan, "pricing_type": "paid"}
        self.ok("POST", "/v1/plans", {**body, "prices": prices})
        self.publish(plan)

    def change_money(self, plan: str, amount: int) -> None:
        shown = self.ok("GET", f"/v1/plans/{plan}")
        prices = [
            {"model": "flat_fee", "billing_period": "month", "currency": "usd", "amount": amount},
            {
                "model": "flat_fee",
                "billing_period": "year",
                "currency": "usd",
                "amount": shown["prices"][1]["amount"],
            },
        ]
        self.ok("PATCH", f"/v1/plans/{plan}", {"prices": prices})
        self.publish(plan)

    def change_name(self, plan: str) -> None:
        self.ok("PATCH", f"/v1/plans/{plan}", {"name": f"{plan} renamed"})
        self.publish(plan)

    def reconcile(self) -> dict[str, int]:
        run = start_reconciliation(self.world.ports, "bench")
        continue_reconciliation(self.world.ports, CAUSE, run.id, Forever())
        found = self.ok("GET", f"/v1/reconciliations/{run.id}")
        assert found["drifts"] == [], found["drifts"]
        counts: dict[str, int] = found["counts"]
        return counts


def subscribe(bench: Bench, count: int) -> None:
    for number in range(count):
        customer = f"customer-{number:06}"
        bench.ok("POST", "/v1/customers", {"id": customer})
        bench.ok("POST", "/v1/subscriptions", {"customer_id": customer, "plan_id": "free"})


def publication(subscribers: int) -> tuple[float, int, int]:
    """Milliseconds, peak kilobytes and store commits of one publication of a plan that so many hold."""
    bench = Bench()
    with served(bench.world):
        bench.ok("POST", "/v1/products", {"id": "app", "name": "App"})
        bench.ok("POST", "/v1/features", {"id": "sso", "name": "SSO", "type": "boolean"})
        content = {"name": "Free", "pricing_type": "free"}
        bench.ok("POST", "/v1/plans", {"id": "free", "product_id": "app", **content})
        bench.publish("free")
        subscribe(bench, subscribers)
        entitlements = [{"feature_id": "sso", "value": True}]
        bench.ok("PATCH", "/v1/plans/free", {"entitlements": entitlements})
        commits = len(bench.world.store.commits)
        tracemalloc.start()
        began = time.perf_counter()
        bench.ok("POST", "/v1/plans/free/publish", {"migration": "all_customers"})
        elapsed = (time.perf_counter() - began) * 1000
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return elapsed, peak // 1024, len(bench.world.store.commits) - commits


def run(plans: int) -> dict[str, Any]:
    bench = Bench()
    with served(bench.world):
        bench.ok("POST", "/v1/products", {"id": "app", "name": "App"})
        figures: dict[str, Any] = {
            "requests": {
                "a new plan with two prices": bench.requests(lambda: bench.make("first", 900)),
                "one price changed": bench.requests(lambda: bench.change_money("first", 1000)),
                "the older price again": bench.requests(lambda: bench.change_money("first", 900)),
                "only the name changed": bench.requests(lambda: bench.change_name("first")),
            }
        }
        for number in range(plans):
            bench.make(f"plan-{number:04}", 1000 + number)
            bench.work()
        unchanged = bench.requests(lambda: None)
        figures["requests"][f"an unchanged catalog of {plans + 1} plans, nothing published"] = (
            unchanged
        )
        reconciled = bench.requests(bench.reconcile)
        figures["requests"]["the same, reconciled (it has to look)"] = reconciled
    publication(1)  # warms up
    small, large = publication(10), publication(1000)
    figures["publication for all customers"] = {
        "ms at 10 subscribers": round(small[0], 1),
        "ms at 1000 subscribers": round(large[0], 1),
        "ms ratio": round(large[0] / small[0], 2),
        "peak kB at 10": small[1],
        "peak kB at 1000": large[1],
        "commits at 10": small[2],
        "commits at 1000": large[2],
    }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plans", type=int, default=500)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = run(options.plans)
    table = RichTable("Stripe requests for", "GET", "POST")
    for name, counts in figures["requests"].items():
        table.add_row(name, str(counts["GET"]), str(counts["POST"]))
    Console().print(table)
    costs = RichTable("publication for all customers", "")
    for name, value in figures["publication for all customers"].items():
        costs.add_row(name, str(value))
    Console().print(costs)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
