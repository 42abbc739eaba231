from dataclasses import replace

import pytest

from chalicelib.domain.entitlements import ResetAnchor, ResetPeriod
from chalicelib.domain.features import UsageKind
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshot_documents import epoch_ms
from chalicelib.domain.usage_records import UsageRecord
from chalicelib.services.report_together import AT_ONCE, report_together
from chalicelib.services.report_usage import UpdateBehavior, UsageReport, report_usage
from tests.factories import ACME, a_limit
from tests.fakes.system import START
from tests.fakes.using import a_user, report, used
from tests.fakes.world import World


def some(*values: int, feature_id: str = "calls") -> list[UsageReport]:
    return [
        UsageReport(
            customer_id=CustomerId(ACME),
            feature_id=feature_id,
            value=value,
            behavior=UpdateBehavior.DELTA,
            key=f"{feature_id}{number}",
        )
        for number, value in enumerate(values)
    ]


def nothing_counted(world: World) -> bool:
    return world.reader.usage == {} and world.store.all(UsageRecord) == []


def test_reports_together_are_one_transaction_and_answered_as_one_by_one() -> None:
    together, singly = a_user(), a_user()
    reports = some(3, 0, 4)
    before = len(together.store.commits)
    done = report_together(together.ports, reports)
    assert len(together.store.commits) == before + 1
    assert done == [report_usage(singly.ports, one) for one in reports]
    assert used(together) == used(singly) == 7
    for world in (together, singly):
        assert world.ports.usage.hours(ACME, "calls", 0, epoch_ms(START)) == {epoch_ms(START): 7}
    assert together.store.all(UsageRecord) == singly.store.all(UsageRecord)


def test_reports_of_several_features_and_a_new_period_go_together() -> None:
    limit = a_limit("calls", 10, reset_period=ResetPeriod.DAY, reset_anchor=ResetAnchor.CALENDAR)
    world = a_user(limit, a_limit("more", 10))
    report(world, 9)
    world.clock.advance(days=1)
    assert report_together(world.ports, some(1, 2) + some(5, feature_id="more")) is not None
    assert (used(world), used(world, "more")) == (3, 5)


def test_repetition_together_counts_nothing() -> None:
    world = a_user()
    report_together(world.ports, some(1, 2))
    assert report_together(world.ports, some(1, 2)) is None
    assert used(world) == 3


@pytest.mark.parametrize(
    "reports",
    [
        some(1),
        some(*[1] * (AT_ONCE + 1)),
        some(1, -1),
        [*some(1), replace(some(1)[0], key="k", at=START)],
        [*some(1), replace(some(1)[0], key="k", behavior=UpdateBehavior.SET)],
        [*some(1), replace(some(1)[0], value=2)],
        [*some(1), replace(some(1)[0], key="k", customer_id=CustomerId("bob"))],
        some(1, 2, feature_id="seats"),
        some(1, 2, feature_id="sso"),
        some(1, 2, feature_id="nothing"),
        [replace(one, customer_id=CustomerId("nobody")) for one in some(1, 2)],
    ],
)
def test_whatever_is_not_plain_is_left_to_be_counted_singly(reports: list[UsageReport]) -> None:
    world = a_user(a_limit("calls", 10), a_limit("seats", 9), seats=UsageKind.FLUCTUATING)
    assert report_together(world.ports, reports) is None
    assert nothing_counted(world)


def test_reports_overtaken_by_another_are_left_to_be_counted_singly() -> None:
    world = a_user()

    def another(_: object) -> None:
        world.store.before_commit = None
        report(world, 1)

    world.store.before_commit = another
    assert report_together(world.ports, some(1, 2)) is None
    assert used(world) == 1
