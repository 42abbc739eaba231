"""Waiting for what happens by itself."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

# Far more than anything takes: a busy machine is no failure, and who passes does not wait.
_PATIENCE_SECONDS: Final = 90


def eventually(look: Callable[[], T | None]) -> T:
    """The first truthy thing that `look` sees."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)
