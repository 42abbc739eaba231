"""Runs the local stack until its user has had enough."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from infra.local.stack import LocalStack

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_SECONDS: Final = 0.2


def run_in_foreground(stack: LocalStack, on_ready: Callable[[LocalStack], None]) -> None:
    """The stack ran until a signal came and has stopped cleanly; `on_ready` was called in between.

    Call it from the main thread.

    Raises:
        LocalStackError: It could not start.
    """
    with _signals_as_interrupts():
        try:
            stack.start()
            on_ready(stack)
            # The system may hand the signal to any thread, while Python runs the handler in this one: it has
            # to wake up by itself now and then to notice.
            never = threading.Event()
            while not never.wait(_LOOK_SECONDS):
                pass
        except KeyboardInterrupt:
            pass
        finally:
            stack.stop()


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        # A second one ends the process at once; the emulator notices by its leash.
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    for number in SIGNALS:
        # Started by nohup, it outlives its terminal.
        if number != signal.SIGHUP or before[number] != signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
