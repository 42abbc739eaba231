"""The store that puts audit entries in their chains, whoever writes them.

The next place of an entity's chain is written on condition that nobody has it: that is the whole fence, so a chain
costs one read and no further write, and only writers of the same entity ever meet.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from chalicelib.domain.audit_log import AuditEntry, Head, head_of, linked
from chalicelib.domain.errors import StoreConflictError
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.usage import Count
from chalicelib.ports import Absent, Put, Store, StoreInFront, UsageLedger, Write

# Each try loses only to a writer that finished.
_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class ChainedStore(StoreInFront):
    """A `Store` like the one below it, whose commits link the audit entries in them."""

    base: Store

    def commit(self, *writes: Write) -> None:
        """All of the writes are done, or none; audit entries have got the next places of their chains."""
        commit_chained(self.base, lambda linked_writes: self.base.commit(*linked_writes), writes)


@dataclass(frozen=True, slots=True)
class ChainedLedger:
    """A `UsageLedger` like the one below it; the audit entries that are written with counts are linked, too."""

    base: UsageLedger
    store: Store

    def commit(self, counts: Sequence[Count], *writes: Write) -> None:
        """All of the counts and writes are done, or none."""
        commit_chained(
            self.store, lambda linked_writes: self.base.commit(counts, *linked_writes), writes
        )

    def hours(
        self, customer_id: CustomerId, counter: str, first_ms: int, last_ms: int
    ) -> Mapping[int, int]:
        """What was counted in each hour between the two instants."""
        return self.base.hours(customer_id, counter, first_ms, last_ms)


def commit_chained(
    store: Store, commit: Callable[[Sequence[Write]], None], writes: Sequence[Write]
) -> None:
    """The writes are committed, their audit entries in the next places of their chains.

    Timeline of A and B, who change different things that one entity's log tells of: both read the head 7, A
    writes 8, B is refused. The head is 8 by then, so B links anew and tries again: whatever else its writes
    depend on is looked at again, too. If the head had not moved, something else was in the way, and is raised.
    """
    entities = {one.record.entity for one in writes if isinstance(one.record, AuditEntry)}
    heads = _heads(store, entities)
    for _ in range(_TRIES):
        try:
            commit(_linked(writes, heads))
        except StoreConflictError:
            moved = _heads(store, entities)
            if moved == heads:
                raise
            heads = moved
        else:
            return
    raise StoreConflictError("Too many write about the same at once.")


def _heads(store: Store, entities: Iterable[str]) -> dict[str, Head]:
    return {entity: _head(store, entity) for entity in entities}


def _head(store: Store, entity: str) -> Head:
    latest = store.list_within(AuditEntry, entity, limit=1, newest_first=True).items
    return head_of(latest[0]) if latest else Head()


def _linked(writes: Iterable[Write], heads: dict[str, Head]) -> list[Write]:
    ends = dict(heads)
    found: list[Write] = []
    for write in writes:
        if isinstance(write, Put) and isinstance(write.record, AuditEntry):
            entry = linked(write.record, ends[write.record.entity])
            ends[entry.entity] = head_of(entry)
            found.append(replace(write, record=entry, condition=Absent()))
        else:
            found.append(write)
    return found
