"""Feeds one queue to one handler: what an event source mapping of Lambda does on AWS."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.lambda_events import LambdaContext, sqs_event
from infra.local.threads import wait_for
from infra.local.visibility import VisibilityKeeper

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

OnError = Callable[[str, Exception], None]

POLL_SECONDS: Final = 1  # bounds how long a stop takes
BACKOFF_SECONDS: Final = 1.0

log = logging.getLogger(__name__)


def failed_messages(result: Any, message_ids: Sequence[str]) -> set[str]:
    """The ids a handler reported as failed; as on AWS all, when its report makes no sense."""
    if not isinstance(result, dict):
        return set()
    failures = result.get("batchItemFailures") or []
    known = set(message_ids)
    try:
        reported = {failure["itemIdentifier"] for failure in failures}
    except (KeyError, TypeError):
        return known
    return known if reported - known else reported


class QueueWorker:
    """Hands the messages of one queue to one handler, on a few threads.

    A message is deleted when its handler returned, and left to come back when it raised. The order
    inside a FIFO group holds because SQS hides a group while a message of it is in flight.
    """

    def __init__(  # noqa: PLR0913 - each is a setting of an event source mapping
        self,
        name: str,
        handler: Callable[[Any, Any], Any],
        sqs: "SQSClient",
        queue_url: str,
        *,
        on_error: OnError,
        batch_size: int = 1,
        concurrency: int = 2,
        function_timeout_seconds: float = 60,
        report_batch_item_failures: bool = False,
    ) -> None:
        attributes = sqs.get_queue_attributes(
            QueueUrl=queue_url, AttributeNames=["QueueArn", "VisibilityTimeout"]
        )["Attributes"]
        self._name = name
        self._handler = handler
        self._sqs = sqs
        self._queue_url = queue_url
        self._queue_arn = attributes["QueueArn"]
        self._on_error = on_error
        self._batch_size = min(batch_size, 10)
        self._function_timeout_seconds = function_timeout_seconds
        self._report_batch_item_failures = report_batch_item_failures
        self._stopped = threading.Event()
        self._keeper = VisibilityKeeper(
            sqs,
            queue_url,
            visibility_seconds=int(attributes["VisibilityTimeout"]),
            limit_seconds=function_timeout_seconds,
        )
        self._threads = [
            threading.Thread(target=self._run, name=f"worker-{name}-{number}", daemon=True)
            for number in range(concurrency)
        ]

    def start(self) -> None:
        """Messages are being handled."""
        self._keeper.start()
        for thread in self._threads:
            thread.start()

    def ask_to_stop(self) -> None:
        """No further message is taken."""
        self._stopped.set()

    def stop(self, deadline: float) -> None:
        """The threads have ended, or at `deadline` (monotonic) a handler is still busy."""
        self.ask_to_stop()
        for thread in self._threads:
            if not wait_for(thread, max(0.0, deadline - time.monotonic())):
                log.warning("%s is still busy; its messages will be handled again", self._name)
        self._keeper.stop()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                messages = self._receive()
                if messages:
                    self._handle(messages)
            except (BotoCoreError, ClientError) as error:
                if not self._stopped.is_set():
                    self._on_error(f"{self._name}: SQS", error)
                    self._stopped.wait(BACKOFF_SECONDS)

    def _receive(self) -> "list[MessageTypeDef]":
        answer = self._sqs.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=self._batch_size,
            WaitTimeSeconds=POLL_SECONDS,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return answer.get("Messages", [])

    def _handle(self, messages: "list[MessageTypeDef]") -> None:
        context = LambdaContext(self._name, self._function_timeout_seconds)
        try:
            with self._keeper.hold([message["ReceiptHandle"] for message in messages]):
                result = self._handler(sqs_event(messages, self._queue_arn), context)
        except Exception as error:  # noqa: BLE001 - whatever it is, the queue retries it
            self._on_error(self._name, error)
            return
        failed: set[str] = set()
        if self._report_batch_item_failures:
            failed = failed_messages(result, [message["MessageId"] for message in messages])
        for message in messages:
            if message["MessageId"] not in failed:
                self._sqs.delete_message(
                    QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"]
                )
