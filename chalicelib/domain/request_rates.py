"""How often one caller may ask: a bucket of tokens, kept as the one instant at which it will be full again.

Whole nanoseconds, so that nothing is lost in rounding: in any span of time a caller is admitted at most `burst` times
and `per_second` times for each second of it.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRate:
    """So many requests a second, and so many at once by whoever was silent before."""

    per_second: int
    burst: int

    def after_one(self, full_at_ns: int, now_ns: int) -> int:
        """When the bucket is full again if one request is taken from it now."""
        # Rounded up: a token never comes back too early.
        return max(full_at_ns, now_ns) + -(-SECOND_NS // self.per_second)

    def wait_ns(self, full_at_ns: int, now_ns: int) -> int:
        """How much too early the request is after which the bucket is full at `full_at_ns`; up to 0: it is admitted."""
        return full_at_ns - now_ns - self.burst * -(-SECOND_NS // self.per_second)


# More than a container serves of anything but checks, and twice as much at once.
USUAL_RATE: Final = RequestRate(per_second=500, burst=1000)


def whole_seconds(wait_ns: int) -> int:
    """The seconds that a client is told to wait."""
    return max(1, ceil(wait_ns / SECOND_NS))
