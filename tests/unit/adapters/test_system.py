"""The machine's clock, and ids that sort by time and can't be guessed."""

import re
from datetime import UTC, datetime, timedelta

from chalicelib.adapters.system import SystemClock, TimeSortedIds
from chalicelib.domain.ids import is_chosen_id
from tests.fakes.system import START, FakeClock


def test_now_is_aware_utc() -> None:
    before = datetime.now(UTC)
    found = SystemClock().now()
    assert found.utcoffset() == timedelta(0)
    assert before <= found <= datetime.now(UTC)


def test_sleep_takes_that_long() -> None:
    clock = SystemClock()
    before = clock.now()
    clock.sleep(0.01)
    assert clock.now() - before >= timedelta(milliseconds=9)


def test_ids_of_later_milliseconds_sort_after_earlier_ones() -> None:
    clock = FakeClock()
    ids = TimeSortedIds(clock)
    found = []
    for _ in range(200):
        found.append(ids.new("evt_"))
        clock.advance(milliseconds=1)
    assert found == sorted(found)


def test_ids_sort_over_centuries() -> None:
    moments = [START + timedelta(days=365 * years) for years in (-50, 0, 30, 300, 900)]
    found = [TimeSortedIds(FakeClock(moment)).new("") for moment in moments]
    assert found == sorted(found)
    assert len({len(one) for one in found}) == 1


def test_ids_of_one_instant_differ() -> None:
    ids = TimeSortedIds(FakeClock())
    assert len({ids.new("a_") for _ in range(100_000)}) == 100_000


def test_ids_are_their_prefix_and_80_random_bits_in_safe_letters() -> None:
    one = TimeSortedIds(FakeClock()).new("subs_")
    assert re.fullmatch(r"subs_[0-9a-hjkmnp-tv-z]{25}", one)
    assert is_chosen_id(one)
