"""What a person sees on stderr while the local stack starts."""

import sys
import time
from typing import Any

from rich.console import Console


class Progress:
    """A line for each part that is ready, and a spinner while the next one is not."""

    def __init__(self, stream: Any = None) -> None:
        self._console = Console(file=stream or sys.stderr, highlight=False)
        self._status = self._console.status("Starting ...")
        self._since = time.monotonic()

    def start(self) -> None:
        """The spinner turns, if somebody can see it."""
        self._since = time.monotonic()
        self._status.start()

    def part(self, name: str) -> None:
        """The part is ready."""
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        self._console.print(f"[green]✓[/green] {name} [dim]{seconds:.1f} s[/dim]")
        self._status.update("Starting ...")

    def doing(self, text: str) -> None:
        """The spinner says what goes on."""
        self._status.update(text)

    def warn(self, text: str) -> None:
        """The text stands out; nothing ends because of it."""
        self._console.print(f"Warning: {text}", style="yellow", markup=False, soft_wrap=True)

    def stop(self) -> None:
        """Nothing turns any more."""
        self._status.stop()
