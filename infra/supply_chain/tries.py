"""Asking again, later and later, whoever may answer the next time."""

from collections.abc import Callable, Iterable, Iterator

Sleep = Callable[[float], None]


def tries(pauses: Iterable[float], sleep: Sleep) -> Iterator[None]:
    """One at once, and one after each pause, as long as they are asked for."""
    yield
    for pause in pauses:
        sleep(pause)
        yield
