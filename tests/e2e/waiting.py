"""Waiting for what happens by itself."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T | None], seconds: float = 20) -> T:
    """The first truthy thing that `look` sees."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)
