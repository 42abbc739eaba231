"""How long a call is repeated, and how fast calls are made at all."""

from datetime import timedelta

import pytest

from chalicelib.adapters.billing.stripe.connection import Patience
from chalicelib.adapters.billing.stripe.throttle import Throttle, background_throttle
from chalicelib.domain.errors import ProviderUnavailableError
from tests.unit.adapters.stripe.scripted import (
    Answer,
    ManualClock,
    customer,
    no_answer,
    refusal,
    script,
)

BUSY = refusal(429, code="rate_limit")
FOUND = Answer(body=customer())


@pytest.mark.parametrize(
    "refused",
    [
        BUSY,
        refusal(429, code="lock_timeout"),
        refusal(400, code="rate_limit"),
        refusal(409, type="idempotency_error", code="idempotency_key_in_use"),
        refusal(429, {"Stripe-Should-Retry": "false"}),
    ],
)
def test_throttled_call_is_repeated_later_and_later(refused: Answer) -> None:
    played = script(refused, refused, refused, FOUND)
    assert played.provider.get_customer("cus_1") is not None
    assert len(played.clock.slept) == 3
    assert played.clock.slept == sorted(played.clock.slept)


def test_throttled_creation_keeps_its_key() -> None:
    played = script(BUSY, FOUND)
    played.provider.ensure_customer({}, "key")
    assert [sent.key for sent in played.sent] == ["key", "key"]


def test_throttled_for_good_gives_up_within_the_budget_and_is_not_definite() -> None:
    played = script(*[BUSY] * 10)
    with pytest.raises(ProviderUnavailableError) as failed:
        played.provider.ensure_customer({}, "key")
    assert not failed.value.definite
    assert len(played.sent) <= Patience().throttled
    assert sum(played.clock.slept) <= Patience().budget_seconds


def test_retry_after_within_the_budget_is_waited_for() -> None:
    played = script(refusal(429, {"retry-after": "7"}), FOUND)
    played.provider.get_customer("cus_1")
    assert played.clock.slept == [7.0]


@pytest.mark.parametrize(("header", "seconds"), [("60", 60), ("2.5", 3), ("soon", 5), ("-1", 5)])
def test_retry_after_is_passed_on_to_the_caller(header: str, seconds: int) -> None:
    played = script(
        refusal(429, {"Retry-After": header}), patience=Patience(throttled=1, budget_seconds=60)
    )
    with pytest.raises(ProviderUnavailableError) as failed:
        played.provider.get_customer("cus_1")
    assert failed.value.retry_after_seconds == seconds
    assert played.clock.slept == []


def test_retry_after_beyond_the_budget_is_not_waited_for() -> None:
    played = script(refusal(429, {"Retry-After": "60"}))
    with pytest.raises(ProviderUnavailableError):
        played.provider.get_customer("cus_1")
    assert played.clock.slept == []


def test_timeouts_stop_when_the_budget_is_spent() -> None:
    played = script(no_answer(), no_answer())  # ten seconds each; a third try would begin too late
    with pytest.raises(ProviderUnavailableError):
        played.provider.get_customer("cus_1")
    assert len(played.sent) == 2


def test_quick_connection_errors_stop_after_three_attempts() -> None:
    played = script(*[no_answer()] * 3, patience=Patience(budget_seconds=1000))
    with pytest.raises(ProviderUnavailableError):
        played.provider.get_customer("cus_1")
    assert len(played.sent) == 3


def test_delay_is_jittered_by_the_clock_and_stays_within_its_half() -> None:
    delays = set()
    for microsecond in (0, 250_000, 999_999):
        played = script(BUSY, FOUND)
        played.clock.time += timedelta(microseconds=microsecond)
        played.provider.get_customer("cus_1")
        delays.update(played.clock.slept)
    assert len(delays) == 3
    assert all(0.25 <= delay <= 0.5 for delay in delays)


def test_throttle_within_the_burst_lets_pass_at_once() -> None:
    clock = ManualClock()
    throttle = Throttle(clock, per_second=10, burst=5)
    for _ in range(5):
        throttle.wait_for("prices")
    assert clock.slept == []


def test_throttle_beyond_the_burst_keeps_the_rate() -> None:
    clock = ManualClock()
    throttle = Throttle(clock, per_second=10, burst=5)
    for _ in range(25):
        throttle.wait_for("prices")
    assert sum(clock.slept) == pytest.approx(2.0)


def test_throttle_of_one_endpoint_leaves_another_alone() -> None:
    clock = ManualClock()
    throttle = Throttle(clock, per_second=1, burst=1)
    throttle.wait_for("prices")
    throttle.wait_for("products")
    assert clock.slept == []


def test_throttle_of_all_endpoints_together_keeps_the_rate() -> None:
    clock = ManualClock()
    throttle = Throttle(clock, per_second=10, burst=10, total_per_second=10)
    for number in range(30):
        throttle.wait_for(f"endpoint_{number % 5}")
    assert sum(clock.slept) == pytest.approx(2.0)


@pytest.mark.parametrize(("live", "total", "endpoint"), [(True, 40, 10), (False, 10, 10)])
def test_throttle_in_the_background_leaves_most_of_what_stripe_allows(
    live: bool,
    total: int,
    endpoint: int,
) -> None:
    clock = ManualClock()
    throttle = background_throttle(clock, live=live)
    for number in range(10 * total):
        throttle.wait_for(f"endpoint_{number % 8}")
    assert sum(clock.slept) == pytest.approx(9.0, abs=0.2)
    alone = ManualClock()
    throttle = background_throttle(alone, live=live)
    for _ in range(10 * endpoint):
        throttle.wait_for("subscriptions")
    assert sum(alone.slept) == pytest.approx(9.0, abs=0.2)


def test_throttle_after_a_rest_has_its_burst_again_and_no_more() -> None:
    clock = ManualClock()
    throttle = Throttle(clock, per_second=10, burst=3)
    for _ in range(3):
        throttle.wait_for("prices")
    clock.time += timedelta(hours=1)
    for _ in range(4):
        throttle.wait_for("prices")
    assert clock.slept == [pytest.approx(0.1)]


def test_throttle_when_the_clock_goes_back_still_lets_calls_through() -> None:
    clock = ManualClock()
    throttle = Throttle(clock, per_second=10, burst=1)
    throttle.wait_for("prices")
    clock.time -= timedelta(hours=1)
    throttle.wait_for("prices")
    assert clock.slept == [pytest.approx(0.1)]
