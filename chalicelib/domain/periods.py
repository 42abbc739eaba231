"""Usage periods: half-open, back to back, without end, found by arithmetic from any instant.

Times are integer milliseconds since the epoch. Each boundary is counted from the anchor, so that 31 January,
28 February, 31 March follow each other: a monthly or yearly period begins on the anchor's day of the month, or on
the month's last day where that is earlier. Days, weeks, months and years are those of a time zone, at the anchor's
time of day on its clocks; an hour is an hour anywhere.
"""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
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
    if anchor_ms is None:
        # On the zone's clocks; only weeks and hours tell one day, or one hour, from another.
        anchor_ms = _calendar_anchor(reset, zone)
    if reset == "hour":
        start = now_ms - (now_ms - anchor_ms) % _HOUR_MS
        return start, start + _HOUR_MS
    number = _number_near(reset, anchor_ms, now_ms)
    start = _boundary(reset, anchor_ms, zone, number)
    while start > now_ms:
        number -= 1
        start = _boundary(reset, anchor_ms, zone, number)
    end = _boundary(reset, anchor_ms, zone, number + 1)
    while end <= now_ms:
        number += 1
        start, end = end, _boundary(reset, anchor_ms, zone, number + 1)
    return start, end


def time_zone(name: str) -> tzinfo:
    """The time zone of this IANA name; raises `ValueError` if there is none."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 -- checks in UTC need not load it

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(name) from error


@lru_cache(maxsize=256)
def _calendar_anchor(reset: str, zone: str | None) -> int:
    """Some midnight, of a Monday or of 1 January, of long ago."""
    wall_ms = _FIRST_MONDAY_MS if reset == "week" else 0
    return wall_ms if zone is None or reset == "hour" else _instant_ms(wall_ms, time_zone(zone))


def _number_near(reset: str, anchor_ms: int, now_ms: int) -> int:
    """The number of a boundary that is not far from now; the anchor's is 0."""
    days = _DAYS.get(reset)
    if days is not None:
        return (now_ms - anchor_ms) // (days * _DAY_MS)
    anchor, now = _day_of(anchor_ms), _day_of(now_ms)
    return ((now.year - anchor.year) * 12 + now.month - anchor.month) // _MONTHS[reset]


# All features of a plan, and all checks of a day, have the same few.
@lru_cache(maxsize=4096)
def _boundary(reset: str, anchor_ms: int, zone: str | None, number: int) -> int:
    """When period `number` after the anchor's begins.

    By the zone's clocks, which are put forward and back: a time that they leave out counts as they would have shown
    it; of one that they show twice the first counts.
    """
    if zone is None:
        return _later(anchor_ms, reset, number)
    clocks = time_zone(zone)
    return _instant_ms(_later(_wall_ms(anchor_ms, clocks), reset, number), clocks)


def _later(anchor_ms: int, reset: str, number: int) -> int:
    """The anchor so many periods later, where no clock is ever changed."""
    days = _DAYS.get(reset)
    if days is not None:
        return anchor_ms + number * days * _DAY_MS
    anchor = _day_of(anchor_ms)
    year, month0 = divmod(anchor.year * 12 + anchor.month - 1 + number * _MONTHS[reset], 12)
    day = min(anchor.day, monthrange(year, month0 + 1)[1])
    ordinal = date(year, month0 + 1, day).toordinal()
    return (ordinal - _EPOCH_DAY) * _DAY_MS + anchor_ms % _DAY_MS


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
