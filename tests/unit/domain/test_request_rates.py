"""A caller's bucket: what it admits in any span of time, and how long whoever is too early waits."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.request_rates import SECOND_NS, RequestRate, whole_seconds

rates = st.builds(RequestRate, per_second=st.integers(1, 3_000_000_000), burst=st.integers(1, 40))
# Gaps from nothing to seconds, so that buckets run dry and fill again.
gaps = st.lists(
    st.one_of(st.just(0), st.integers(0, 1000), st.integers(0, 3 * SECOND_NS)),
    min_size=1,
    max_size=150,
)


def admitted_at(rate: RequestRate, moments: list[int]) -> list[int]:
    full_at, found = 0, []
    for now in moments:
        after = rate.after_one(full_at, now)
        if rate.wait_ns(after, now) <= 0:
            full_at = after
            found.append(now)
    return found


@given(rate=rates, gaps=gaps)
def test_caller_is_never_admitted_more_than_burst_and_rate_allow(
    rate: RequestRate, gaps: list[int]
) -> None:
    moments = [sum(gaps[: number + 1]) for number in range(len(gaps))]
    admitted = admitted_at(rate, moments)
    for first, began in enumerate(admitted):
        for last in range(first, len(admitted)):
            span = Fraction(admitted[last] - began, SECOND_NS)
            assert last - first + 1 <= rate.burst + rate.per_second * span


@given(rate=rates, gaps=gaps)
def test_who_waits_as_long_as_told_is_admitted_and_not_a_moment_before(
    rate: RequestRate, gaps: list[int]
) -> None:
    full_at, now = 0, 0
    for gap in gaps:
        now += gap
        after = rate.after_one(full_at, now)
        wait = rate.wait_ns(after, now)
        if wait > 0:
            assert rate.wait_ns(rate.after_one(full_at, now + wait - 1), now + wait - 1) > 0
            now += wait
            after = rate.after_one(full_at, now)
            assert rate.wait_ns(after, now) <= 0
        full_at = after


@given(rate=rates, start=st.integers(0, 10**18))
def test_silent_caller_has_exactly_the_burst_at_once(rate: RequestRate, start: int) -> None:
    assert len(admitted_at(rate, [start] * (rate.burst + 5))) == rate.burst


@given(per_second=st.integers(1, 1000), seconds=st.integers(1, 3))
def test_steady_caller_at_the_rate_is_never_refused(per_second: int, seconds: int) -> None:
    rate = RequestRate(per_second=per_second, burst=1)
    step = -(-SECOND_NS // per_second)
    moments = [number * step for number in range(per_second * seconds)]
    assert admitted_at(rate, moments) == moments


def test_wait_is_told_in_whole_seconds_and_never_too_short() -> None:
    assert [whole_seconds(wait) for wait in (1, SECOND_NS, SECOND_NS + 1)] == [1, 1, 2]
