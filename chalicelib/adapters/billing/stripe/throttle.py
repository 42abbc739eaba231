"""How fast this process calls Stripe: a token bucket for each endpoint, and one for all of them.

Stripe allows 25 requests a second to an endpoint and 100 in all, 25 in a sandbox
(https://docs.stripe.com/rate-limits). Other processes share them, so this only spares the common
case the round trip of a refusal. Reconciliation, which asks for everything and is in no hurry,
takes a share that leaves the rest to those somebody waits for.
"""

import threading
from datetime import datetime
from typing import Final

from chalicelib.ports import Clock

LIVE_PER_SECOND: Final = 100.0
SANDBOX_PER_SECOND: Final = 25.0
ENDPOINT_PER_SECOND: Final = 25.0
# Of Stripe's limits. At two calls a customer 100,000 are through in three hours, seven in a sandbox.
_BACKGROUND_SHARE: Final = 0.4

_ALL: Final = ""


class Throttle:
    """Spreads the calls of one process, across its threads."""

    def __init__(
        self,
        clock: Clock,
        *,
        per_second: float = 20.0,
        burst: int = 20,
        total_per_second: float | None = None,
    ) -> None:
        """Each endpoint takes `burst` calls at once and `per_second` from then on.

        All endpoints together take no more than `total_per_second`, after as many at once.
        """
        self._clock = clock
        self._rates = (per_second, float(burst))
        self._total = total_per_second
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, datetime]] = {}

    def wait_for(self, endpoint: str) -> None:
        """A call to the endpoint is due now; slept if it was not."""
        per_second, burst = self._rates
        with self._lock:
            delay_seconds = self._take(endpoint, per_second, burst)
            if self._total is not None:
                whole = self._take(_ALL, self._total, max(1.0, self._total))
                delay_seconds = max(delay_seconds, whole)
        if delay_seconds > 0:
            self._clock.sleep(delay_seconds)

    def _take(self, bucket: str, per_second: float, burst: float) -> float:
        """How long the call has to wait for its token."""
        now = self._clock.now()
        tokens, filled_at = self._buckets.get(bucket, (burst, now))
        # A clock that was set back gives nothing, and takes nothing away.
        elapsed_seconds = max(0.0, (now - filled_at).total_seconds())
        tokens = min(burst, tokens + elapsed_seconds * per_second) - 1
        # Below zero are the calls that wait: each reserves its place, so they leave one after
        # the other.
        self._buckets[bucket] = (tokens, now)
        return max(0.0, -tokens / per_second)


def background_throttle(clock: Clock, *, live: bool) -> Throttle:
    """The share of what is in no hurry; there is one such process at a time."""
    total = (LIVE_PER_SECOND if live else SANDBOX_PER_SECOND) * _BACKGROUND_SHARE
    per_second = min(total, ENDPOINT_PER_SECOND * _BACKGROUND_SHARE)
    return Throttle(clock, per_second=per_second, burst=int(per_second), total_per_second=total)
