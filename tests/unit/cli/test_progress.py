import io
import re
import sys

from infra.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_shows_the_parts_and_takes_nothing_that_others_print() -> None:
    terminal, before = Terminal(), (sys.stdout, sys.stderr)
    progress = Progress(terminal)
    progress.start()
    assert (sys.stdout, sys.stderr) == before
    progress.doing("Example [catalog] ...")
    progress.part("AWS emulator")
    progress.warn("[sync] failed")
    progress.stop()
    progress.stop()
    assert "AWS emulator" in terminal.getvalue()
    assert "Warning: [sync] failed" in terminal.getvalue()


def test_file_gets_the_parts_alone() -> None:
    file = io.StringIO()
    progress = Progress(file)
    progress.start()
    progress.part("AWS emulator")
    progress.stop()
    assert re.fullmatch(r"✓ AWS emulator \d+\.\d s\n", file.getvalue())
