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


def candidates(dynamodb: Any) -> dict[str, Callable[[], object]]:
    from app import app  # noqa: PLC0415 -- after the environment is set
    from chalicelib import wiring  # noqa: PLC0415
    from chalicelib.domain.decisions import Question, decide  # noqa: PLC0415
    from chalicelib.domain.ids import CustomerId  # noqa: PLC0415
    from chalicelib.telemetry import LogMonitor  # noqa: PLC0415

    token = secret_key()
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


def run(rounds: int, calls: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        emulator = Emulator(Path(folder), free_port())
        emulator.start()
        try:
            os.environ.update(environment(emulator.endpoint_url))
            dynamodb = boto3.client("dynamodb")
            ensure_resources(dynamodb, boto3.client("sqs"), stage=STAGE)
            for size in SIZES:
                put_customer(dynamodb, f"features-{size}", size)
            subjects = candidates(dynamodb)
            best: dict[str, tuple[float, float]] = {}
            for number in range(rounds + 1):
                for name, call in subjects.items():
                    cpu, wall = measure(call, calls)
                    if number:  # the first round warms up
                        old = best.get(name, (cpu, wall))
                        best[name] = (min(old[0], cpu), min(old[1], wall))
        finally:
            emulator.stop()
    yardstick = next(iter(best.values()))
    return {
        name: {
            "cpu_us": round(cpu, 1),
            "wall_p50_us": round(wall, 1),
            "cpu_ratio": round(cpu / yardstick[0], 3),
            "wall_ratio": round(wall / yardstick[1], 3),
        }
        for name, (cpu, wall) in best.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = run(options.rounds, options.calls)
    table = RichTable("", "CPU us", "ratio", "wall p50 us", "ratio")
    for name, row in figures.items():
        table.add_row(
            name,
            f"{row['cpu_us']:.0f}",
            f"{row['cpu_ratio']:.2f}",
            f"{row['wall_p50_us']:.0f}",
            f"{row['wall_ratio']:.2f}",
        )
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
