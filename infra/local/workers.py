"""Feeds every queue handler of the app."""

import time
from typing import TYPE_CHECKING, Final

from chalice.app import Chalice, SQSEventConfig

from infra.local.queue_worker import OnError, QueueWorker

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

STOP_SECONDS: Final = 2.0


class QueueWorkers:
    """A worker for each queue handler registered with the app."""

    def __init__(
        self,
        app: Chalice,
        sqs: "SQSClient",
        *,
        on_error: OnError,
        concurrency: int = 2,
        function_timeout_seconds: float = 60,
        report_batch_item_failures: bool = False,
    ) -> None:
        self._workers = [
            QueueWorker(
                source.name,
                app.handler_map[source.name],
                sqs,
                sqs.get_queue_url(QueueName=_queue_name(source))["QueueUrl"],
                on_error=on_error,
                batch_size=source.batch_size,
                concurrency=min(concurrency, source.maximum_concurrency or concurrency),
                function_timeout_seconds=function_timeout_seconds,
                report_batch_item_failures=report_batch_item_failures,
            )
            for source in app.event_sources
            if isinstance(source, SQSEventConfig)
        ]

    def start(self) -> None:
        """Messages of all queues are being handled."""
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """No message is being handled any more, save by a handler busy for seconds."""
        deadline = time.monotonic() + STOP_SECONDS
        for worker in self._workers:
            worker.ask_to_stop()
        for worker in self._workers:
            worker.stop(deadline)


def _queue_name(source: SQSEventConfig) -> str:
    return source.queue or (source.queue_arn or "").rpartition(":")[2]
