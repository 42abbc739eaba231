"""Usage periods: half-open, back to back, without end, found by arithmetic from any instant.

Times are integer milliseconds since the epoch. Each boundary is counted from the anchor, so that 31 January,
28 February, 31 March follow each other: a monthly or yearly period begins on the anchor's day of the month, or on
the month's last day where that is earlier. Days, weeks, months and years are those of a time zone, at the anchor's
time of day on its clocks; an hour is an hour anywhere.
"""

from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from typing import Final

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_DAYS: Final = {"day": 1, "week": 7}
_MONTHS: Final = {"month": 1, "year": 12}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
# Calendar weeks begin on Monday (ISO 8601): the first after the epoch, a Thursday.
_FIRST_MONDAY_MS: Final = 4 * _DAY_MS


def usage_period(
    reset: str, anchor_ms: int | None, now_ms: int, zone: str | None = None
) -> tuple[int, int]:
    """Start and end of the period of kind `reset` that `now_ms` is in.

    `anchor_ms` None means where the calendar begins one. `zone` is the IANA name of a time zone; None means UTC.
    """
    if reset == "hour":
        start = now_ms - (now_ms - (anchor_ms or 0)) % _HOUR_MS
        return start, start + _HOUR_MS
    if zone is not None:
        return _local_period(reset, anchor_ms, now_ms, time_zone(zone))
    boundary, count = _counted(reset, anchor_ms, now_ms)
    start = boundary(count)
    if start > now_ms:
        return boundary(count - 1), start
    return start, boundary(count + 1)


@cache
def time_zone(name: str) -> tzinfo:
    """The time zone of this IANA name; raises `ValueError` if there is none."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 -- checks in UTC need not load it

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(name) from error


def _local_period(reset: str, anchor_ms: int | None, now_ms: int, zone: tzinfo) -> tuple[int, int]:
    """The period by the zone's clocks, which are put forward and back: its boundaries are found on them first.

    A time that the clocks leave out counts as they would have shown it; of one that they show twice the first counts.
    """
    local_anchor = None if anchor_ms is None else _wall_ms(anchor_ms, zone)
    boundary, count = _counted(reset, local_anchor, _wall_ms(now_ms, zone))
    start, end = (_instant_ms(boundary(number), zone) for number in (count, count + 1))
    while start > now_ms:
        count -= 1
        start, end = _instant_ms(boundary(count), zone), start
    while end <= now_ms:
        count += 1
        start, end = end, _instant_ms(boundary(count + 1), zone)
    return start, end


def _wall_ms(moment_ms: int, zone: tzinfo) -> int:
    """What the zone's clocks show at the instant, as if they were in UTC."""
    moment = (_EPOCH + timedelta(milliseconds=moment_ms)).astimezone(zone)
    return (moment.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def _instant_ms(wall_ms: int, zone: tzinfo) -> int:
    """When the zone's clocks show this."""
    moment = (_EPOCH + timedelta(milliseconds=wall_ms)).replace(tzinfo=zone)
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)


def _day_of(moment_ms: int) -> date:
    return date.fromordinal(moment_ms // _DAY_MS + _EPOCH_DAY)


def _counted(reset: str, anchor_ms: int | None, now_ms: int) -> tuple[Callable[[int], int], int]:
    """The boundaries by number (the anchor's is 0), and the number of the last one up to now or of the next."""
    if anchor_ms is None:
        anchor_ms = _FIRST_MONDAY_MS if reset == "week" else 0
    days = _DAYS.get(reset)
    if days is not None:
        length = days * _DAY_MS
        return lambda number: anchor_ms + number * length, (now_ms - anchor_ms) // length
    step = _MONTHS[reset]
    anchor, now = _day_of(anchor_ms), _day_of(now_ms)
    first = anchor.year * 12 + anchor.month - 1
    time_of_day = anchor_ms % _DAY_MS

    def boundary(number: int) -> int:
        year, month0 = divmod(first + number * step, 12)
        day = anchor.day
        if day > 28:  # noqa: PLR2004 -- every month has 28 days
            day = min(day, monthrange(year, month0 + 1)[1])
        days = date(year, month0 + 1, day).toordinal() - _EPOCH_DAY
        return days * _DAY_MS + time_of_day

    return boundary, (now.year * 12 + now.month - 1 - first) // step
