from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.entitlements import ResetPeriod
from chalicelib.domain.errors import (
    FeatureNotMeteredError,
    InUseError,
    UsageReportedByEventsError,
    WrongStateError,
)
from chalicelib.domain.features import Aggregation, Meter, UsageKind
from chalicelib.domain.snapshot_documents import document_of, document_text, epoch_ms
from chalicelib.domain.spreading import SpreadUsage
from chalicelib.ports import Anyhow, Put
from chalicelib.services.consume import Consumption
from chalicelib.services.report_usage import UpdateBehavior
from chalicelib.services.reserve import reserve
from chalicelib.services.spread_usage import spread_usage
from tests.factories import ACME, a_limit
from tests.fakes.using import a_user, report, take, used
from tests.fakes.world import World, a_cause

Step = tuple[str, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(1, 9)),
        st.tuples(st.just("take"), st.integers(1, 9)),
        st.tuples(st.just("report"), st.integers(0, 12)),
        st.tuples(st.just("spread"), st.integers(1, 6)),
        st.tuples(st.just("limit"), st.integers(0, 40)),
        st.tuples(st.just("period"), st.just(0)),
    ),
    max_size=30,
)


def spread(world: World, count: int, feature_id: str = "calls") -> SpreadUsage:
    return spread_usage(world.ports, a_cause(), ACME, feature_id, count)


def set_limit(world: World, limit: int) -> None:
    held = world.snapshot()
    document = document_of(held.document)
    document["version"] += 1
    document["features"]["calls"]["shares"][0]["limit"] = limit
    after = replace(held, document=document_text(document), version=held.version + 1)
    world.store.commit(Put(after, Anyhow()))


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_spread_counter_answers_as_one_number_does(steps: list[Step]) -> None:
    world = a_user(replace(a_limit("calls", 20), reset_period=ResetPeriod.HOUR))
    limit, count = 20, 0
    for step, number in steps:
        match step:
            case "take":
                fits = count + number <= limit
                assert take(world, number).decision.has_access is fits
                count += number if fits else 0
            case "report":
                report(world, number)
                count += number
            case "spread":
                version = world.snapshot().version
                spread(world, number)
                if world.snapshot().version != version:
                    limit = 20  # compiled anew
            case "limit":
                set_limit(world, number)
                limit = number
            case _:
                world.clock.advance(hours=1)
                count = 0
        if step in {"take", "report"} and count:
            assert used(world) == count


def test_shards_go_up_and_down_and_nothing_is_lost() -> None:
    world = a_user(a_limit("calls", 100))
    take(world, 7)
    assert spread(world, 8) == SpreadUsage(count=8, total=8)
    for _ in range(20):
        take(world, 2)
    assert spread(world, 2) == SpreadUsage(count=2, total=8)
    assert used(world) == 47
    assert take(world, 53).decision.has_access
    assert not take(world, 1).decision.has_access
    hours = world.ports.usage.hours(ACME, "calls", 0, epoch_ms(world.clock.now()))
    assert sum(hours.values()) == used(world) == 100


@pytest.mark.parametrize("key", ["a", "b", "c", "d", "e", "f"])
def test_count_that_was_decided_before_a_report_finds_no_room_after_it(key: str) -> None:
    world = a_user()
    spread(world, 4)
    take(world, 1)

    def meanwhile(_: object) -> None:
        world.store.before_commit = None
        report(world, 12, key="report")

    world.store.before_commit = meanwhile
    assert not take(world, 1, key=key).decision.has_access
    assert used(world) == 13


def test_spreading_again_changes_nothing() -> None:
    world = a_user()
    spread(world, 4)
    before = dict(world.store.records)
    spread(world, 4)
    assert world.store.records == before


def test_what_needs_one_number_is_refused() -> None:
    meter = Meter(aggregation=Aggregation.COUNT)
    world = a_user(
        a_limit("calls", 10),
        a_limit("seats", 5),
        meters={"tokens": meter},
        seats=UsageKind.FLUCTUATING,
    )
    for feature_id, error in (
        ("seats", WrongStateError),
        ("sso", FeatureNotMeteredError),
        ("tokens", UsageReportedByEventsError),
    ):
        with pytest.raises(error):
            spread(world, 2, feature_id)
    spread(world, 2)
    with pytest.raises(WrongStateError):
        report(world, 3, behavior=UpdateBehavior.SET)
    wanted = Consumption(customer_id=ACME, feature_id="calls", amount=1, key="k")
    with pytest.raises(WrongStateError):
        reserve(world.ports, wanted, 60)


def test_what_is_reserved_is_settled_before_it_is_spread() -> None:
    world = a_user()
    wanted = Consumption(customer_id=ACME, feature_id="calls", amount=3, key="k")
    reserve(world.ports, wanted, 60)
    with pytest.raises(InUseError):
        spread(world, 2)
    world.clock.advance(seconds=61)
    spread(world, 2)
    assert used(world) == 0
    assert take(world, 10).decision.has_access
