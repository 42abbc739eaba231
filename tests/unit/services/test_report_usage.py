from datetime import timedelta

import pytest

from chalicelib.domain.entitlements import ResetAnchor, ResetPeriod
from chalicelib.domain.errors import (
    ArchivedError,
    DomainError,
    FeatureNotMeteredError,
    IdempotencyKeyReusedError,
    InvalidError,
    NotFoundError,
    StoreUnavailableError,
    UsageReportedByEventsError,
)
from chalicelib.domain.features import Aggregation, FeatureType, Lifecycle, Meter, UsageKind
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshot_documents import epoch_ms
from chalicelib.domain.usage import Counter
from chalicelib.domain.usage_records import KEPT_FOR, UsageRecord
from chalicelib.services.manage_customers import set_customer_status
from chalicelib.services.report_usage import UpdateBehavior
from tests.factories import ACME, a_limit
from tests.fakes.system import START
from tests.fakes.using import a_user, report, used
from tests.fakes.world import World, a_cause

SET = UpdateBehavior.SET
FLUCTUATING = UsageKind.FLUCTUATING


def monthly(limit: int = 10) -> World:
    """Periods begin on the first of the month."""
    return a_user(
        a_limit(
            "calls",
            limit,
            reset_period=ResetPeriod.MONTH,
            reset_anchor=ResetAnchor.CALENDAR,
        )
    )


def hours(world: World, feature_id: str = "calls") -> dict[int, int]:
    return dict(world.ports.usage.hours(ACME, feature_id, 0, epoch_ms(START + timedelta(days=99))))


def violation(error: pytest.ExceptionInfo[InvalidError]) -> tuple[str, str]:
    [found] = error.value.violations
    return found.param, found.code


def test_reports_add_up_and_the_check_sees_them() -> None:
    world = a_user()
    assert report(world, 3).state.current_usage == 3
    assert report(world, 4).state.current_usage == 7
    assert used(world) == 7
    assert world.check("calls").decision.remaining == 3


def test_report_above_the_limit_is_counted() -> None:
    world = a_user()
    done = report(world, 25)
    assert (done.state.current_usage, done.state.usage_limit) == (25, 10)
    assert not world.check("calls").decision.has_access


def test_report_of_what_is_not_granted_is_counted_too() -> None:
    world = a_user()
    report(world, 5, "other")
    report(world, 6, "other")
    assert world.reader.usage[ACME]["other"] == Counter(11, 0)


def test_set_says_what_all_of_it_is() -> None:
    world = a_user()
    report(world, 3)
    assert report(world, 8, behavior=SET).state.current_usage == 8
    assert report(world, 8, behavior=SET).state.current_usage == 8
    assert sum(hours(world).values()) == 8


@pytest.mark.parametrize(("value", "behavior"), [(-1, UpdateBehavior.DELTA), (2, SET), (-1, SET)])
def test_incremental_usage_never_falls(value: int, behavior: UpdateBehavior) -> None:
    world = a_user()
    report(world, 3)
    with pytest.raises(InvalidError) as error:
        report(world, value, behavior=behavior)
    assert violation(error) == ("value", "only_grows")
    assert used(world) == 3


def test_fluctuating_usage_goes_up_and_down_but_not_below_none() -> None:
    world = a_user(a_limit("seats", 5), seats=FLUCTUATING)
    report(world, 4, "seats")
    assert report(world, -3, "seats").state.current_usage == 1
    for value, behavior in ((-2, UpdateBehavior.DELTA), (-1, SET)):
        with pytest.raises(InvalidError) as error:
            report(world, value, "seats", behavior=behavior)
        assert violation(error) == ("value", "below_zero")
    assert report(world, 0, "seats", behavior=SET).state.current_usage == 0
    assert hours(world, "seats") == {epoch_ms(START): 0}


def test_key_counts_once_and_gets_the_first_answer() -> None:
    world = a_user()
    first = report(world, 3, key="k")
    report(world, 2)
    again = report(world, 3, key="k")
    assert again.is_replay
    assert (again.id, again.state, again.at) == (first.id, first.state, first.at)
    assert used(world) == 5


def test_key_with_another_request_is_refused() -> None:
    world = a_user()
    report(world, 3, key="k")
    for value, feature_id in ((4, "calls"), (3, "other")):
        with pytest.raises(IdempotencyKeyReusedError):
            report(world, value, feature_id, key="k")
    assert used(world) == 3


def test_key_is_remembered_longer_than_usage_can_be_reported_late() -> None:
    world = a_user()
    done = report(world, 3, key="k", at=START - timedelta(days=1))
    world.clock.advance(days=35)
    assert report(world, 3, key="k2", at=world.clock.now()).state.current_usage == 6
    [record, _] = sorted(world.store.all(UsageRecord), key=lambda one: one.recorded_at)
    assert record.id == done.id
    assert record.expires_at == done.recorded_at + KEPT_FOR


def test_keys_of_two_customers_are_two_keys() -> None:
    world = a_user()
    world.customer("bob")
    report(world, 3, key="k")
    report(world, 4, key="k", customer_id="bob")
    assert used(world) == 3


def test_key_of_a_refused_report_can_be_used_again() -> None:
    world = a_user()
    with pytest.raises(InvalidError):
        report(world, -3, key="k")
    assert report(world, 3, key="k").state.current_usage == 3


def test_what_can_not_be_reported_is_refused_and_counts_nothing() -> None:
    world = a_user(meters={"tokens": Meter(aggregation=Aggregation.COUNT)})
    world.customer("gone")
    set_customer_status(world.ports, a_cause("archive"), CustomerId("gone"), Lifecycle.ARCHIVED)
    cases: list[tuple[type[DomainError], str, str]] = [
        (NotFoundError, "nothing", ACME),
        (NotFoundError, "calls", "nobody"),
        (FeatureNotMeteredError, "sso", ACME),
        (UsageReportedByEventsError, "tokens", ACME),
        (ArchivedError, "calls", "gone"),
    ]
    for error, feature_id, customer_id in cases:
        with pytest.raises(error):
            report(world, 1, feature_id, customer_id=customer_id)
    assert world.reader.usage == {}
    assert world.store.all(UsageRecord) == []


def test_feature_created_a_moment_ago_can_be_reported() -> None:
    world = a_user()
    report(world)
    world.features(fresh=FeatureType.METERED)
    assert report(world, 2, "fresh").report.value == 2


def test_next_period_begins_with_the_first_report_in_it() -> None:
    world = monthly()
    report(world, 9)
    world.clock.advance(days=31)
    assert used(world) == 0
    assert report(world, 2).state.current_usage == 2
    assert report(world, 2).state.current_usage == 4
    assert used(world) == 4
    assert sorted(hours(world).values()) == [4, 9]


def test_late_report_of_a_period_that_is_over_is_remembered_and_not_counted_now() -> None:
    world = monthly()
    world.clock.advance(days=20)
    report(world, 1)
    report(world, 5, at=START)
    assert used(world) == 1
    assert hours(world)[epoch_ms(START)] == 5


def test_late_report_within_the_period_is_counted_now_and_remembered_then() -> None:
    world = monthly()
    world.clock.advance(days=10)
    report(world, 5, at=START)
    assert used(world) == 5
    assert hours(world) == {epoch_ms(START): 5}


def test_values_can_not_be_set_for_a_period_that_is_over() -> None:
    world = monthly()
    world.clock.advance(days=20)
    with pytest.raises(InvalidError) as error:
        report(world, 5, behavior=SET, at=START)
    assert violation(error) == ("timestamp", "period_is_over")
    with pytest.raises(InvalidError) as error:
        report(world, -5, at=START)
    assert violation(error) == ("value", "only_grows")


@pytest.mark.parametrize(
    ("delta", "code"),
    [
        (timedelta(days=-35, seconds=-1), "too_old"),
        (timedelta(minutes=5, seconds=1), "in_future"),
    ],
)
def test_report_of_an_impossible_time_is_refused(delta: timedelta, code: str) -> None:
    world = a_user()
    with pytest.raises(InvalidError) as error:
        report(world, 1, at=START + delta)
    assert violation(error) == ("timestamp", code)


@pytest.mark.parametrize("delta", [timedelta(days=-35), timedelta(minutes=5)])
def test_report_of_the_outermost_possible_time_is_counted(delta: timedelta) -> None:
    world = a_user()
    report(world, 1, at=START + delta)
    assert used(world) == 1


def test_clock_that_lags_counts_in_the_period_that_has_begun() -> None:
    world = monthly()
    world.clock.advance(days=17)
    ahead = epoch_ms(world.clock.now().replace(hour=0))
    world.clock.advance(hours=-12, minutes=-1)
    world.reader.usage[ACME] = {"calls": Counter(6, ahead)}
    report(world, 1)
    assert world.reader.usage[ACME]["calls"] == Counter(7, ahead)


def test_period_that_is_reckoned_otherwise_now_begins_anew() -> None:
    world = monthly()
    not_a_first = epoch_ms(START) + 60_000
    world.reader.usage[ACME] = {"calls": Counter(6, not_a_first)}
    report(world, 1)
    assert world.reader.usage[ACME]["calls"].used == 1


def test_somebody_who_is_always_first_makes_it_unavailable_and_counts_nothing() -> None:
    world = a_user()
    report(world, 1)
    clock = world.clock.now()

    def overtake(_: object) -> None:
        held = world.reader.usage[ACME]["calls"]
        world.reader.usage[ACME]["calls"] = Counter(held.used + 1, held.period_start_ms)

    world.store.before_commit = overtake
    with pytest.raises(StoreUnavailableError) as error:
        report(world, 90, behavior=SET, key="k", at=clock)
    assert error.value.retry_after_seconds > 0
    world.store.before_commit = None
    assert len(world.store.all(UsageRecord)) == 1
    assert report(world, 90, behavior=SET, key="k", at=clock).state.current_usage == 90


def test_answer_that_was_lost_is_found_by_the_repetition() -> None:
    world = a_user()

    def lose(_: object) -> None:
        world.store.after_commit = None
        raise StoreUnavailableError("lost")

    world.store.after_commit = lose
    with pytest.raises(StoreUnavailableError):
        report(world, 3, key="k")
    assert report(world, 3, key="k").is_replay
    assert used(world) == 3
