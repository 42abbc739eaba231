"""Many threads on one store, all beginning together."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from chalicelib.adapters.dynamodb.store import DynamoStore
from chalicelib.adapters.system import SystemClock
from chalicelib.domain.customers import Customer
from chalicelib.ports import Store
from tests.contract.store.worlds import REGION, DynamoWorld

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


def hurried_store(world: DynamoWorld) -> Store:
    """A store of that environment whose pauses take their time, ready to be used by threads."""
    made = DynamoStore(
        stage=world.stage, region=REGION, endpoint_url=world.endpoint_url, clock=SystemClock()
    )
    made.get(Customer, "nobody")  # or each thread would begin by making a client of its own
    return made
