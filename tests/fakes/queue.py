"""A queue that remembers what it was sent."""

from collections.abc import Callable

from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.ports import Message, QueueDepth, QueueName


class RecordingQueue:
    """A `Queue`. `down` makes it refuse; `drain` hands out what was sent, oldest first."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.down = False
        self.dead: dict[QueueName, int] = {}
        self.postponed: list[tuple[QueueName, str, int]] = []

    def send(self, message: Message) -> None:
        if self.down:
            raise StoreUnavailableError("The queue did not take the message.")
        self.messages.append(message)

    def postpone(self, queue: QueueName, receipt: str, seconds: int) -> None:
        self.postponed.append((queue, receipt, seconds))

    def depths(self) -> dict[QueueName, QueueDepth]:
        if self.down:
            raise StoreUnavailableError("The queues do not tell.")
        waiting = [message.queue for message in self.messages]
        return {
            queue: QueueDepth(waiting=waiting.count(queue), dead=self.dead.get(queue, 0))
            for queue in QueueName
        }

    def drain(self, queue: QueueName, work: Callable[[Message], object]) -> int:
        """Everything sent to the queue so far has been worked off once; returns how much."""
        mine = [message for message in self.messages if message.queue is queue]
        self.messages = [message for message in self.messages if message.queue is not queue]
        for message in mine:
            work(message)
        return len(mine)
