"""Schedules: every chore has its turn, and whoever looks at Lambda's errors learns that one crashed."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.domain.reconciliations import Reconciliation
from chalicelib.domain.usage_charges import ChargeStatus, UsageCharge
from chalicelib.events.chores import Chore, ChoresFailedError, do_chores
from chalicelib.events.start_reconcile import start_run
from chalicelib.events.sweep import CHORES
from chalicelib.ports import Message, Ports, QueueName
from chalicelib.telemetry import LOGGED_FIELDS
from tests.factories import a_price
from tests.fakes.queue import RecordingQueue
from tests.fakes.using import a_payer, report
from tests.fakes.world import World

PRIVATE = "sk_live_1234 of ann@acme.example"


class ForbiddenQueue(RecordingQueue):
    """A policy that lacks a right: no failure that passes, and a message full of what is nobody's business."""

    def send(self, message: Message) -> None:
        raise PermissionError(f"AccessDenied: {PRIVATE}")


def raising(error: Exception) -> Chore:
    def broken(ports: Ports) -> None:
        raise error

    return broken


def noting(done: list[str], name: str) -> Callable[[Ports], None]:
    return lambda ports: done.append(name)


@pytest.mark.parametrize(
    "error",
    [StoreUnavailableError("away"), RuntimeError(PRIVATE), ValueError("'new' is no status")],
)
def test_chore_that_fails_keeps_no_other_from_its_turn(error: Exception) -> None:
    done: list[str] = []
    chores = [noting(done, "first"), raising(error), noting(done, "last")]
    with suppress(ChoresFailedError):
        do_chores(World().ports, chores, comes_again=True)
    assert done == ["first", "last"]


def test_chore_that_crashed_fails_the_invocation_and_tells_its_kind_and_place_alone() -> None:
    world = World()
    with pytest.raises(ChoresFailedError) as caught:
        do_chores(world.ports, [raising(RuntimeError(PRIVATE))], comes_again=True)
    [line] = world.monitor.named("chore_crashed")
    assert (line["chore"], line["error"]) == ("broken", "RuntimeError")
    assert __file__ in line["frames"]
    assert line.keys() <= LOGGED_FIELDS
    assert str(caught.value) == "broken: RuntimeError"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None  # nothing hangs on it that could be printed
    assert PRIVATE not in repr(world.monitor.events)


def test_chore_that_cannot_be_done_now_waits_for_the_next_tick_where_that_is_soon() -> None:
    world = World()
    do_chores(world.ports, [raising(StoreUnavailableError("away"))], comes_again=True)
    assert world.monitor.named("chore_failed") == [{"chore": "broken", "code": "store_unavailable"}]


def test_chore_that_cannot_be_done_now_is_repeated_by_lambda_where_the_next_tick_is_far() -> None:
    world = World()
    with pytest.raises(ChoresFailedError, match=r"^broken: store_unavailable$"):
        do_chores(world.ports, [raising(StoreUnavailableError("away"))], comes_again=False)
    assert world.monitor.named("chore_failed")


def test_usage_is_charged_though_what_comes_before_it_in_the_sweep_crashes() -> None:
    world = a_payer()
    report(world, 3)
    world.publish("other", a_price())
    world.clock.advance(minutes=2)
    world.ports = replace(world.ports, queue=ForbiddenQueue())
    with pytest.raises(ChoresFailedError):
        do_chores(world.ports, CHORES, comes_again=True)
    assert "sweep" in {line["chore"] for line in world.monitor.named("chore_crashed")}
    assert PRIVATE not in repr(world.monitor.events)
    assert [charge.status for charge in world.store.all(UsageCharge)] == [ChargeStatus.REPORTED]


def test_schedule_starts_a_run() -> None:
    world = World()
    do_chores(world.ports, [start_run], comes_again=False)
    [run] = world.store.all(Reconciliation)
    assert run.trigger == "schedule"
    assert [message.queue for message in world.queue.messages] == [QueueName.RECONCILE]


def test_run_that_could_not_be_queued_is_by_the_repetition() -> None:
    world = World()
    world.queue.down = True
    with pytest.raises(ChoresFailedError, match=r"^start_run: store_unavailable$"):
        do_chores(world.ports, [start_run], comes_again=False)
    world.queue.down = False
    world.clock.advance(minutes=1)
    do_chores(world.ports, [start_run], comes_again=False)
    [run] = world.store.all(Reconciliation)
    assert [message.body for message in world.queue.messages] == [{"reconciliation_id": run.id}]


def test_run_that_cannot_be_started_is_told_without_what_the_error_says() -> None:
    world = World()
    world.ports = replace(world.ports, queue=ForbiddenQueue())
    with pytest.raises(ChoresFailedError, match=r"^start_run: PermissionError$"):
        do_chores(world.ports, [start_run], comes_again=False)
    assert world.monitor.named("chore_crashed")
    assert PRIVATE not in repr(world.monitor.events)
