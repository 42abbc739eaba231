"""Fires the app's scheduled handlers: what EventBridge does on AWS."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from chalice.app import Chalice, ScheduledEventConfig, ScheduleExpression

from infra.local.lambda_events import LambdaContext, scheduled_event
from infra.local.queue_worker import OnError
from infra.local.schedules import NextRun, every, next_run
from infra.local.threads import wait_for

STOP_SECONDS: Final = 2.0

log = logging.getLogger(__name__)


class Scheduler:
    """Calls each scheduled handler when it is due; the runs of one never overlap.

    `interval_seconds` replaces every handler's own schedule.
    """

    def __init__(
        self,
        app: Chalice,
        *,
        on_error: OnError,
        interval_seconds: float | None = None,
        function_timeout_seconds: float = 60,
    ) -> None:
        self._on_error = on_error
        self._function_timeout_seconds = function_timeout_seconds
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._run,
                args=(
                    source.name,
                    app.handler_map[source.name],
                    every(interval_seconds)
                    if interval_seconds is not None
                    else next_run(_expression(source)),
                ),
                name=f"schedule-{source.name}",
                daemon=True,
            )
            for source in app.event_sources
            if isinstance(source, ScheduledEventConfig)
        ]

    def start(self) -> None:
        """Handlers run as they become due; the first time after one interval, as on AWS."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No handler runs any more, save one busy for seconds."""
        self._stopped.set()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            if not wait_for(thread, max(0.0, deadline - time.monotonic())):
                log.warning("%s is still busy", thread.name)

    def _run(self, name: str, handler: Callable[[Any, Any], Any], due: NextRun) -> None:
        while True:
            now = datetime.now(UTC)
            if self._stopped.wait((due(now) - now).total_seconds()):
                return
            context = LambdaContext(name, self._function_timeout_seconds)
            try:
                handler(scheduled_event(name, datetime.now(UTC)), context)
            except Exception as error:  # noqa: BLE001 - the schedule goes on, the error is told
                self._on_error(name, error)


def _expression(source: ScheduledEventConfig) -> str:
    expression = source.schedule_expression
    return expression.to_string() if isinstance(expression, ScheduleExpression) else expression
