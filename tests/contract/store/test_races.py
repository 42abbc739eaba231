"""Racing writers lose nothing and see nothing half done. Only on an engine that is exact itself."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from chalicelib.adapters.system import SystemClock
from chalicelib.domain.audit_log import AuditEntry, broken_links
from chalicelib.domain.checkout_attempts import CheckoutAttempts
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import (
    StoreConflictError,
    StoreUnavailableError,
    TooManyCheckoutsError,
)
from chalicelib.domain.ids import CustomerId, ProductId
from chalicelib.domain.products import Product
from chalicelib.domain.snapshots import Snapshot
from chalicelib.ports import Absent, AtRevision, Put, Store
from chalicelib.services.audit_chain import ChainedStore
from chalicelib.services.limit_checkouts import count_checkout
from tests.contract.store.threads import THREADS, at_once, hurried_quick_store, hurried_store
from tests.contract.store.worlds import DynamoWorld
from tests.factories import ACME, a_customer, a_product
from tests.fakes.store import InMemoryStore
from tests.fakes.system import START
from tests.fakes.world import World as FakesWorld

EMULATED = [pytest.param(name, marks=pytest.mark.integration) for name in ("emulator", "quick")]


@pytest.fixture(params=["memory", *EMULATED])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """One whose waits are real: moto is left out, because it is not exact itself under threads."""
    if request.param == "memory":
        yield InMemoryStore(SystemClock())
        return
    world: DynamoWorld = request.getfixturevalue("emulator_world")
    if request.param == "emulator":
        yield hurried_store(world)
        return
    with hurried_quick_store(world) as made:
        yield made


def entry(entry_id: str) -> AuditEntry:
    return AuditEntry(
        id=entry_id, entity="customer:acme", action="a", actor="b", cause="c", at=START
    )


def increment(store: Store) -> None:
    for _ in range(2000):
        current = store.get(Customer, "acme")
        assert current is not None
        count = int(current.metadata.get("count", "0"))
        new = replace(current, version=current.version + 1, metadata={"count": str(count + 1)})
        try:
            store.commit(
                Put(new, AtRevision(number=current.version)),
                Put(entry(f"a{new.version}"), Absent()),
            )
        except (StoreConflictError, StoreUnavailableError):
            continue
        return
    raise AssertionError("never got through")


def test_increments_at_a_revision_lose_nothing(store: Store) -> None:
    store.commit(Put(a_customer(), Absent()))

    def work(number: int) -> None:
        for _ in range(4):
            increment(store)

    at_once(work)
    found = store.get(Customer, "acme")
    assert found is not None
    assert found.metadata["count"] == str(4 * THREADS)
    assert found.version == 1 + 4 * THREADS
    entries = store.list_within(AuditEntry, "customer:acme", limit=500)
    assert len(entries.items) == 4 * THREADS


def test_chain_of_audit_entries_has_no_gap_and_no_fork(store: Store) -> None:
    chained = ChainedStore(store)

    def work(number: int) -> None:
        for turn in range(3):
            while True:
                try:
                    chained.commit(Put(entry(f"audit_{number}_{turn}"), Absent()))
                except (StoreConflictError, StoreUnavailableError):
                    continue
                break

    at_once(work)
    entries = store.list_within(AuditEntry, "customer:acme", limit=500).items
    assert [one.sequence for one in entries] == [*range(1, 3 * THREADS + 1)]
    assert len({one.id for one in entries}) == 3 * THREADS
    assert [*broken_links("customer:acme", entries)] == []


def test_put_if_absent_has_one_winner(store: Store) -> None:
    for round_ in range(10):

        def claim(number: int, round_: int = round_) -> bool:
            try:
                store.commit(Put(a_product(f"p{round_}", description=str(number)), Absent()))
            except StoreConflictError:
                return False
            return True

        won = [number for number, one in enumerate(at_once(claim)) if one]
        assert len(won) == 1
        stored = store.get(Product, f"p{round_}")
        assert stored is not None
        assert stored.description == str(won[0])


def test_a_transaction_moves_all_its_records_together(store: Store) -> None:
    """Transfers between two records keep their sum, and the snapshot's version never falls."""
    store.commit(
        Put(a_product("a", metadata={"n": "100"}), Absent()),
        Put(a_product("b", metadata={"n": "0"}), Absent()),
        Put(Snapshot(customer_id=ACME, version=1, document="{}"), Absent()),
    )
    stop = threading.Event()
    versions: list[int] = []

    def watch() -> None:
        while not stop.is_set():
            snapshot = store.get(Snapshot, "acme")
            assert snapshot is not None
            versions.append(snapshot.version)

    def amount(product: Product, change: int) -> Product:
        n = int(product.metadata["n"]) + change
        return replace(product, version=product.version + 1, metadata={"n": str(n)})

    def transfer() -> None:
        for _ in range(2000):
            a, b, seen = (
                store.get(Product, ProductId("a")),
                store.get(Product, ProductId("b")),
                store.get(Snapshot, "acme"),
            )
            assert a is not None
            assert b is not None
            assert seen is not None
            try:
                store.commit(
                    Put(amount(a, -1), AtRevision(number=a.version)),
                    Put(amount(b, 1), AtRevision(number=b.version)),
                    Put(replace(seen, version=seen.version + 1), AtRevision(number=seen.version)),
                )
            except (StoreConflictError, StoreUnavailableError):
                continue
            return
        raise AssertionError("never got through")

    def transfers(number: int) -> None:
        for _ in range(5):
            transfer()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        at_once(transfers, threads=8)
    finally:
        stop.set()
        watcher.join()
    a, b = store.get(Product, "a"), store.get(Product, "b")
    assert a is not None
    assert b is not None
    assert (a.metadata["n"], b.metadata["n"]) == ("60", "40")
    assert versions == sorted(versions)


def test_checkouts_begun_at_once_are_never_more_than_the_limit(store: Store) -> None:
    world = FakesWorld()
    clock = SystemClock()
    ports = replace(world.ports, store=store, clock=clock)

    def begin(number: int) -> bool:
        try:
            count_checkout(ports, CustomerId(ACME))
        except (TooManyCheckoutsError, StoreUnavailableError):
            return False
        return True

    begun = 0
    for _ in range(3):
        begun += sum(at_once(begin))
        held = store.get(CheckoutAttempts, ACME)
        assert held is not None
        assert begun <= len(held.at) <= 5
    assert begun >= 1
