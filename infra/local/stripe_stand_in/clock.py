"""Time in the stand-in: the outside clock plus an offset that only grows."""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

DAY = 86_400
HOUR = 3_600


class Clock:
    """Whole seconds since the epoch; during catch-up it stands at the moment being replayed."""

    def __init__(self, base: Callable[[], float] = time.time, offset_seconds: int = 0) -> None:
        self._base = base
        self.offset_seconds = offset_seconds
        self._frozen_at: int | None = None

    def now(self) -> int:
        """The stand-in's current second."""
        if self._frozen_at is not None:
            return self._frozen_at
        return int(self._base()) + self.offset_seconds

    def outside(self) -> int:
        """The second of the world outside, where whoever gets a webhook lives."""
        return int(self._base())

    @contextmanager
    def frozen_at(self, moment: int) -> Iterator[None]:
        """Everything inside happens at `moment`, so that events carry the time they were due."""
        before = self._frozen_at
        self._frozen_at = moment
        try:
            yield
        finally:
            self._frozen_at = before


def add_months(anchor: int, months: int) -> int:
    """`anchor` moved by months; a day the month lacks becomes its last day."""
    start = datetime.fromtimestamp(anchor, UTC)
    index = start.year * 12 + start.month - 1 + months
    year, month = divmod(index, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def add_intervals(anchor: int, interval: str, count: int) -> int:
    """`anchor` moved by `count` intervals, always counted from the anchor so 31sts come back."""
    if interval == "month":
        return add_months(anchor, count)
    if interval == "year":
        return add_months(anchor, 12 * count)
    days = count * (7 if interval == "week" else 1)
    return int((datetime.fromtimestamp(anchor, UTC) + timedelta(days=days)).timestamp())


def period_end(anchor: int, start: int, interval: str, interval_count: int) -> int:
    """The first boundary after `start` of the cycle that `anchor` began."""
    step = 1
    if anchor < start:
        longest_days = {"day": 1, "week": 7, "month": 31, "year": 366}[interval]
        step = max(1, (start - anchor) // (longest_days * DAY * interval_count) - 1)
    while True:
        boundary = add_intervals(anchor, interval, step * interval_count)
        if boundary > start:
            return boundary
        step += 1
