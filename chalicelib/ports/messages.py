"""Work for later: the queues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class QueueName(StrEnum):
    """The queues, each with its own dead-letter queue."""

    SYNC = "sync"
    CONVERGE = "converge"
    RECONCILE = "reconcile"
    MIGRATE = "migrate"
    DELIVER = "deliver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Work to do: `body` holds ids only; messages of one `group` are handled one after the other."""

    queue: QueueName
    group: str
    body: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepth:
    """How many messages wait or are being worked on, and how many were given up. Both are near the truth."""

    waiting: int
    dead: int


class Queue(Protocol):
    """Asynchronous work, delivered at least once."""

    def send(self, message: Message) -> None:
        """The message will be delivered; raises `StoreUnavailableError` when that is not sure."""
        ...

    def postpone(self, queue: QueueName, receipt: str, seconds: int) -> None:
        """The message of this receipt comes again after so long, if it is not done by then; no promise.

        Where it can't be said, the message comes when the queue's own time is over.
        """
        ...

    def depths(self) -> Mapping[QueueName, QueueDepth]:
        """What every queue holds; raises `StoreUnavailableError` when one does not tell."""
        ...
