"""How a schedule's tick becomes calls: the shell under every scheduled handler.

An invocation that fails is what Lambda counts, what an alarm looks at, and what Lambda repeats twice within minutes.
"""

from collections.abc import Callable, Iterable

from chalicelib.domain.errors import DomainError
from chalicelib.events.worker import tell_crash
from chalicelib.ports import Ports

Chore = Callable[[Ports], object]


class ChoresFailedError(Exception):
    """Not everything was done. Lambda prints it, so it says codes and kinds, and nothing of what was worked on."""


def do_chores(ports: Ports, chores: Iterable[Chore], *, comes_again: bool) -> None:
    """Each chore was tried, whatever became of the others. Raises at the end if one crashed.

    `comes_again`: the next tick is soon enough for a chore that can't be done now (a `DomainError`). Without it that,
    too, fails the invocation, so that Lambda repeats it.

    Raises:
        ChoresFailedError: Which ones, by their names.
    """
    failed: list[str] = []
    for chore in chores:
        name = chore.__name__
        try:
            chore(ports)
        except DomainError as error:
            ports.monitor.event("chore_failed", chore=name, code=error.code)
            if not comes_again:
                failed.append(f"{name}: {error.code}")
        except Exception as error:  # noqa: BLE001 -- whatever it is, the others have their turn
            failed.append(f"{name}: {tell_crash(ports, 'chore_crashed', error, chore=name)}")
    if failed:
        raise ChoresFailedError(", ".join(failed))
