"""Commits: all writes in one transaction, repeated while others hold the same items."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final

from pynamodb.connection import Connection
from pynamodb.expressions.condition import Condition as Expression
from pynamodb.transactions import TransactWrite

from chalicelib.adapters.dynamodb.failures import TransientConflictError, translated
from chalicelib.adapters.dynamodb.items import key_of, require_sizes, to_item
from chalicelib.adapters.dynamodb.keys import Table
from chalicelib.adapters.dynamodb.layouts import LAYOUTS
from chalicelib.adapters.dynamodb.tables import Item
from chalicelib.domain.errors import StoreUnavailableError
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
        if len(writes) + actions > _MAX_WRITES or len(identities) != len(writes):
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

    def _waits(self) -> Iterator[float]:
        """Growing pauses; the writers they wait for take a few milliseconds each."""
        for tried in range(_RETRIES):
            # The clock's microseconds keep those who met once from meeting again.
            jitter = self._clock.now().microsecond / 1_000_000
            yield _FIRST_WAIT_SECONDS * 2**tried * (0.5 + jitter)


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
