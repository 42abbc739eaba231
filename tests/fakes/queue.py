"""A queue that remembers what it was sent."""

from collections.abc import Callable

from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.ports import Message, QueueName


class RecordingQueue:
    """A `Queue`. `down` makes it refuse; `drain` hands out what was sent, oldest first."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.down = False

    def send(self, message: Message) -> None:
        if self.down:
            raise StoreUnavailableError("The queue did not take the message.")
        self.messages.append(message)

    def drain(self, queue: QueueName, work: Callable[[Message], object]) -> int:
        """Everything sent to the queue so far has been worked off once; returns how much."""
        mine = [message for message in self.messages if message.queue is queue]
        self.messages = [message for message in self.messages if message.queue is not queue]
        for message in mine:
            work(message)
        return len(mine)
