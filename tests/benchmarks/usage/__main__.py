"""Counting usage against what DynamoDB itself takes for a bare update, and for a bare transaction of two items.

Run it on an idle machine: `.venv/bin/python -m tests.benchmarks.usage [--rounds 3] [--calls 150] [--json FILE]`.

Rounds alternate on one engine, and the best of each counts: CPU of this process, and the middle call by the clock.
The last lines are calls a second of many threads on one counter and on as many as there are threads. The engine is
emulated on loopback and does one thing at a time: the ratios mean something, the rates are its own.
"""

import argparse
import itertools
import json
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import boto3
from rich.console import Console
from rich.table import Table as RichTable

from infra.local.emulator import Emulator
from infra.local.ports import free_port
from infra.local.resources import ensure_resources
from tests.benchmarks.bench_stage import STAGE, environment, put_customer
from tests.benchmarks.check.__main__ import measure

FEATURE: Final = "feature-07"
THREADS: Final = 16
_number = itertools.count()


def candidates(dynamodb: Any) -> dict[str, Callable[[], object]]:
    from chalicelib.services.report_usage import UpdateBehavior, UsageReport, report_usage  # noqa: PLC0415

    def add(customer: str) -> dict[str, Any]:
        return {
            "TableName": f"paygrade-{STAGE}-customers",
            "Key": {"pk": {"S": f"CUST#{customer}"}, "sk": {"S": "RAW"}},
            "UpdateExpression": "ADD n :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }

    def transact() -> None:
        row = {"pk": {"S": f"RAW#{next(_number)}"}, "sk": {"S": "RAW"}}
        put = {
            "TableName": f"paygrade-{STAGE}-operations",
            "Item": row,
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        dynamodb.transact_write_items(TransactItems=[{"Put": put}, {"Update": add("two")}])

    ports = _ports()

    def report() -> object:
        return report_usage(
            ports,
            UsageReport(
                customer_id=_customer("reports"),
                feature_id=FEATURE,
                value=1,
                behavior=UpdateBehavior.DELTA,
                key=str(next(_number)),
            ),
        )

    return {
        "botocore UpdateItem": lambda: dynamodb.update_item(**add("one")),
        "botocore TransactWriteItems of two (yardstick)": transact,
        "report_usage": report,
        "consume": lambda: consume_one("consumes"),
    }


def consume_one(customer: str) -> object:
    from chalicelib.services.consume import Consumption, consume  # noqa: PLC0415

    wanted = Consumption(
        customer_id=_customer(customer), feature_id=FEATURE, amount=1, key=str(next(_number))
    )
    return consume(_ports(), wanted)


def _ports() -> Any:
    from chalicelib import wiring  # noqa: PLC0415 -- after the environment is set

    return wiring.ports()


def _customer(name: str) -> Any:
    from chalicelib.domain.ids import CustomerId  # noqa: PLC0415

    return CustomerId(name)


def per_second(customers: list[str], calls: int) -> float:
    """Consumptions a second of so many threads, each on the next of the customers."""
    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(consume_one, itertools.islice(itertools.cycle(customers), calls)))
    return calls / (time.perf_counter() - began)


def run(rounds: int, calls: int) -> tuple[dict[str, tuple[float, float]], dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        emulator = Emulator(Path(folder), free_port())
        emulator.start()
        try:
            os.environ.update(environment(emulator.endpoint_url))
            dynamodb = boto3.client("dynamodb")
            ensure_resources(dynamodb, boto3.client("sqs"), stage=STAGE)
            spread = [f"spread-{number}" for number in range(THREADS)]
            for customer in ("reports", "consumes", "hot", *spread):
                put_customer(dynamodb, customer, 15)
            _put_feature()
            measured: dict[str, list[tuple[float, float]]] = {}
            for _ in range(rounds):
                for name, call in candidates(dynamodb).items():
                    call()
                    measured.setdefault(name, []).append(measure(call, calls))
            best = {
                name: (min(one[0] for one in found), min(one[1] for one in found))
                for name, found in measured.items()
            }
            rates = {
                f"{THREADS} threads on one counter": per_second(["hot"], calls * 4),
                f"{THREADS} threads on {THREADS} counters": per_second(spread, calls * 4),
            }
            return best, rates
        finally:
            emulator.stop()


def _put_feature() -> None:
    from chalicelib.ports import Anyhow, Put  # noqa: PLC0415
    from tests.factories import a_feature  # noqa: PLC0415

    _ports().store.commit(Put(a_feature(FEATURE), Anyhow()))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=150)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    best, rates = run(chosen.rounds, chosen.calls)
    yardstick = best["botocore TransactWriteItems of two (yardstick)"]
    table = RichTable("", "CPU us", "ratio", "p50 us", "ratio")
    for name, (cpu, wall) in best.items():
        ratios = cpu / yardstick[0], wall / yardstick[1]
        table.add_row(name, f"{cpu:.0f}", f"{ratios[0]:.2f}", f"{wall:.0f}", f"{ratios[1]:.2f}")
    console = Console()
    console.print(table)
    for name, rate in rates.items():
        console.print(f"{name}: {rate:.0f} consumptions/s")
    if chosen.json is not None:
        figures = {"best_us": best, "per_second": rates}
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
