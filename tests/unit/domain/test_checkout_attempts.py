"""No minute, wherever it begins, has more attempts than the limit."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.checkout_attempts import WINDOW, CheckoutAttempts, first, one_more
from chalicelib.domain.ids import CustomerId

START = datetime(2026, 1, 15, 12, tzinfo=UTC)
ACME = CustomerId("acme")


@given(
    gaps=st.lists(st.integers(0, 90_000), max_size=60),
    limit=st.integers(1, 6),
)
def test_attempts_of_any_minute_are_within_the_limit_and_the_wait_is_exact(
    gaps: list[int], limit: int
) -> None:
    now = START
    held = first(ACME, now)
    allowed = [now]
    for gap in gaps:
        now += timedelta(milliseconds=gap)
        counted = one_more(held, now, limit)
        if isinstance(counted, int):
            wait = timedelta(seconds=counted)
            assert timedelta(0) < wait <= WINDOW + timedelta(seconds=1)
            assert isinstance(one_more(held, now + wait, limit), CheckoutAttempts)
        else:
            held = counted
            allowed.append(now)
    for begin in allowed:
        assert sum(begin <= one < begin + WINDOW for one in allowed) <= limit


def test_attempt_written_by_a_clock_ahead_counts_no_longer_than_the_window() -> None:
    ahead = first(ACME, START + timedelta(minutes=10))
    assert one_more(ahead, START, 1) == 60
    counted = one_more(ahead, START, 2)
    assert isinstance(counted, CheckoutAttempts)
    assert counted.at == (START, START)
