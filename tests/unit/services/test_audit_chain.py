"""Every entity's audit entries are one unbroken chain, whoever writes at the same time, and tampering shows."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.adapters.dynamodb.codec import decode, encode
from chalicelib.domain.audit_log import AuditEntry, broken_links
from chalicelib.domain.errors import StoreConflictError
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import CustomerId
from chalicelib.ports import Absent, Anyhow, Put
from chalicelib.services.audit import entry
from chalicelib.services.audit_chain import ChainedStore
from chalicelib.services.manage_customers import set_customer_status
from tests.contract.store.records import JSON, TEXT
from tests.factories import ACME, a_price
from tests.fakes.world import World, a_cause

ENTITY = f"customer:{ACME}"


def write(world: World, entity: str = ENTITY, action: str = "a", **fields: Any) -> None:
    made = entry(world.ports, a_cause(), entity, action, **fields)
    world.ports.store.commit(Put(made, Anyhow()))


def chain(world: World, entity: str = ENTITY) -> tuple[AuditEntry, ...]:
    return world.audited(entity)


def faults(entries: tuple[AuditEntry, ...]) -> list[tuple[int, str]]:
    return [(one.sequence, one.detail) for one in broken_links(ENTITY, entries)]


def test_entries_of_an_entity_are_numbered_and_linked() -> None:
    world = World()
    for number in range(12):
        write(world, action=f"a{number}")
    entries = chain(world)
    assert [one.sequence for one in entries] == [*range(1, 13)]
    assert [one.action for one in entries] == [f"a{number}" for number in range(12)]
    assert [one.previous_hash for one in entries] == ["", *(one.hash for one in entries[:-1])]
    assert faults(entries) == []


def test_several_entries_of_one_commit_follow_each_other() -> None:
    world = World()
    made = [entry(world.ports, a_cause(), ENTITY, f"a{number}") for number in range(3)]
    other = entry(world.ports, a_cause(), "plan:pro", "a")
    world.ports.store.commit(*(Put(one, Absent()) for one in (*made, other)))
    assert [one.sequence for one in chain(world)] == [1, 2, 3]
    assert [one.sequence for one in chain(world, "plan:pro")] == [1]
    assert faults(chain(world)) == []


def test_life_of_a_customer_leaves_unbroken_chains() -> None:
    world = World()
    world.customer()
    world.sell("pro", a_price())
    billing_id = world.buy()
    world.converge()
    for number, status in enumerate((Lifecycle.ARCHIVED, Lifecycle.ACTIVE)):
        set_customer_status(world.ports, a_cause(f"s{number}"), CustomerId(ACME), status)
    world.billing.cancel(billing_id)
    world.converge()
    entities = {one.entity for one in world.store.all(AuditEntry)}
    assert len(entities) >= 2
    for entity in entities:
        assert [*broken_links(entity, chain(world, entity))] == []


def test_writer_that_was_overtaken_links_to_the_new_end() -> None:
    world = World()
    write(world)

    def overtake(_: object) -> None:
        world.store.before_commit = None
        write(world, action="first")

    world.store.before_commit = overtake
    write(world, action="second")
    assert [one.action for one in chain(world)] == ["a", "first", "second"]
    assert faults(chain(world)) == []


def test_conflict_of_something_else_is_raised_and_leaves_no_entry() -> None:
    world = World()
    world.customer()
    before = chain(world)
    made = entry(world.ports, a_cause(), ENTITY, "a")
    with pytest.raises(StoreConflictError):
        world.ports.store.commit(Put(made, Absent()), Put(world.stored_customer(), Absent()))
    assert chain(world) == before


def test_overtaken_commit_still_depends_on_its_other_conditions() -> None:
    world = World()
    world.customer()

    def overtake(_: object) -> None:
        world.store.before_commit = None
        write(world, action="first")

    world.store.before_commit = overtake
    made = entry(world.ports, a_cause(), ENTITY, "second")
    with pytest.raises(StoreConflictError):
        world.ports.store.commit(Put(made, Absent()), Put(world.stored_customer(), Absent()))
    assert [one.action for one in chain(world)] == ["customer.created", "first"]


def test_beginnings_of_all_chains_are_listed() -> None:
    world = World()
    names = [f"plan:p{number}" for number in range(30)]
    for name in names * 2:
        write(world, name)
    found = world.ports.store.list_within(AuditEntry, limit=100).items
    assert sorted(one.entity for one in found) == sorted(names)
    assert {one.sequence for one in found} == {1}


# --- Tampering ------------------------------------------------------------------------------------------------------


def a_chain() -> tuple[AuditEntry, ...]:
    world = World()
    for number in range(5):
        write(world, action=f"a{number}", before={"n": number}, after={"n": number + 1})
    return chain(world)


def altered(**changes: Any) -> Callable[[list[AuditEntry]], list[AuditEntry]]:
    def change(entries: list[AuditEntry]) -> list[AuditEntry]:
        return [*entries[:2], replace(entries[2], **changes), *entries[3:]]

    return change


TAMPERINGS: dict[str, Callable[[list[AuditEntry]], list[AuditEntry]]] = {
    "action": altered(action="other"),
    "actor": altered(actor="somebody"),
    "cause": altered(cause="req_other"),
    "before": altered(before={"n": 9}),
    "after": altered(after=None),
    "id": altered(id="audit_other"),
    "entity": altered(entity="customer:other"),
    "metadata": altered(metadata={}),
    "hash": altered(hash="0" * 64),
    "previous-hash": altered(previous_hash="0" * 64),
    "first-removed": lambda entries: entries[1:],
    "middle-removed": lambda entries: entries[:2] + entries[3:],
    "two-exchanged": lambda entries: [entries[0], entries[2], entries[1], *entries[3:]],
    "one-twice": lambda entries: [*entries[:3], entries[2], *entries[3:]],
}


@pytest.mark.parametrize("tamper", TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_tampering_is_found(tamper: Callable[[list[AuditEntry]], list[AuditEntry]]) -> None:
    entries = a_chain()
    assert faults(entries) == []
    assert faults(tuple(tamper([*entries])))


def test_entry_forged_with_a_hash_of_its_own_breaks_the_next_one() -> None:
    from chalicelib.domain.audit_log import hash_of  # noqa: PLC0415 -- what a forger would use

    entries = [*a_chain()]
    forged = replace(entries[2], actor="somebody")
    entries[2] = replace(forged, hash=hash_of(forged))
    assert faults(tuple(entries)) == [(4, "does not follow from the entry before it")]


@given(
    before=st.none() | st.dictionaries(TEXT, JSON, max_size=3),
    after=st.dictionaries(TEXT, JSON, max_size=3),
    actor=TEXT,
)
def test_hash_is_the_same_after_storing(before: Any, after: Any, actor: str) -> None:
    world = World()
    made = replace(entry(world.ports, a_cause(), ENTITY, "a", before, after), actor=actor)
    world.ports.store.commit(Put(made, Absent()))
    (stored,) = chain(world)
    read = decode(AuditEntry, encode(stored))
    assert [*broken_links(ENTITY, [read])] == []


def test_store_without_entries_is_as_before() -> None:
    world = World()
    assert isinstance(world.ports.store, ChainedStore)
    world.customer()
    assert world.ports.store.get(type(world.stored_customer()), ACME) == world.stored_customer()
