"""The machine's clock and randomness: the only place, beside the settings, that looks at either."""

import secrets
import time
from datetime import UTC, datetime
from typing import Final

from chalicelib.ports import Clock

_ALPHABET: Final = (
    "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u to misread
)
_TIME_CHARS: Final = 9  # 45 bits of milliseconds: enough for a thousand years
_RANDOM_CHARS: Final = 16  # 80 bits


class SystemClock:
    """The time of day of this machine, in UTC."""

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """That much later."""
        time.sleep(seconds)


class TimeSortedIds:
    """Ids that sort by the millisecond they were made in and can't be guessed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def new(self, prefix: str) -> str:
        """A fresh id."""
        milliseconds = int(self._clock.now().timestamp() * 1000)
        return (
            prefix
            + _spelled(milliseconds, _TIME_CHARS)
            + _spelled(secrets.randbits(5 * _RANDOM_CHARS), _RANDOM_CHARS)
        )


def _spelled(number: int, length: int) -> str:
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (length - 1), -1, -5))
