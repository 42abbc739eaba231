"""Read, decide, write on condition; when somebody else was first, start again from the read."""

from collections.abc import Callable
from typing import Final, TypeVar

from chalicelib.domain.errors import StoreConflictError, VersionConflictError

T = TypeVar("T")

ATTEMPTS: Final = 4


def retried(attempt: Callable[[], T]) -> T:
    """What the first undisturbed attempt returns; each attempt reads anew, so nothing is overwritten.

    Raises:
        VersionConflictError: Others were first every time.
    """
    for _ in range(ATTEMPTS):
        try:
            return attempt()
        except StoreConflictError:
            continue
    raise VersionConflictError("The object is being changed by others right now.")


def require_version(expected: int | None, actual: int, *, param: str = "version") -> None:
    """The caller saw the object as it is now, or did not say what it saw."""
    if expected is not None and expected != actual:
        raise VersionConflictError(
            f"The object changed: it is at {param} {actual}, not {expected}.", param=param
        )
