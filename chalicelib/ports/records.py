"""What can be stored: a frozen dataclass that knows what tells it from its like."""

from __future__ import annotations

from typing import Protocol, TypeVar

R = TypeVar("R", bound="Record")


class Record(Protocol):
    """Anything that can be stored: a frozen dataclass that knows what tells it from its like."""

    @property
    def identity(self) -> tuple[str, ...]:
        """The values that are unique among records of this type, outermost first."""
        ...


class Versioned(Record, Protocol):
    """A record with optimistic locking."""

    @property
    def revision(self) -> int:
        """Rises by one with every write."""
        ...
