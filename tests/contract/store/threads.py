"""Many threads on one store, all beginning together."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from chalicelib.adapters.dynamodb.quick_store import QuickStore
from chalicelib.adapters.dynamodb.store import DynamoStore
from chalicelib.adapters.hot_client import HotClient
from chalicelib.adapters.sigv4 import Credentials
from chalicelib.adapters.system import SystemClock
from chalicelib.domain.customers import Customer
from chalicelib.ports import Store
from tests.contract.store.worlds import REGION, DynamoWorld
from tests.fakes.system import RecordingMonitor

T = TypeVar("T")

THREADS = 32


def at_once(work: Callable[[int], T], threads: int = THREADS) -> list[T]:
    """What the calls return."""
    barrier = threading.Barrier(threads)

    def run(number: int) -> T:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def hurried_store(world: DynamoWorld) -> DynamoStore:
    """A store of that environment whose pauses take their time, ready to be used by threads."""
    made = DynamoStore(
        stage=world.stage, region=REGION, endpoint_url=world.endpoint_url, clock=SystemClock()
    )
    made.get(Customer, "nobody")  # or each thread would begin by making a client of its own
    return made


@contextmanager
def hurried_quick_store(world: DynamoWorld) -> Iterator[Store]:
    """The same by hand-signed calls."""
    client = HotClient(
        region=REGION,
        endpoint_url=world.endpoint_url,
        credentials=lambda: Credentials("local", "local"),
        clock=SystemClock(),
        timeout_seconds=30.0,
    )
    yield QuickStore(
        stage=world.stage,
        client=client,
        ordinary=hurried_store(world),
        clock=SystemClock(),
        monitor=RecordingMonitor(),
    )
    client.close()
