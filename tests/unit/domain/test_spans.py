"""What each status gives: the table of infra/docs/subscription-statuses.md, row by row."""

from datetime import datetime
from typing import Any

import pytest

from chalicelib.adapters.billing.stripe.subscriptions import status_of
from chalicelib.domain.ids import PackageId
from chalicelib.domain.spans import spans
from chalicelib.domain.subscriptions import (
    ScheduledChange,
    SubscribedAddon,
    SubscriptionStatus,
)
from tests.factories import a_subscription, later
from tests.fakes.system import START

DAY_1, DAY_3, DAY_9 = later(days=1), later(days=3), later(days=9)
Ends = list[tuple[str, datetime, datetime | None]]


def given(grace_days: int | None = None, **fields: Any) -> Ends:
    """Plan, start and end of each span."""
    return [
        (span.plan[1], span.start, span.end) for span in spans(a_subscription(**fields), grace_days)
    ]


WITHOUT_END: Ends = [("pro", START, None)]


@pytest.mark.parametrize("provider", [None, "stripe"])
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("payment_pending", []),
        ("in_trial", WITHOUT_END),
        ("active", WITHOUT_END),
        ("past_due", WITHOUT_END),
        ("paused", []),
        ("canceled", []),
        ("expired", []),
    ],
)
def test_status_gives_what_the_table_says(
    provider: str | None, status: str, expected: Ends
) -> None:
    assert given(status=SubscriptionStatus(status), provider=provider) == expected


def test_status_not_started_gives_from_its_start_where_nobody_bills_it() -> None:
    status = SubscriptionStatus.NOT_STARTED
    assert given(status=status, started_at=DAY_3) == [("pro", DAY_3, None)]
    assert given(status=status, started_at=DAY_3, provider="stripe") == []


# https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses
@pytest.mark.parametrize(
    ("text", "gives"),
    [
        ("incomplete", False),
        ("incomplete_expired", False),
        ("trialing", True),
        ("active", True),
        ("past_due", True),
        ("unpaid", False),
        ("canceled", False),
        ("paused", False),
        ("a status of next year", False),
    ],
)
def test_status_of_stripe_gives_what_the_table_says(text: str, *, gives: bool) -> None:
    assert bool(given(status=status_of(text), provider="stripe")) is gives


PAST_DUE: dict[str, Any] = {"status": SubscriptionStatus.PAST_DUE, "provider": "stripe"}


@pytest.mark.parametrize(("grace_days", "end"), [(None, None), (0, DAY_1), (2, DAY_3), (8, DAY_9)])
def test_past_due_gives_for_the_grace_period_from_when_the_payment_was_due(
    grace_days: int | None, end: datetime | None
) -> None:
    assert given(grace_days, **PAST_DUE, past_due_since=DAY_1) == [("pro", START, end)]


def test_past_due_since_nobody_knows_when_is_so_since_its_period_began() -> None:
    assert given(2, **PAST_DUE, current_period_start=DAY_1) == [("pro", START, DAY_3)]
    assert given(2, **PAST_DUE) == WITHOUT_END


def test_past_due_from_its_very_start_without_grace_gives_nothing() -> None:
    assert given(0, **PAST_DUE, past_due_since=START) == []


@pytest.mark.parametrize("status", [SubscriptionStatus.ACTIVE, SubscriptionStatus.IN_TRIAL])
def test_grace_period_ends_nothing_that_is_paid(status: SubscriptionStatus) -> None:
    assert given(0, status=status, past_due_since=None, current_period_start=START) == WITHOUT_END


def test_cancellation_ends_access_when_it_takes_effect() -> None:
    assert given(cancel_at=DAY_3) == [("pro", START, DAY_3)]
    assert given(9, **PAST_DUE, past_due_since=DAY_1, cancel_at=DAY_3) == [("pro", START, DAY_3)]


def test_trial_ends_by_itself_where_nobody_bills_it() -> None:
    trial: dict[str, Any] = {"status": SubscriptionStatus.IN_TRIAL, "trial_end": DAY_3}
    assert given(**trial) == [("pro", START, DAY_3)]
    assert given(**trial, provider="stripe") == WITHOUT_END
    later_trial: dict[str, Any] = {"status": SubscriptionStatus.NOT_STARTED, "trial_end": DAY_9}
    assert given(**later_trial, started_at=DAY_3) == [("pro", DAY_3, DAY_9)]


def a_change(at: datetime) -> ScheduledChange:
    return ScheduledChange(
        at=at,
        plan_id=PackageId("basic"),
        plan_version=2,
        addons=(SubscribedAddon(id=PackageId("storage"), version=1, quantity=2),),
    )


def test_scheduled_change_ends_what_is_held_and_begins_the_next_at_one_instant() -> None:
    held = a_subscription(scheduled_change=a_change(DAY_3))
    now, then = spans(held)
    assert (now.start, now.end, then.start, then.end) == (START, DAY_3, DAY_3, None)
    assert [key[1] for key, _ in now.packages] == ["pro"]
    assert [(key[1], key[2], count) for key, count in then.packages] == [
        ("basic", 2, 1),
        ("storage", 1, 2),
    ]


@pytest.mark.parametrize(
    ("change_at", "cancel_at", "expected"),
    [
        (DAY_3, DAY_9, [("pro", START, DAY_3), ("basic", DAY_3, DAY_9)]),
        (DAY_9, DAY_3, [("pro", START, DAY_3)]),
        (DAY_3, DAY_3, [("pro", START, DAY_3)]),
        (START, None, [("basic", START, None)]),
        (later(days=-1), None, [("basic", START, None)]),
    ],
)
def test_scheduled_change_beside_other_ends_leaves_no_gap_and_no_overlap(
    change_at: datetime, cancel_at: datetime | None, expected: Ends
) -> None:
    assert given(scheduled_change=a_change(change_at), cancel_at=cancel_at) == expected
