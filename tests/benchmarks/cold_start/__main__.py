"""What a cold start costs: the built package under Lambda's own runtime client, one fresh process each time.

Run it on an idle machine: `.venv/bin/python -m tests.benchmarks.cold_start [--rounds 7] [--json FILE]`.

For each function: from the start of the process to its first question for an event, to the first answer, and a warm
answer. Beside them in the same run, from the same compiled packages: a handler that does nothing, and one that only
makes a boto3 client of DynamoDB, which is the yardstick. Subjects take turns; the median of the rounds counts. The
database is emulated on loopback, so the ratios mean something and the milliseconds do not.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import boto3
from rich.console import Console
from rich.table import Table as RichTable

from infra.local.emulator import Emulator
from infra.local.lambda_events import scheduled_event
from infra.local.ports import free_port
from infra.local.resources import ensure_resources
from infra.packaging.build import build
from infra.packaging.target import running_python, this_machine
from tests.benchmarks.bench_stage import (
    STAGE,
    check_event,
    environment,
    put_customer,
    secret_key,
)
from tests.lambda_runtime.function import Function

ROOT: Final = Path(__file__).parents[3]
WARM_CALLS: Final = 20
YARDSTICK: Final = "boto3 DynamoDB client alone"
CHECK: Final = "api: a check"
BOUNDS: Final = {CHECK: 0.6}
BOUND_OF_OTHERS: Final = 1.3
BARE: Final = "def handler(event, context):\n    return {}\n"
CLIENT: Final = f'import boto3\n\nboto3.client("dynamodb")\n\n\n{BARE}'


@dataclass(frozen=True, slots=True)
class Subject:
    """A handler, and the event it is given."""

    handler: str
    event: Mapping[str, Any]
    status: int | None = None


def subjects(token: str) -> dict[str, Subject]:
    check = check_event("features-15", "feature-07", token)
    return {
        "nothing": Subject("bare.handler", {}),
        YARDSTICK: Subject("client.handler", {}),
        CHECK: Subject("app.app", check, 200),
        "api: health": Subject("app.app", _get("/v1/health", token), 200),
        "api: list plans": Subject("app.app", _get("/v1/plans", token), 200),
        "api: openapi.json": Subject("app.app", _get("/openapi.json", token), 200),
        **{name: Subject(handler, event) for name, handler, event in _event_functions()},
    }


def _get(path: str, token: str) -> dict[str, Any]:
    event = check_event("", "", token)
    context = event["requestContext"] | {"resourcePath": path, "path": path}
    more = {"resource": path, "path": path, "pathParameters": None, "requestContext": context}
    return event | more


def _event_functions() -> list[tuple[str, str, dict[str, Any]]]:
    """Every function that events start; a message names something that is gone, a schedule finds nothing to do."""
    from app import app  # noqa: PLC0415 -- after the environment is set

    found = []
    for source in app.event_sources:
        event = (
            _message(source.queue)
            if hasattr(source, "queue")
            else scheduled_event(source.name, datetime.now(UTC))
        )
        found.append((source.name, source.handler_string, event))
    return found


def _message(queue: str) -> dict[str, Any]:
    ids = {"event_id": "evt_gone", "task_id": "task_gone", "migration_id": "migr_gone"}
    body = ids | {"reconciliation_id": "reco_gone", "customer_id": "gone"}
    record = {
        "messageId": "bench",
        "receiptHandle": "bench",
        "body": json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": "bench"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:us-east-1:000000000000:{queue}",
        "awsRegion": "us-east-1",
    }
    return {"Records": [record]}


@dataclass(frozen=True, slots=True)
class Sample:
    ready: float
    answered: float
    warm: float


def measure(task_root: Path, name: str, subject: Subject, variables: Mapping[str, str]) -> Sample:
    with Function(task_root, subject.handler, variables, name="bench") as function:
        ready = function.ready_after
        answer, answered = function.first_answer(subject.event)
        if subject.status is not None and answer["statusCode"] != subject.status:
            raise SystemExit(f"{name}: {answer}")
        warm = statistics.median(function.timed(subject.event)[1] for _ in range(WARM_CALLS))
    return Sample(ready * 1000, answered * 1000, warm * 1000)


def unpacked(folder: Path) -> Path:
    """The package as it lies in /var/task, with the two yardsticks' handlers beside it."""
    made = build(
        ROOT, folder / "project", architecture=this_machine(), python_version=running_python()
    )
    task_root = folder / "task"
    shutil.unpack_archive(made.zip, task_root)
    (task_root / "bare.py").write_text(BARE)
    (task_root / "client.py").write_text(CLIENT)
    return task_root


def run(rounds: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        task_root = unpacked(folder)
        emulator = Emulator(folder, free_port())
        emulator.start()
        try:
            variables = environment(emulator.endpoint_url)
            os.environ.update(variables)
            dynamodb = boto3.client("dynamodb")
            ensure_resources(dynamodb, boto3.client("sqs"), stage=STAGE)
            put_customer(dynamodb, "features-15", 15)
            chosen = subjects(secret_key())
            samples: dict[str, list[Sample]] = {name: [] for name in chosen}
            for number in range(rounds + 1):
                for name, subject in chosen.items():
                    sample = measure(task_root, name, subject, variables)
                    if number:  # the first round fills the system's caches
                        samples[name].append(sample)
        finally:
            emulator.stop()
    return _figures(samples)


def _figures(samples: Mapping[str, list[Sample]]) -> dict[str, dict[str, float]]:
    medians = {
        name: (
            statistics.median(one.ready for one in taken),
            statistics.median(one.answered for one in taken),
            statistics.median(one.warm for one in taken),
        )
        for name, taken in samples.items()
    }
    ready, answered, _ = medians[YARDSTICK]
    return {
        name: {
            "ready_ms": round(one[0], 1),
            "ready_ratio": round(one[0] / ready, 2),
            "first_answer_ms": round(one[1], 1),
            "first_answer_ratio": round(one[1] / answered, 2),
            "warm_ms": round(one[2], 2),
        }
        for name, one in medians.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = run(options.rounds)
    table = RichTable("", "ready ms", "ratio", "first answer ms", "ratio", "aim", "warm ms")
    for name, row in figures.items():
        table.add_row(
            name,
            f"{row['ready_ms']:.0f}",
            f"{row['ready_ratio']:.2f}",
            f"{row['first_answer_ms']:.0f}",
            f"{row['first_answer_ratio']:.2f}",
            f"{BOUNDS.get(name, BOUND_OF_OTHERS):.1f}",
            f"{row['warm_ms']:.2f}",
        )
    Console(width=120).print(table)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
