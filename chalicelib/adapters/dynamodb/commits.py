"""Commits: all writes in one transaction, repeated while others hold the same items."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final

from pynamodb.connection import Connection
from pynamodb.expressions.condition import Condition as Expression
from pynamodb.expressions.operand import Path
from pynamodb.transactions import TransactWrite

from chalicelib.adapters.dynamodb.failures import TransientConflictError, translated
from chalicelib.adapters.dynamodb.items import key_of, require_sizes, to_item
from chalicelib.adapters.dynamodb.keys import SNAPSHOT_VERSION, Table, shard_sort
from chalicelib.adapters.dynamodb.layouts import LAYOUTS
from chalicelib.adapters.dynamodb.tables import Item
from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.spreading import shards_fenced_by
from chalicelib.ports import Absent, Anyhow, AtRevision, Clock, Put, Require, Write

_MAX_WRITES: Final = 100  # TransactWriteItems takes no more
_RETRIES: Final = 5
_FIRST_WAIT_SECONDS: Final = 0.02
Actions = Callable[[TransactWrite], None]


class Committer:
    """Writes to the tables of one environment.

    Always by a transaction, even for one write: its client token makes a repetition succeed whose first try was
    applied and whose answer was lost. A plain conditional put would then fail on its own condition.
    """

    def __init__(
        self, connection: Connection, models: Mapping[Table, type[Item]], clock: Clock
    ) -> None:
        self._connection = connection
        self._models = models
        self._clock = clock

    def commit(
        self, writes: tuple[Write, ...], *, also: Actions | None = None, actions: int = 0
    ) -> None:
        """All of the writes are done, or none; so are the so many `actions` that `also` adds to the transaction."""
        identities = {(type(write.record), write.record.identity) for write in writes}
        fenced = sum(len(_shards_of(write)) for write in writes)
        if len(writes) + actions + fenced > _MAX_WRITES or len(identities) != len(writes):
            raise ValueError("a commit has at most 100 writes, and no record twice")
        needed = [write for write in writes if not _is_idle(write)]
        if not needed and not actions:
            return
        waits = self._waits()
        while True:
            try:
                self._transact(needed, also)
            except TransientConflictError as error:
                wait = next(waits, None)
                if wait is None:
                    raise StoreUnavailableError("Too many write these records at once.") from error
                # A cancelled try has written nothing: the next one may well have another client token.
                self._clock.sleep(wait)
            else:
                return

    def _transact(self, writes: list[Write], also: Actions | None) -> None:
        now = self._clock.now()
        puts: list[Item] = []
        with translated(), TransactWrite(connection=self._connection) as transaction:
            for write in writes:
                condition = _expression(write, now)
                if isinstance(write, Put):
                    puts.append(to_item(self._models, write.record))
                    transaction.save(puts[-1], condition=condition)
                    self._fence(transaction, write)
                    continue
                model = self._models[LAYOUTS[type(write.record)].table]
                key = key_of(write.record)
                if isinstance(write, Require):
                    transaction.condition_check(model, key.pk, key.sk, condition)
                else:
                    transaction.delete(model(*key), condition=condition)
            if also is not None:
                also(transaction)
            require_sizes(puts)

    def _fence(self, transaction: TransactWrite, write: Put) -> None:
        """Counts in shards depend on the version there, or all would meet at the snapshot."""
        for shard in _shards_of(write):
            key = key_of(write.record)
            item = self._models[Table.CUSTOMERS](key.pk, shard_sort(shard))
            version = Path([SNAPSHOT_VERSION]).set(write.record.version)  # type: ignore[attr-defined]
            transaction.update(item, actions=[version])

    def _waits(self) -> Iterator[float]:
        """Growing pauses; the writers they wait for take a few milliseconds each."""
        for tried in range(_RETRIES):
            # The clock's microseconds keep those who met once from meeting again.
            jitter = self._clock.now().microsecond / 1_000_000
            yield _FIRST_WAIT_SECONDS * 2**tried * (0.5 + jitter)


def _shards_of(write: Write) -> range:
    """The shards that are told of the snapshot which is written."""
    if not isinstance(write, Put) or not isinstance(write.record, Snapshot):
        return range(0)
    return shards_fenced_by(write.record.document)


def _is_idle(write: Write) -> bool:
    return isinstance(write, Require) and isinstance(write.condition, Anyhow)


def _expression(write: Write, now: datetime) -> Expression | None:
    match write.condition:
        case Absent():
            absent: Expression = Item.kind.does_not_exist()
            expired: Expression = Item.ttl <= int(now.timestamp())
            if LAYOUTS[type(write.record)].hides_expired:
                # What no read shows any more is not in the way of a write either.
                return absent | expired  # type: ignore[no-any-return]  # PynamoDB leaves it untyped
            return absent
        case AtRevision(number=number):
            return Item.rev == number
        case Anyhow():
            return None
