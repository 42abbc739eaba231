"""Billing periods follow each other without a gap, counted from the start."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.billing_periods import period_at
from chalicelib.domain.prices import BillingPeriod

STARTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- hypothesis wants naive bounds


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "count", "now", "start", "end"),
    [
        (BillingPeriod.DAY, 1, "2026-01-31T12:00", "2026-01-31T12:00", "2026-02-01T12:00"),
        (BillingPeriod.DAY, 10, "2026-02-12T00:00", "2026-02-10T12:00", "2026-02-20T12:00"),
        (BillingPeriod.WEEK, 2, "2026-02-14T12:00", "2026-02-14T12:00", "2026-02-28T12:00"),
        (BillingPeriod.MONTH, 1, "2026-02-28T11:59", "2026-01-31T12:00", "2026-02-28T12:00"),
        (BillingPeriod.MONTH, 1, "2026-02-28T12:00", "2026-02-28T12:00", "2026-03-31T12:00"),
        (BillingPeriod.MONTH, 3, "2026-06-01T00:00", "2026-04-30T12:00", "2026-07-31T12:00"),
        (BillingPeriod.YEAR, 1, "2028-01-31T11:00", "2027-01-31T12:00", "2028-01-31T12:00"),
    ],
)
def test_period_of_known_dates_is_right(
    period: BillingPeriod, count: int, now: str, start: str, end: str
) -> None:
    assert period_at(at("2026-01-31T12:00"), period, count, at(now)) == (at(start), at(end))


@given(
    start=STARTS,
    period=st.sampled_from(BillingPeriod),
    count=st.integers(1, 36),
    after=st.timedeltas(timedelta(0), timedelta(days=4000)),
)
def test_period_holds_its_moment_and_the_next_begins_where_it_ends(
    start: datetime, period: BillingPeriod, count: int, after: timedelta
) -> None:
    now = start + after
    begin, end = period_at(start, period, count, now)
    assert start <= begin <= now < end
    assert period_at(start, period, count, end)[0] == end
    assert period_at(start, period, count, begin) == (begin, end)
    if begin > start:
        assert period_at(start, period, count, begin - timedelta(microseconds=1))[1] == begin
