"""Scheduled handlers run when due, one run at a time, and their errors are told."""

import threading
import time
from typing import Any

from chalice.app import Blueprint, Chalice, CloudWatchEvent, Rate

from infra.local.scheduler import Scheduler


def app_with(handle: Any) -> Chalice:
    blueprint = Blueprint("toy_events")
    blueprint.schedule(Rate(1, unit=Rate.HOURS), name="tick")(handle)
    app = Chalice(app_name="toy")
    app.register_blueprint(blueprint)
    return app


def test_handler_runs_at_the_given_interval_with_the_event_of_eventbridge() -> None:
    events: list[dict[str, Any]] = []
    three = threading.Event()

    def handle(event: CloudWatchEvent) -> None:
        context: Any = event.context
        assert context.get_remaining_time_in_millis() > 59_000
        events.append(event.to_dict())
        if len(events) == 3:
            three.set()

    errors: list[Any] = []
    scheduler = Scheduler(
        app_with(handle), on_error=lambda *args: errors.append(args), interval_seconds=0.05
    )
    scheduler.start()
    assert three.wait(5)
    scheduler.stop()
    assert events[0]["source"] == "aws.events"
    assert events[0]["detail-type"] == "Scheduled Event"
    assert errors == []


def test_runs_do_not_overlap_and_errors_do_not_end_the_schedule() -> None:
    running = 0
    runs = 0

    def handle(_: CloudWatchEvent) -> None:
        nonlocal running, runs
        running += 1
        assert running == 1
        time.sleep(0.1)
        running -= 1
        runs += 1
        raise RuntimeError("no")

    errors: list[tuple[str, Exception]] = []
    scheduler = Scheduler(
        app_with(handle),
        on_error=lambda name, error: errors.append((name, error)),
        interval_seconds=0.01,
    )
    scheduler.start()
    deadline = time.monotonic() + 30
    while runs < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    scheduler.stop()
    assert runs >= 3
    assert [str(error) for _, error in errors] == ["no"] * runs


def test_own_schedule_waits_for_its_hour_and_stops_at_once() -> None:
    before = set(threading.enumerate())
    ran: list[Any] = []
    scheduler = Scheduler(app_with(ran.append), on_error=lambda *_: None)
    scheduler.start()
    time.sleep(0.1)
    started = time.monotonic()
    scheduler.stop()
    assert time.monotonic() - started < 30
    assert ran == []
    assert set(threading.enumerate()) <= before
