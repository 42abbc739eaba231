"""A commit is seen whole or not at all, by writers and by readers. On the emulator only: it is exact."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import StoreConflictError
from chalicelib.domain.features import Feature
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshots import Snapshot
from chalicelib.ports import Absent, AtRevision, Put, Store
from tests.contract.store.records import a_customer, a_feature
from tests.contract.store.threads import at_once, hurried_store
from tests.contract.store.worlds import DynamoWorld

pytestmark = pytest.mark.integration

ROUNDS = 3


@pytest.fixture
def store(emulator_world: DynamoWorld) -> Store:
    return hurried_store(emulator_world)


def test_transactions_over_two_records_in_opposite_order_never_half_apply(store: Store) -> None:
    names = ("a", "b")
    store.commit(*(Put(a_feature(name), Absent()) for name in names))

    def write(number: int) -> int:
        done = 0
        for _ in range(ROUNDS):
            order = names if number % 2 else names[::-1]
            seen = {name: store.get(Feature, name) for name in order}
            puts = [
                Put(replace(one, version=one.version + 1), AtRevision(number=one.version))
                for one in seen.values()
                if one is not None
            ]
            try:
                store.commit(*puts)
            except StoreConflictError:
                continue
            done += 1
        return done

    done = sum(at_once(write))

    found = [store.get(Feature, name) for name in names]
    assert done > 0
    assert [one and one.version for one in found] == [1 + done, 1 + done]


def test_reader_never_sees_half_of_a_commit(store: Store) -> None:
    """The snapshot is written with its customer: who reads one, then the other, never finds the second older."""
    acme = CustomerId("acme")

    def pair(version: int) -> Iterator[Customer | Snapshot]:
        yield a_customer(version=version)
        yield Snapshot(customer_id=acme, version=version, document="{}")

    store.commit(*(Put(record, Absent()) for record in pair(1)))
    is_done = threading.Event()
    versions = 60

    def write() -> None:
        for version in range(2, versions + 1):
            store.commit(*(Put(record, AtRevision(number=version - 1)) for record in pair(version)))
        is_done.set()

    def read(number: int) -> int:
        first, second = (Customer, Snapshot) if number % 2 else (Snapshot, Customer)
        pairs = 0
        while not is_done.is_set():
            earlier: Any = store.get(first, "acme")
            later: Any = store.get(second, "acme")
            assert later.version >= earlier.version
            pairs += 1
        return pairs

    with ThreadPoolExecutor(9) as pool:
        readers = [pool.submit(read, number) for number in range(8)]
        pool.submit(write).result()
        assert all(reader.result() > 0 for reader in readers)
    assert getattr(store.get(Customer, "acme"), "version", 0) == versions
