"""Billing periods on the calendar: months end on the same day, or on the month's last where that is earlier."""

from calendar import monthrange
from datetime import datetime, timedelta

from chalicelib.domain.prices import BillingPeriod

_DAYS = {BillingPeriod.DAY: 1, BillingPeriod.WEEK: 7}
_MONTHS = {BillingPeriod.MONTH: 1, BillingPeriod.YEAR: 12}


def period_end(start: datetime, period: BillingPeriod, count: int) -> datetime:
    """When a period of so many units that starts then is over."""
    days = _DAYS.get(period)
    if days is not None:
        return start + timedelta(days=days * count)
    return months_later(start, _MONTHS[period] * count)


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
    if months_later(start, number * step) > now:
        number -= 1
    return months_later(start, number * step), months_later(start, (number + 1) * step)


def months_later(start: datetime, months: int) -> datetime:
    """So many months later."""
    year, month0 = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, monthrange(year, month0 + 1)[1])
    return start.replace(year=year, month=month0 + 1, day=day)
