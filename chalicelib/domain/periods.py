"""Usage periods: half-open, back to back, without end, found by arithmetic from any instant.

Times are integer milliseconds since the epoch. A monthly or yearly period begins on the anchor's day of the
month, or on the month's last day where that is earlier; each boundary is counted from the anchor, so that
31 January, 28 February, 31 March follow each other.
"""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import Final

_HOUR_MS: Final = 3_600_000
_FIXED_MS: Final = {"hour": _HOUR_MS, "day": 24 * _HOUR_MS, "week": 7 * 24 * _HOUR_MS}
_MONTHS: Final = {"month": 1, "year": 12}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Calendar weeks begin on Monday (ISO 8601): the first after the epoch, a Thursday.
_FIRST_MONDAY_MS: Final = 4 * 24 * _HOUR_MS


def usage_period(reset: str, anchor_ms: int | None, now_ms: int) -> tuple[int, int]:
    """Start and end of the period of kind `reset` that `now_ms` is in; `anchor_ms` None means the UTC calendar's."""
    length = _FIXED_MS.get(reset)
    if length is not None:
        if anchor_ms is None:
            anchor_ms = _FIRST_MONDAY_MS if reset == "week" else 0
        start = now_ms - (now_ms - anchor_ms) % length
        return start, start + length
    step = _MONTHS[reset]
    anchor = _EPOCH + timedelta(milliseconds=anchor_ms or 0)
    now = _EPOCH + timedelta(milliseconds=now_ms)
    count = ((now.year - anchor.year) * 12 + now.month - anchor.month) // step
    start = _boundary_ms(anchor, count * step)
    if start > now_ms:
        count -= 1
        start = _boundary_ms(anchor, count * step)
    return start, _boundary_ms(anchor, (count + 1) * step)


def _boundary_ms(anchor: datetime, months: int) -> int:
    year, month0 = divmod(anchor.year * 12 + anchor.month - 1 + months, 12)
    month = month0 + 1
    day = anchor.day if anchor.day <= 28 else min(anchor.day, monthrange(year, month)[1])  # noqa: PLR2004 - every month has 28 days
    return (anchor.replace(year=year, month=month, day=day) - _EPOCH) // timedelta(milliseconds=1)
