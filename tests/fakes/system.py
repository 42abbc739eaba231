"""Time, ids and monitoring under a test's control."""

import itertools
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


class FakeClock:
    """A `Clock` that stands still unless a test moves it or somebody sleeps."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds=seconds)

    def advance(self, **delta: float) -> None:
        self._now += timedelta(**delta)


class SequentialIds:
    """`Ids` that count, so that a failing test reads the same twice."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def new(self, prefix: str) -> str:
        with self._lock:
            return f"{prefix}{next(self._numbers):06d}"


class RecordingMonitor:
    """A `Monitor` that remembers every event."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def event(self, name: str, **fields: Any) -> None:
        self.events.append((name, fields))

    def named(self, name: str) -> list[dict[str, Any]]:
        """The fields of every event of this name."""
        return [fields for found, fields in self.events if found == name]


class AmpleTime:
    """A `Deadline` that is far away."""

    def remaining_seconds(self) -> float:
        return 900.0
