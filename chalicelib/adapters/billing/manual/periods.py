"""Billing periods by arithmetic: back to back from the start, so that nobody has to renew anything."""

from calendar import monthrange
from datetime import datetime, timedelta
from typing import Final

from chalicelib.domain.prices import BillingPeriod

_DAYS: Final = {BillingPeriod.DAY: 1, BillingPeriod.WEEK: 7}
_MONTHS: Final = {BillingPeriod.MONTH: 1, BillingPeriod.YEAR: 12}


def period_at(
    start: datetime, period: BillingPeriod, count: int, now: datetime
) -> tuple[datetime, datetime]:
    """Start and end (half open) of the interval of `count` periods, counted from `start`, that `now` is in.

    A month's boundary is on the start's day of the month, or on the last day of a shorter one.
    """
    if period in _DAYS:
        length = timedelta(days=_DAYS[period] * count)
        begin = start + (now - start) // length * length
        return begin, begin + length
    step = _MONTHS[period] * count
    number = ((now.year - start.year) * 12 + now.month - start.month) // step
    if _later(start, number * step) > now:
        number -= 1
    return _later(start, number * step), _later(start, (number + 1) * step)


def _later(start: datetime, months: int) -> datetime:
    year, month0 = divmod(start.year * 12 + start.month - 1 + months, 12)
    last = monthrange(year, month0 + 1)[1]
    return start.replace(year=year, month=month0 + 1, day=min(start.day, last))
