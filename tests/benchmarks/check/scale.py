"""What stands beside the check in its table: other ways to answer, many customers, many at once, and what it costs.

Redis and casbin are measured where they are installed (`redis-server` on the PATH, the packages `redis` and `casbin`);
they are no dependencies, and no rivals: they show what a read and a decision cost elsewhere.
"""

import importlib
import importlib.util
import json
import multiprocessing
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from infra.local.lambda_events import LambdaContext
from infra.local.ports import free_port
from tests.benchmarks.bench_stage import STAGE, check_event, snapshot_document

CROWD: Final = 10_000
_BATCH: Final = 25
_MODEL: Final = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && r.obj == p.obj && r.act == p.act
"""


@contextmanager
def redis_get() -> Iterator[Callable[[], object] | None]:
    """A GET of the same snapshot from a Redis on this machine; None where there is none."""
    server = shutil.which("redis-server")
    if server is None or importlib.util.find_spec("redis") is None:
        yield None
        return
    redis: Any = importlib.import_module("redis")

    port = free_port()
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port)
        for _ in range(100):
            try:
                client.set("customer", snapshot_document(15))
                break
            except redis.ConnectionError:
                time.sleep(0.05)
        yield lambda: client.get("customer")
    finally:
        process.terminate()
        process.wait()


def casbin_decision() -> Callable[[], object] | None:
    """A decision of casbin in process, among as many rules as the snapshot has features; None where it is not there."""
    if importlib.util.find_spec("casbin") is None:
        return None
    casbin: Any = importlib.import_module("casbin")

    with tempfile.TemporaryDirectory() as folder:
        model, policy = Path(folder) / "model.conf", Path(folder) / "policy.csv"
        model.write_text(_MODEL)
        policy.write_text("\n".join(f"p, acme, feature-{number:02}, use" for number in range(15)))
        enforcer = casbin.Enforcer(str(model), str(policy))
    return lambda: enforcer.enforce("acme", "feature-07", "use")


def put_crowd(dynamodb: Any) -> None:
    """Ten thousand more customers are in the table."""
    table = f"paygrade-{STAGE}-customers"
    document = snapshot_document(15)
    for first in range(0, CROWD, _BATCH):
        requests = [
            {
                "PutRequest": {
                    "Item": {
                        "pk": {"S": f"CUST#crowd-{number}"},
                        "sk": {"S": "HOT#ENT"},
                        "kind": {"S": "snapshot"},
                        "rev": {"N": "1"},
                        "doc": {"S": document},
                    }
                }
            }
            for number in range(first, first + _BATCH)
        ]
        dynamodb.batch_write_item(RequestItems={table: requests})


def batch_event(token: str) -> dict[str, Any]:
    """A hundred checks of a hundred customers in one request."""
    event = check_event("crowd-0", "feature-07", token)
    path = "/v1/entitlements/check"
    checks = [{"customer_id": f"crowd-{n}", "feature_id": "feature-07"} for n in range(100)]
    headers = {**event["headers"], "content-type": "application/json"}
    return {
        **event,
        "resource": path,
        "path": path,
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "pathParameters": None,
        "body": json.dumps({"checks": checks}),
        "requestContext": {
            **event["requestContext"],
            "resourcePath": path,
            "path": path,
            "httpMethod": "POST",
        },
    }


def read_units(dynamodb: Any) -> float:
    """What DynamoDB charges for the check's one Query, by the engine's own count."""
    answer = dynamodb.query(
        TableName=f"paygrade-{STAGE}-customers",
        KeyConditionExpression="pk = :pk AND begins_with(sk, :hot)",
        ExpressionAttributeValues={":pk": {"S": "CUST#features-15"}, ":hot": {"S": "HOT#"}},
        ReturnConsumedCapacity="TOTAL",
    )
    return float(answer["ConsumedCapacity"]["CapacityUnits"])


def requests_per_check(app: Any, event: dict[str, Any], checks: int = 50) -> float:
    """How many requests leave for the database, counted where they leave."""
    from chalicelib.adapters.kept_connection import KeptConnection  # noqa: PLC0415

    sent = 0
    kept: Any = KeptConnection
    post = kept.post

    def counting(connection: KeptConnection, headers: Mapping[str, str], body: bytes) -> object:
        nonlocal sent
        sent += 1
        return post(connection, headers, body)

    kept.post = counting
    try:
        for _ in range(checks):
            app(event, LambdaContext("check", 60))
    finally:
        kept.post = post
    return sent / checks


def _serve(seconds: float, token: str, counted: Any) -> None:
    from app import app  # noqa: PLC0415
    from chalicelib import wiring  # noqa: PLC0415

    object.__setattr__(wiring.ports(interactive=True).monitor, "write", lambda _: None)
    event = check_event("features-15", "feature-07", token)
    app(event, LambdaContext("check", 60))
    end = time.monotonic() + seconds
    served = 0
    while time.monotonic() < end:
        app(event, LambdaContext("check", 60))
        served += 1
    counted.put(served / seconds)


def throughput(processes: int, token: str, seconds: float = 3.0) -> float:
    """Checks a second of so many processes at once, each as a Lambda container is: one request after the other."""
    context = multiprocessing.get_context("spawn")
    counted = context.Queue()
    workers = [
        context.Process(target=_serve, args=(seconds, token, counted)) for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    rates = [counted.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    return float(sum(rates))


def cores() -> int:
    """How many processes can really run at once."""
    return len(os.sched_getaffinity(0))
