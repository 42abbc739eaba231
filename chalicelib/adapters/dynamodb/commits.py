"""Commits: all writes in one transaction, repeated while others hold the same items."""

from collections.abc import Iterator, Sequence
from typing import Final

from chalicelib.adapters.dynamodb.rows import Wire
from chalicelib.adapters.dynamodb.transactions import (
    Sender,
    Transaction,
    TransientConflictError,
    actions_of,
    fenced_by,
)
from chalicelib.adapters.system import TimeSortedIds
from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.ports import Anyhow, Clock, Require, Write

_MAX_WRITES: Final = 100  # TransactWriteItems takes no more
_RETRIES: Final = 5
_FIRST_WAIT_SECONDS: Final = 0.02


class Committer:
    """Writes to the tables of one environment.

    Always by a transaction, even for one write: its client token makes a repetition succeed whose first try was
    applied and whose answer was lost. A plain conditional put would then fail on its own condition.
    """

    def __init__(self, stage: str, sender: Sender, clock: Clock) -> None:
        self._stage = stage
        self._sender = sender
        self._clock = clock
        self._tokens = TimeSortedIds(clock)

    def commit(self, writes: Sequence[Write], *, updates: Sequence[Wire] = ()) -> None:
        """All of the writes are done, or none; so are the `updates`, which are in DynamoDB's own form."""
        identities = {(type(write.record), write.record.identity) for write in writes}
        fenced = sum(len(fenced_by(write)) for write in writes)
        if len(writes) + len(updates) + fenced > _MAX_WRITES or len(identities) != len(writes):
            raise ValueError("a commit has at most 100 writes, and no record twice")
        needed = [write for write in writes if not _is_idle(write)]
        if not needed and not updates:
            return
        waits = self._waits()
        while True:
            try:
                self._sender.send(self._transaction(needed, updates))
            except TransientConflictError as error:
                wait = next(waits, None)
                if wait is None:
                    raise StoreUnavailableError("Too many write these records at once.") from error
                self._clock.sleep(wait)
            else:
                return

    def _transaction(self, writes: Sequence[Write], updates: Sequence[Wire]) -> Transaction:
        """Anew for each try: one that was cancelled has written nothing, and what has expired may be more by now."""
        actions = actions_of(self._stage, writes, self._clock.now())
        actions += [{"Update": update} for update in updates]
        return Transaction(self._tokens.new(""), actions)

    def _waits(self) -> Iterator[float]:
        """Growing pauses; the writers they wait for take a few milliseconds each."""
        for tried in range(_RETRIES):
            # The clock's microseconds keep those who met once from meeting again.
            jitter = self._clock.now().microsecond / 1_000_000
            yield _FIRST_WAIT_SECONDS * 2**tried * (0.5 + jitter)


def _is_idle(write: Write) -> bool:
    return isinstance(write, Require) and isinstance(write.condition, Anyhow)
