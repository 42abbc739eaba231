"""The test clock: the machine's time and the shift that the environment has stored.

Every process of the environment reads the shift anew when what it knows is a moment old. No live environment has one.
"""

from datetime import datetime, timedelta
from typing import Final

from chalicelib.domain.clock_shift import ClockShift
from chalicelib.ports import Clock, Store

_KNOWN_FOR: Final = timedelta(milliseconds=250)


class ShiftedClock:
    """A `Clock` and an `AdjustableClock`. `store` must have another clock: reading it asks for the time."""

    def __init__(self, base: Clock, store: Store) -> None:
        self._base = base
        self._store = store
        self._shift = timedelta()
        self._read_at: datetime | None = None

    def now(self) -> datetime:
        """Aware UTC, as far ahead as the environment is."""
        real = self._base.now()
        if self._read_at is None or real - self._read_at > _KNOWN_FOR:
            self.refresh()
        return real + self._shift

    def sleep(self, seconds: float) -> None:
        """That much later."""
        self._base.sleep(seconds)

    def refresh(self) -> None:
        """See `AdjustableClock`."""
        stored = self._store.get(ClockShift, "clock")
        self._shift = timedelta(seconds=stored.seconds if stored is not None else 0)
        self._read_at = self._base.now()
