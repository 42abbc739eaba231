"""When a schedule expression of EventBridge is due next: `rate(...)` and `cron(...)`."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

NextRun = Callable[[datetime], datetime]

UNITS: Final = {"minute": 60, "hour": 3600, "day": 86400}
MONTHS: Final = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
WEEKDAYS: Final = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
LONGEST_WAIT_DAYS: Final = 366 * 8  # 29 February, at worst


class ScheduleError(ValueError):
    """The expression is none EventBridge knows, or uses what the local stack does not."""


def next_run(expression: str) -> NextRun:
    """A function from an instant (aware, UTC) to the first one after it at which to run.

    Raises:
        ScheduleError: The expression is not understood.
    """
    if found := re.fullmatch(r"rate\(([1-9]\d*) (minute|hour|day)s?\)", expression):
        interval = timedelta(seconds=int(found[1]) * UNITS[found[2]])
        return lambda now: now + interval
    if found := re.fullmatch(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)", expression):
        return _cron(*found.groups())
    raise ScheduleError(f"{expression!r} is neither rate(...) nor cron(...)")


def every(seconds: float) -> NextRun:
    """A schedule for the impatient."""
    interval = timedelta(seconds=seconds)
    return lambda now: now + interval


def _cron(minute: str, hour: str, day: str, month: str, weekday: str, year: str) -> NextRun:
    minutes = _field(minute, range(60))
    hours = _field(hour, range(24))
    days = _field(day, range(1, 32))
    months = _field(month, range(1, 13), MONTHS)
    weekdays = _field(weekday, range(1, 8), WEEKDAYS)
    years = _field(year, range(1970, 2200))

    def is_day(date: datetime) -> bool:
        return (
            date.day in days
            and date.month in months
            and date.isoweekday() % 7 + 1 in weekdays
            and date.year in years
        )

    def after(now: datetime) -> datetime:
        first = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        midnight = first.replace(hour=0, minute=0)
        for date in (midnight + timedelta(days=n) for n in range(LONGEST_WAIT_DAYS)):
            if not is_day(date):
                continue
            for run in (date.replace(hour=h, minute=m) for h in hours for m in minutes):
                if run >= first:
                    return run
        raise ScheduleError("the cron expression is never due")

    return after


def _field(text: str, allowed: range, names: list[str] | None = None) -> list[int]:
    """The values a field stands for, in order."""
    for position, name in enumerate(names or []):
        text = text.replace(name, str(allowed.start + position))
    chosen: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"(?:[*?]|(\d+)(?:-(\d+))?)(?:/(\d+))?", part)
        if found is None:
            raise ScheduleError(f"{part!r} in a cron expression is not understood")
        first, last, step = (int(number) if number else None for number in found.groups())
        if last is None:
            last = allowed.stop - 1 if first is None or step is not None else first
        chosen.update(range(allowed.start if first is None else first, last + 1, step or 1))
    if not chosen <= set(allowed):
        raise ScheduleError(f"{text!r} in a cron expression is out of bounds")
    return sorted(chosen)
