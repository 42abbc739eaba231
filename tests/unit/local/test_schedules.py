"""When schedule expressions are due."""

from datetime import UTC, datetime

import pytest

from infra.local.schedules import ScheduleError, every, next_run

NOW = datetime(2027, 2, 27, 23, 59, 30, 5, tzinfo=UTC)  # a Saturday


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(1 minute)", datetime(2027, 2, 28, 0, 0, 30, 5, tzinfo=UTC)),
        ("rate(5 minutes)", datetime(2027, 2, 28, 0, 4, 30, 5, tzinfo=UTC)),
        ("rate(1 day)", datetime(2027, 2, 28, 23, 59, 30, 5, tzinfo=UTC)),
        ("cron(* * * * ? *)", datetime(2027, 2, 28, tzinfo=UTC)),
        ("cron(0/15 * * * ? *)", datetime(2027, 2, 28, tzinfo=UTC)),
        ("cron(30 2 * * ? *)", datetime(2027, 2, 28, 2, 30, tzinfo=UTC)),
        ("cron(0 18 ? * MON-FRI *)", datetime(2027, 3, 1, 18, tzinfo=UTC)),
        ("cron(0 8 1 * ? *)", datetime(2027, 3, 1, 8, tzinfo=UTC)),
        ("cron(5,35 8-9 ? JAN,JUN 1 *)", datetime(2027, 6, 6, 8, 5, tzinfo=UTC)),
        ("cron(0 0 29 2 ? *)", datetime(2028, 2, 29, tzinfo=UTC)),
        ("cron(0 0 1 1 ? 2030)", datetime(2030, 1, 1, tzinfo=UTC)),
    ],
)
def test_next_run_is_the_first_instant_after_now(expression: str, expected: datetime) -> None:
    assert next_run(expression)(NOW) == expected


def test_every_takes_fractions_of_a_second() -> None:
    assert (every(0.25)(NOW) - NOW).total_seconds() == 0.25


@pytest.mark.parametrize(
    "expression",
    ["rate(0 minutes)", "rate(1 week)", "cron(* * *)", "cron(61 * * * ? *)", "cron(0 0 L * ? *)"],
)
def test_next_run_of_what_is_not_understood_is_refused(expression: str) -> None:
    with pytest.raises(ScheduleError):
        next_run(expression)


def test_next_run_of_a_past_year_is_refused() -> None:
    with pytest.raises(ScheduleError, match="never due"):
        next_run("cron(0 0 1 1 ? 2020)")(NOW)
