import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.periods import usage_period
from chalicelib.domain.snapshot_documents import epoch_ms

KINDS = ("hour", "day", "week", "month", "year")
FIRST = epoch_ms(datetime(1971, 1, 1, tzinfo=UTC))
LAST = epoch_ms(datetime(2199, 12, 31, tzinfo=UTC))
instants = st.integers(FIRST, LAST)
anchors = st.none() | instants


def ms(*parts: int) -> int:
    return epoch_ms(datetime(*parts, tzinfo=UTC))  # type: ignore[arg-type,misc]  # year, month, day ...


def day_of(moment_ms: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment_ms)).strftime(
        "%Y-%m-%d"
    )


@given(st.sampled_from(KINDS), anchors, instants)
def test_period_any_instant_contains_it(kind: str, anchor: int | None, now: int) -> None:
    start, end = usage_period(kind, anchor, now)
    assert start <= now < end


@given(st.sampled_from(KINDS), anchors, instants)
def test_period_neighbours_tile_time(kind: str, anchor: int | None, now: int) -> None:
    start, end = usage_period(kind, anchor, now)
    assert usage_period(kind, anchor, start) == (start, end)
    assert usage_period(kind, anchor, end - 1) == (start, end)
    assert usage_period(kind, anchor, end)[0] == end
    assert usage_period(kind, anchor, start - 1)[1] == start


@given(st.sampled_from(KINDS), instants)
def test_period_of_anchor_begins_at_anchor(kind: str, anchor: int) -> None:
    assert usage_period(kind, anchor, anchor)[0] == anchor


@given(st.sampled_from(("month", "year")), instants, instants)
def test_period_by_month_keeps_day_or_takes_last(kind: str, anchor: int, now: int) -> None:
    def at(moment_ms: int) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment_ms)

    start = at(usage_period(kind, anchor, now)[0])
    assert start.timetz() == at(anchor).timetz()
    is_last_of_month = (start + timedelta(days=1)).day == 1
    assert start.day == at(anchor).day or (start.day < at(anchor).day and is_last_of_month)


def boundaries(kind: str, anchor: int | None, first: int, count: int) -> list[str]:
    found = []
    moment = first
    for _ in range(count):
        start, moment = usage_period(kind, anchor, moment)
        found.append(day_of(start))
    return found


@pytest.mark.parametrize(
    ("anchor_day", "expected"),
    [
        (28, ["2026-01-28", "2026-02-28", "2026-03-28", "2026-04-28"]),
        (29, ["2026-01-29", "2026-02-28", "2026-03-29", "2026-04-29"]),
        (30, ["2026-01-30", "2026-02-28", "2026-03-30", "2026-04-30"]),
        (31, ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]),
    ],
)
def test_monthly_period_anchored_late_in_month_comes_back_to_its_day(
    anchor_day: int, expected: list[str]
) -> None:
    anchor = ms(2026, 1, anchor_day)
    assert boundaries("month", anchor, anchor, 4) == expected


def test_monthly_period_in_leap_year_has_29_february() -> None:
    anchor = ms(2028, 1, 31)
    assert boundaries("month", anchor, anchor, 3) == ["2028-01-31", "2028-02-29", "2028-03-31"]


def test_yearly_period_anchored_on_leap_day_takes_28_february_between() -> None:
    anchor = ms(2024, 2, 29)
    assert boundaries("year", anchor, anchor, 5) == [
        "2024-02-29",
        "2025-02-28",
        "2026-02-28",
        "2027-02-28",
        "2028-02-29",
    ]


def test_monthly_period_before_anchor_is_counted_backwards() -> None:
    assert boundaries("month", ms(2026, 3, 31), ms(2026, 2, 1), 2) == ["2026-01-31", "2026-02-28"]


@pytest.mark.parametrize(
    ("kind", "start", "end"),
    [
        ("hour", ms(2026, 5, 6, 13), ms(2026, 5, 6, 14)),
        ("day", ms(2026, 5, 6), ms(2026, 5, 7)),
        ("week", ms(2026, 5, 4), ms(2026, 5, 11)),
        ("month", ms(2026, 5, 1), ms(2026, 6, 1)),
        ("year", ms(2026, 1, 1), ms(2027, 1, 1)),
    ],
)
def test_calendar_period_wednesday_afternoon_begins_where_the_calendar_does(
    kind: str, start: int, end: int
) -> None:
    assert usage_period(kind, None, ms(2026, 5, 6, 13, 45)) == (start, end)


def test_monthly_period_with_time_of_day_ends_at_that_time() -> None:
    anchor = ms(2026, 1, 31, 18, 30)
    assert usage_period("month", anchor, ms(2026, 2, 28, 18, 29))[0] == anchor
    assert usage_period("month", anchor, ms(2026, 2, 28, 18, 30))[0] == ms(2026, 2, 28, 18, 30)


def test_time_zones_are_known_where_the_system_has_none() -> None:
    code = "from chalicelib.domain.periods import time_zone; print(time_zone('Europe/Berlin'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONTZPATH": "", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "Europe/Berlin\n", done.stderr
