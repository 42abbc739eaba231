"""The machine: time, randomness, keys, and where operators look."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from chalicelib.domain.signing_keys import PublicKey


class TokenSigner(Protocol):
    """Signs so that anybody can verify it (ES256)."""

    def keys(self) -> tuple[PublicKey, ...]:
        """Every key whose signatures are good, the one that signs first.

        Raises:
            SigningNotConfiguredError: A key is not there, or not to be used so.
            SigningUnavailableError: They can't be told now.
        """
        ...

    def sign(self, signed: bytes) -> bytes:
        """The signature of these bytes: r and s, 32 bytes each. Raises as `keys`."""
        ...


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """That much later."""
        ...


@runtime_checkable
class AdjustableClock(Protocol):
    """A clock that can be behind the environment's for a moment after that was moved."""

    def refresh(self) -> None:
        """What `now` says next is the environment's time."""
        ...


class Ids(Protocol):
    """Unpredictable ids."""

    def new(self, prefix: str) -> str:
        """A fresh id; those made in a later millisecond sort after earlier ones."""
        ...


class Monitor(Protocol):
    """Where operators look: structured log and metrics. Fields are ids, names and numbers, never payloads."""

    def event(self, name: str, **fields: str | float | bool | None) -> None:
        """Something worth a log line and a count of one."""
        ...


class Deadline(Protocol):
    """How much of the invocation is left."""

    def remaining_seconds(self) -> float:
        """Until the platform stops us."""
        ...
