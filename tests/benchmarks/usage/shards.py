"""What a spread counter costs: `.venv/bin/python -m tests.benchmarks.usage.shards [--calls 320] [--json FILE]`.

For one item, and for 1, 8 and 32 shards: parts of a consumption's transaction, how many commits 32 threads are refused,
and what a check reads. The emulator does one thing at a time, so its transactions never meet as DynamoDB's do:
refused are those whose condition did not hold. How far counts are apart is told by the busiest item's share of them.
"""

import argparse
import itertools
import json
import math
import os
import tempfile
import time
from collections import Counter as Tally
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import boto3
from rich.console import Console
from rich.table import Table as RichTable

from infra.local.emulator import Emulator
from infra.local.ports import free_port
from infra.local.resources import ensure_resources
from tests.benchmarks.bench_stage import STAGE, environment

THREADS: Final = 32
FEATURE: Final = "calls"
LIMIT: Final = 100_000


class CountingLedger:
    """A `UsageLedger` that tells what was asked of the one behind it."""

    def __init__(self, ledger: Any) -> None:
        self.ledger = ledger
        self.parts: Tally[int] = Tally()
        self.places: Tally[object] = Tally()
        self.refused = 0

    def commit(self, counts: Any, *writes: Any) -> None:
        from chalicelib.domain.errors import StoreConflictError  # noqa: PLC0415

        try:
            self.ledger.commit(counts, *writes)
        except StoreConflictError:
            self.refused += 1
            raise
        if writes:  # what lays out has none
            self.parts[len(counts) + len(writes)] += 1
            self.places[getattr(counts[0], "shard", 0)] += 1

    def hours(self, customer_id: Any, counter: str, first_ms: int, last_ms: int) -> Any:
        return self.ledger.hours(customer_id, counter, first_ms, last_ms)


def run(calls: int) -> list[dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        emulator = Emulator(Path(folder), free_port())
        emulator.start()
        try:
            os.environ.update(environment(emulator.endpoint_url))
            dynamodb = boto3.client("dynamodb")
            ensure_resources(dynamodb, boto3.client("sqs"), stage=STAGE)
            return [measured(dynamodb, shards, calls) for shards in (0, 1, 8, 32)]
        finally:
            emulator.stop()


def measured(dynamodb: Any, shards: int, calls: int) -> dict[str, float]:
    from chalicelib import wiring  # noqa: PLC0415 -- after the environment is set
    from chalicelib.domain.ids import CustomerId  # noqa: PLC0415
    from chalicelib.domain.snapshot_documents import SnapshotDocument, document_text  # noqa: PLC0415
    from chalicelib.domain.snapshots import Snapshot  # noqa: PLC0415
    from chalicelib.domain.spreading import resting  # noqa: PLC0415
    from chalicelib.domain.usage import CountUsage, Replace  # noqa: PLC0415
    from chalicelib.ports import Anyhow, Put  # noqa: PLC0415
    from chalicelib.services.consume import Consumption, consume  # noqa: PLC0415
    from tests.factories import a_feature  # noqa: PLC0415

    customer = CustomerId(f"spread-{shards}")
    document: SnapshotDocument = {
        "version": 1,
        "customer_status": "active",
        "sources": [{"type": "plan", "id": "pro", "version": 1, "start": 0}],
        "features": {FEATURE: {"type": "metered", "shares": [{"source": 0, "limit": LIMIT}]}},
    }
    if shards:
        document["shards"] = {FEATURE: [shards, shards]}
    ports = wiring.ports()
    snapshot = Snapshot(customer_id=customer, version=1, document=document_text(document))
    ports.store.commit(Put(a_feature(FEATURE), Anyhow()), Put(snapshot, Anyhow()))
    if shards:
        rest = Replace(counter=FEATURE, seen=None, becomes=resting(None))
        ports.usage.commit([CountUsage(customer_id=customer, changes=(rest,))])
    number = itertools.count()

    def one(ports: Any) -> None:
        wanted = Consumption(
            customer_id=customer, feature_id=FEATURE, amount=1, key=f"{next(number)}"
        )
        assert consume(ports, wanted).decision.has_access

    one(ports)  # lays out
    ledger = CountingLedger(ports.usage)
    ports = replace(ports, usage=ledger)
    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda _: one(ports), range(calls)))
    elapsed = time.perf_counter() - began
    read = dynamodb.query(
        TableName=f"paygrade-{STAGE}-customers",
        KeyConditionExpression="pk = :pk AND begins_with(sk, :hot)",
        ExpressionAttributeValues={":pk": {"S": f"CUST#{customer}"}, ":hot": {"S": "HOT#"}},
    )
    size = sum(_size(item) for item in read["Items"])
    return {
        "shards": shards,
        "parts": max(ledger.parts),
        "busiest_per_cent": 100 * max(ledger.places.values()) / calls,
        "refused_per_100": 100 * ledger.refused / calls,
        "per_second": calls / elapsed,
        "check_bytes": size,
        "check_read_units": math.ceil(size / 4096) / 2,
    }


def _size(item: dict[str, dict[str, str]]) -> int:
    return sum(len(name) + len(next(iter(value.values()))) for name, value in item.items())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=320)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    figures = run(chosen.calls)
    table = RichTable(*figures[0])
    for row in figures:
        table.add_row(*(f"{value:.4g}" for value in row.values()))
    Console(width=120).print(table)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
