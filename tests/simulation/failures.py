"""What goes wrong in a simulation: processes die, databases and networks fail, messages come again."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from chalicelib.domain.errors import DomainError, StoreConflictError, StoreUnavailableError
from chalicelib.ports import Message
from infra.local.stripe_stand_in.in_process import InProcessClient
from tests.integration.time_stories.life import Life

TRIES = 5


class DiedError(BaseException):
    """The process is gone: no handler of ours catches this."""


class FailingLife(Life):
    """A life in which the next steps fail as they are told to, and messages come again until they succeed.

    `die_in`: so many commits and calls of Stripe from now the process dies. `store_faults`: what becomes of the next
    commits: `before` (not written), `after` (written, and the answer is lost), `conflict`, or None.
    """

    def __init__(self, start: str) -> None:
        super().__init__(start)
        self.die_in: int | None = None
        self.store_faults: list[str | None] = []
        self.hidden: list[Message] = []
        self.attempts: dict[int, tuple[Message, int]] = {}
        self.dead: list[tuple[Message, str]] = []
        self.deaths = 0
        store = self.deployment.store
        store.before_commit = lambda _: self._before_commit()
        store.after_commit = lambda _: self._after_commit()
        self._late: str | None = None
        client = self.deployment.stripe
        self.deployment.stripe.request = self._calling(client, client.request)  # type: ignore[method-assign]

    def _calling(self, client: InProcessClient, call: Callable[..., Any]) -> Callable[..., Any]:
        def request(*args: Any, **options: Any) -> Any:
            self._step()
            return call(*args, **options)

        return request

    def _step(self) -> None:
        if self.die_in is None:
            return
        if self.die_in == 0:
            self.die_in = None
            self.deaths += 1
            raise DiedError
        self.die_in -= 1

    def _before_commit(self) -> None:
        self._step()
        fault = self.store_faults.pop(0) if self.store_faults else None
        if fault == "before":
            raise StoreUnavailableError("The database did not answer.")
        if fault == "conflict":
            raise StoreConflictError("Another transaction touched the item.")
        self._late = fault

    def _after_commit(self) -> None:
        late, self._late = self._late, None
        if late == "after":
            raise StoreUnavailableError("The database's answer was lost.")

    def heal(self) -> None:
        """Nothing fails any more, and what was hidden from the workers comes back."""
        self.die_in, self.store_faults, self._late = None, [], None
        self.deployment.person("POST", "/_stand_in/deliveries", mode="normal")
        self.deployment.person("DELETE", "/_stand_in/faults")
        self.deployment.webhooks.answers.clear()
        self.show()

    def show(self) -> None:
        """The time for which failed messages are hidden is over."""
        self.deployment.queue.messages += self.hidden
        self.hidden = []

    def handle(self, work: Callable[[Mapping[str, str]], object], message: Message) -> None:
        """As SQS does it: what is raised brings the message back, and after so many times it is a dead letter."""
        # With the message itself: what is gone leaves its number to another.
        _, before = self.attempts.get(id(message), (message, 0))
        tries = before + 1
        self.attempts[id(message)] = (message, tries)
        try:
            work(message.body)
        except DiedError:
            self.hidden.append(message)
        except DomainError as error:
            if tries < TRIES:
                self.hidden.append(message)
            else:
                self.dead.append((message, error.code))

    def guarded(self, act: Callable[[], object]) -> None:
        """What may be cut short by the death of its process."""
        with suppress(DiedError):
            act()

    def _hear(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        try:
            return super()._hear(url, headers, body)
        except DiedError as died:
            raise OSError("The connection was closed.") from died

    def _run_schedules(self) -> None:
        self.show()
        self.guarded(lambda: self._tolerant(super(FailingLife, self)._run_schedules))

    def _tolerant(self, run: Callable[[], None]) -> None:
        with suppress(DomainError):  # the schedule's next run does it
            run()

    def sweep_now(self) -> None:
        """As every minute, and not only at midnight."""
        self._run_schedules()

    def sleep_a_while(self) -> None:
        """Long enough for every visibility time-out, claim and lease."""
        self.show()
        self.until(self._now + timedelta(hours=1))
