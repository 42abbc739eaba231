"""How a command speaks: results on stdout, everything else on stderr; with `--json`, JSON alone on stdout."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from infra.cli.errors import CliError

if TYPE_CHECKING:
    from rich.console import Console

# Of a pipe or a file: wide enough that no id is broken in two.
UNBOUND_WIDTH: Final = 250


class Output:
    """Where a command's words go. rich is imported only when something is drawn."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def data(self, content: Any) -> None:
        """The content is on stdout as JSON, if that was asked for."""
        if self.as_json:
            print(json.dumps(content, indent=2, ensure_ascii=False))

    def line(self, text: str = "", style: str | None = None) -> None:
        """The text is on stdout as it is, unless JSON was asked for; a person at a terminal sees the style."""
        if self.as_json:
            return
        if style is None or not sys.stdout.isatty():
            print(text)
            return
        from rich.text import Text  # noqa: PLC0415

        _console(sys.stdout).print(Text(text, style=style), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
        """The rows are on stdout as a table, unless JSON was asked for; without rows, `empty` is."""
        if self.as_json:
            return
        if not rows:
            print(empty)
            return
        from rich import box  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(_cell(value)) for value in row))
        _console(sys.stdout).print(table)

    def note(self, text: str) -> None:
        """The text is on stderr: for people, whatever was asked for."""
        print(text, file=sys.stderr)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """A person at a terminal sees that something goes on."""
        with _console(sys.stderr).status(text):
            yield

    def failure(self, error: CliError) -> None:
        """The error is told, on stdout as problem JSON if that was asked for."""
        if self.as_json:
            self.data(error.problem())
            return
        first, *more = error.lines()
        self.note(f"Error: {first}")
        for line in more:
            self.note(line)


def listed(items: Sequence[Any]) -> dict[str, Any]:
    """The items as the API shows a list."""
    return {"object": "list", "data": items}


def _console(stream: Any) -> "Console":
    from rich.console import Console  # noqa: PLC0415

    width = None if stream.isatty() else UNBOUND_WIDTH
    return Console(file=stream, highlight=False, width=width)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{key}={_cell(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_cell(one) for one in value)
    return str(value)
