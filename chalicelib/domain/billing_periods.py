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


def months_later(start: datetime, months: int) -> datetime:
    """So many months later."""
    year, month0 = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, monthrange(year, month0 + 1)[1])
    return start.replace(year=year, month=month0 + 1, day=day)
