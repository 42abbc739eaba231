"""How a queue's message becomes a call: the shell under every event handler.

Chalice runs a blueprint's event handlers without `app.py` and without any middleware, so what they share is a
plain function. A message that raises goes back to its queue, and after its last receipt to the dead-letter queue.
Until it comes again, nothing else of its group does: nobody who has paid waits for what was a moment's trouble.
"""

import json
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chalice.app import SQSEvent

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.errors import DomainError, NotFoundError
from chalicelib.ports import Ports, QueueName

# How often a message is received, as infra/template.yaml has it; then it is a dead letter.
RECEIPTS: Final = 8
# After how many seconds a message comes again whose first, second, ... receipt failed; half an hour in all. The queue's
# own time is there for those of whose end nobody could tell.
_AGAIN_SECONDS: Final = (5, 20, 90, 360)


def wired_ports(*, background: bool = False) -> Ports:
    """The ports of this process, or those of its work that is in no hurry."""
    # Imported late: the API's function holds these modules, too, and must not pay for them before it needs them.
    from chalicelib import wiring  # noqa: PLC0415

    return wiring.ports(background=True) if background else wiring.ports()


@dataclass(frozen=True, slots=True)
class LambdaDeadline:
    """The end of this invocation, as Lambda tells it."""

    context: object

    def remaining_seconds(self) -> float:
        """Until Lambda stops us."""
        remaining: int = self.context.get_remaining_time_in_millis()  # type: ignore[attr-defined]  # Lambda's context object has no published type
        return remaining / 1000


class MessageFailedError(Exception):
    """The message has to come again. Lambda prints it, so it says a code and nothing of what was worked on."""


Work = Callable[[Ports, Cause, Mapping[str, str], LambdaDeadline], object]


def handle_messages(event: SQSEvent, name: str, work: Work, *, background: bool = False) -> None:
    """Every message of the queue of this name is worked off. Raises for one that has to come again."""
    work_off(wired_ports(background=background), event, name, work)


def work_off(ports: Ports, event: SQSEvent, name: str, work: Work) -> None:
    """Every message is worked off.

    Raises:
        MessageFailedError: One has to come again, and will soon.
    """
    for record in event:
        received = record.to_dict()
        message_id = str(received.get("messageId", ""))
        began = time.perf_counter()
        cause = Cause(actor=f"worker:{name}", request_id=message_id, operation_id=message_id)
        try:
            body = json.loads(record.body)
            work(ports, cause, body, LambdaDeadline(event.context))
        except NotFoundError as error:
            # Not retried: the message names something that is gone (expired, or of another environment).
            ports.monitor.event(
                "message_dropped", worker=name, message_id=message_id, code=error.code
            )
        except DomainError as error:
            ports.monitor.event(
                "message_retried", worker=name, message_id=message_id, code=error.code
            )
            _postpone(ports, name, received)
            raise MessageFailedError(f"{name}: {error.code}") from None
        except Exception as error:  # noqa: BLE001 -- whatever it is, it comes again
            kind = tell_crash(ports, "message_crashed", error, worker=name, message_id=message_id)
            _postpone(ports, name, received)
            raise MessageFailedError(f"{name}: {kind}") from None
        else:
            ports.monitor.event(
                "message_handled",
                worker=name,
                message_id=message_id,
                duration_ms=round((time.perf_counter() - began) * 1000, 1),
                **_named(body),
            )


def _postpone(ports: Ports, name: str, received: Mapping[str, Any]) -> None:
    count = int(received.get("attributes", {}).get("ApproximateReceiveCount", 1))
    later = _AGAIN_SECONDS[min(max(count, 1), len(_AGAIN_SECONDS)) - 1]
    # After the last one it is for the dead letters, and has nothing of its group wait for it.
    seconds = later if count < RECEIPTS else 0
    ports.queue.postpone(QueueName(name), str(received.get("receiptHandle", "")), seconds)


def tell_crash(ports: Ports, event: str, error: Exception, **about: str) -> str:
    """The log says where the error arose and of what kind it is; the kind is returned.

    Not its message: that may quote secrets, or what customers sent. Whoever calls this raises something bare instead
    of the error, because Lambda prints what is raised, past the log's allow-list.
    """
    kind = type(error).__name__
    frames = "".join(traceback.format_tb(error.__traceback__))
    ports.monitor.event(event, error=kind, frames=frames, **about)
    return kind


def _named(body: Mapping[str, str]) -> dict[str, str]:
    """The ids that the message carries."""
    return {name: value for name, value in body.items() if name.endswith("_id")}
