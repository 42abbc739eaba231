"""What a person sees on stderr while the local stack starts."""

import sys
import time
from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner

STARTING: Final = "Starting ..."


class Progress:
    """A line for each part that is ready, and a spinner while the next one is not."""

    def __init__(self, stream: Any = None) -> None:
        self._console = Console(file=stream or sys.stderr, highlight=False)
        self._spinner = Spinner("dots", STARTING)
        # Without the redirections: what the app prints meanwhile belongs into its log.
        self._live = Live(
            self._spinner,
            console=self._console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._since = time.monotonic()

    def start(self) -> None:
        """The spinner turns, if somebody can see it."""
        self._since = time.monotonic()
        if self._console.is_terminal:
            self._live.start()

    def part(self, name: str) -> None:
        """The part is ready."""
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        self._console.print(f"[green]✓[/green] {name} [dim]{seconds:.1f} s[/dim]")
        self.doing(STARTING)

    def doing(self, text: str) -> None:
        """The spinner says what goes on."""
        self._spinner.update(text=text)

    def warn(self, text: str) -> None:
        """The text stands out; nothing ends because of it."""
        self._console.print(f"Warning: {text}", style="yellow", markup=False, soft_wrap=True)

    def stop(self) -> None:
        """Nothing turns any more."""
        self._live.stop()
