"""A whole warm check against a raw read of the same record, and the decision alone.

Run it on an idle machine: `.venv/bin/python -m tests.benchmarks.check [--rounds 5] [--calls 400] [--json FILE]`.

The yardstick is botocore's `GetItem` of the snapshot on the same engine in the same run; rounds alternate, and the
best round of each counts. Times are of this process only (CPU) and of the clock (wall); the engine is emulated on
loopback, so the ratios mean something and the microseconds do not.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import boto3
from rich.console import Console
from rich.table import Table as RichTable

from chalicelib.domain.snapshot_documents import document_of
from infra.local.emulator import Emulator
from infra.local.lambda_events import LambdaContext
from infra.local.ports import free_port
from infra.local.resources import ensure_resources
from tests.benchmarks.bench_stage import (
    STAGE,
    check_event,
    environment,
    put_customer,
    secret_key,
    snapshot_document,
)
from tests.benchmarks.check import scale

SIZES: Final = (15, 60)


def measure(call: Callable[[], object], calls: int) -> tuple[float, float]:
    """Microseconds of CPU for each call, and of the clock for the middle one."""
    walls: list[float] = []
    began = time.process_time()
    for _ in range(calls):
        start = time.perf_counter()
        call()
        walls.append(time.perf_counter() - start)
    cpu = (time.process_time() - began) / calls
    return cpu * 1e6, statistics.median(walls) * 1e6


def candidates(dynamodb: Any, token: str) -> dict[str, Callable[[], object]]:
    from app import app  # noqa: PLC0415 -- after the environment is set
    from chalicelib import wiring  # noqa: PLC0415
    from chalicelib.domain.decisions import Question, decide  # noqa: PLC0415
    from chalicelib.domain.ids import CustomerId  # noqa: PLC0415
    from chalicelib.telemetry import LogMonitor  # noqa: PLC0415

    key = {"pk": {"S": "CUST#features-15"}, "sk": {"S": "HOT#ENT"}}
    ports = wiring.ports(interactive=True)
    document = document_of(snapshot_document(SIZES[0]))
    found: dict[str, Callable[[], object]] = {
        "botocore GetItem (yardstick)": lambda: dynamodb.get_item(
            TableName=f"paygrade-{STAGE}-customers", Key=key
        ),
        "snapshot read alone": lambda: ports.snapshots.read(
            CustomerId("features-15"), consistent=False
        ),
        "decision alone": lambda: decide(document, {}, "feature-07", Question(), 1_760_000_000_000),
    }
    # The log goes nowhere: Lambda's own pipe is not what is measured here.
    object.__setattr__(ports.monitor, "write", lambda _: None)
    assert isinstance(ports.monitor, LogMonitor)
    for size in SIZES:
        event = check_event(f"features-{size}", "feature-07", token)
        answer = app(event, LambdaContext("check", 60))
        body = json.loads(answer["body"])
        assert body["has_access"], body
        found[f"whole check, {size} features"] = lambda event=event: app(  # type: ignore[misc]
            event, LambdaContext("check", 60)
        )
    return found


def run(rounds: int, calls: int) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """The table's rows, and what is no time: requests, read units, checks a second."""
    with tempfile.TemporaryDirectory() as folder:
        emulator = Emulator(Path(folder), free_port())
        emulator.start()
        try:
            os.environ.update(environment(emulator.endpoint_url))
            dynamodb = boto3.client("dynamodb")
            ensure_resources(dynamodb, boto3.client("sqs"), stage=STAGE)
            for size in SIZES:
                put_customer(dynamodb, f"features-{size}", size)
            token = secret_key()
            with scale.redis_get() as redis_get:
                best = _best(rounds, calls, _subjects(dynamodb, token, redis_get))
            counted = _counted(dynamodb, token)
        finally:
            emulator.stop()
    yardstick = next(iter(best.values()))
    rows = {
        name: {
            "cpu_us": round(cpu, 1),
            "wall_p50_us": round(wall, 1),
            "cpu_ratio": round(cpu / yardstick[0], 3),
            "wall_ratio": round(wall / yardstick[1], 3),
        }
        for name, (cpu, wall) in best.items()
    }
    return rows, counted


def _subjects(
    dynamodb: Any, token: str, redis_get: Callable[[], object] | None
) -> dict[str, Callable[[], object]]:
    from app import app  # noqa: PLC0415

    found = candidates(dynamodb, token)
    scale.put_crowd(dynamodb)
    among = check_event("crowd-7", "feature-07", token)
    found[f"whole check, one of {scale.CROWD} customers"] = lambda: app(
        among, LambdaContext("check", 60)
    )
    casbin = scale.casbin_decision()
    if redis_get is not None:
        found["Redis GET of the snapshot (for scale)"] = redis_get
    if casbin is not None:
        found["casbin decision in process (for scale)"] = casbin
    return found


def _best(
    rounds: int, calls: int, subjects: dict[str, Callable[[], object]]
) -> dict[str, tuple[float, float]]:
    best: dict[str, tuple[float, float]] = {}
    for number in range(rounds + 1):
        for name, call in subjects.items():
            cpu, wall = measure(call, calls)
            if number:  # the first round warms up
                old = best.get(name, (cpu, wall))
                best[name] = (min(old[0], cpu), min(old[1], wall))
    return best


def _counted(dynamodb: Any, token: str) -> dict[str, float]:
    from app import app  # noqa: PLC0415

    event = check_event("features-15", "feature-07", token)
    batch = scale.batch_event(token)
    answer = json.loads(app(batch, LambdaContext("check", 60))["body"])
    assert len(answer["data"]) == 100, answer
    cpu, wall = min(measure(lambda: app(batch, LambdaContext("check", 60)), 5) for _ in range(3))
    return {
        "requests to the database per check": scale.requests_per_check(app, event),
        "read units per check": scale.read_units(dynamodb),
        "batch of 100 customers, CPU ms": round(cpu / 1000, 1),
        "batch of 100 customers, wall p50 ms": round(wall / 1000, 1),
        "checks a second, one process": round(scale.throughput(1, token)),
        f"checks a second, {scale.cores()} processes": round(
            scale.throughput(scale.cores(), token)
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures, counted = run(options.rounds, options.calls)
    table = RichTable("", "CPU us", "ratio", "wall p50 us", "ratio")
    for name, row in figures.items():
        table.add_row(
            name,
            f"{row['cpu_us']:.0f}",
            f"{row['cpu_ratio']:.2f}",
            f"{row['wall_p50_us']:.0f}",
            f"{row['wall_ratio']:.2f}",
        )
    console = Console()
    console.print(table)
    for name, number in counted.items():
        console.print(f"{name}: {number:g}")
    if options.json:
        options.json.write_text(json.dumps({**figures, "counted": counted}, indent=2) + "\n")


if __name__ == "__main__":
    main()
