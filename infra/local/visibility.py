"""Keeps messages hidden while their handler runs.

On AWS the queue hides a message for six times the function's time-out. Here it hides it for
seconds, so that a person sees the retry of a failure, or of a killed stack, soon; a handler that
runs longer has its messages hidden anew, until the time at which Lambda would have ended it.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.threads import wait_for

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

log = logging.getLogger(__name__)


class VisibilityKeeper:
    """Extends the visibility time-out of what is held, from a thread of its own."""

    def __init__(
        self, sqs: "SQSClient", queue_url: str, *, visibility_seconds: int, limit_seconds: float
    ) -> None:
        self._sqs = sqs
        self._queue_url = queue_url
        self._visibility_seconds = visibility_seconds
        self._limit_seconds = limit_seconds
        self._held: dict[str, float] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="visibility", daemon=True)

    def start(self) -> None:
        """What is held from now on stays hidden."""
        self._thread.start()

    def stop(self) -> None:
        """The thread has ended."""
        self._stopped.set()
        wait_for(self._thread)

    @contextmanager
    def hold(self, receipts: Sequence[str]) -> Iterator[None]:
        """The messages stay hidden for the length of the block."""
        until = time.monotonic() + self._limit_seconds
        self._held.update(dict.fromkeys(receipts, until))
        try:
            yield
        finally:
            for receipt in receipts:
                self._held.pop(receipt, None)

    def _run(self) -> None:
        while not self._stopped.wait(self._visibility_seconds / 3):
            now = time.monotonic()
            held = [receipt for receipt, until in dict(self._held).items() if until > now]
            try:
                for start in range(0, len(held), 10):
                    self._extend(held[start : start + 10])
            except (BotoCoreError, ClientError) as error:
                log.warning("messages may be handled twice: %s", error)

    def _extend(self, receipts: Sequence[str]) -> None:
        self._sqs.change_message_visibility_batch(
            QueueUrl=self._queue_url,
            Entries=[
                {
                    "Id": str(number),
                    "ReceiptHandle": receipt,
                    "VisibilityTimeout": self._visibility_seconds,
                }
                for number, receipt in enumerate(receipts)
            ],
        )
