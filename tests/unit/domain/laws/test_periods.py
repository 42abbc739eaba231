"""Usage periods in any time zone: they tile time, and begin where a clock on the wall there says so."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.domain.periods import usage_period
from chalicelib.domain.snapshot_documents import epoch_ms

KINDS = st.sampled_from(("hour", "day", "week", "month", "year"))
# Clocks changed by an hour, by half of one, at midnight, in winter; and a day that never was (Apia, 30 December 2011).
ZONES = st.sampled_from(
    (
        None,
        "Europe/Berlin",
        "America/New_York",
        "America/Sao_Paulo",
        "America/St_Johns",
        "Africa/Casablanca",
        "Asia/Kathmandu",
        "Asia/Tehran",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Pacific/Kwajalein",
    )
)


def ms(text: str) -> int:
    return epoch_ms(datetime.fromisoformat(text))


INSTANTS = st.integers(ms("1971-01-01T00:00:00+00:00"), ms("2090-01-01T00:00:00+00:00"))
# Half an hour around when clocks are changed, and ends of months, leap days among them.
TURNS = st.builds(
    lambda text, minutes: ms(text) + minutes * 60_000,
    st.sampled_from(
        (
            "2026-03-29T01:00:00+00:00",
            "2026-10-25T01:00:00+00:00",
            "2026-03-08T07:00:00+00:00",
            "2026-04-04T15:00:00+00:00",
            "2018-11-04T03:00:00+00:00",
            "2011-12-30T10:00:00+00:00",
            "2024-02-29T12:00:00+00:00",
            "2023-12-31T23:00:00+00:00",
        )
    ),
    st.integers(-90, 90),
)
ANY = INSTANTS | TURNS


@given(KINDS, st.none() | ANY, ANY, ZONES)
@example("day", ms("2011-12-29T10:00:00+00:00"), ms("2011-12-30T10:00:00+00:00"), "Pacific/Apia")
@example("month", ms("2024-02-29T00:30:00+00:00"), ms("2025-02-28T23:30:00+00:00"), "Asia/Tehran")
def test_periods_tile_time_without_gap_or_overlap(
    kind: str, anchor: int | None, now: int, zone: str | None
) -> None:
    start, end = usage_period(kind, anchor, now, zone)
    assert start <= now < end
    for inside in (start, end - 1):
        assert usage_period(kind, anchor, inside, zone) == (start, end)
    assert usage_period(kind, anchor, end, zone)[0] == end
    assert usage_period(kind, anchor, start - 1, zone)[1] == start


def shown(moment: int, zone: str) -> datetime:
    """What the clocks show there."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment)
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@given(st.sampled_from(("day", "week", "month", "year")), ANY, ZONES.filter(bool))
def test_calendar_period_begins_at_midnight_there(kind: str, now: int, zone: str) -> None:
    start, _ = usage_period(kind, None, now, zone)
    at = shown(start, zone)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    # Where clocks leave midnight out, the day begins with what they show first.
    assert at - midnight <= timedelta(hours=1)
    if kind == "week" and zone != "Pacific/Apia":
        assert at.weekday() == 0
    if kind in ("month", "year"):
        assert at.day == 1
    if kind == "year":
        assert at.month == 1


@given(st.sampled_from(("day", "week", "month", "year")), ANY, ANY, ZONES.filter(bool))
def test_anchored_period_begins_at_the_anchors_time_of_day_there(
    kind: str, anchor: int, now: int, zone: str
) -> None:
    start, _ = usage_period(kind, anchor, now, zone)
    began, at = shown(anchor, zone), shown(start, zone)
    of_day = timedelta(hours=began.hour, minutes=began.minute)
    wanted = datetime(at.year, at.month, at.day) + of_day  # noqa: DTZ001 -- what a clock shows
    # But for what clocks leave out.
    missing = min(abs(at - wanted), abs(at - wanted + timedelta(days=1)))
    assert missing <= timedelta(hours=1, minutes=1)
    if kind in ("month", "year"):
        is_last = (at + timedelta(days=1)).day == 1
        assert at.day == began.day or is_last or missing > timedelta(minutes=1)


@given(KINDS, ANY, ANY)
def test_utc_is_a_zone_like_any_other(kind: str, anchor: int, now: int) -> None:
    assert usage_period(kind, anchor, now, "UTC") == usage_period(kind, anchor, now)


@given(ANY, st.integers(0, 400), ZONES)
def test_hours_are_hours_anywhere(anchor: int, hours: int, zone: str | None) -> None:
    start, end = usage_period("hour", anchor, anchor + hours * 3_600_000 + 1, zone)
    assert (start - anchor, end - start) == (hours * 3_600_000, 3_600_000)
