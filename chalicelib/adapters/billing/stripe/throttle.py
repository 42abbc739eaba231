"""How fast this process calls Stripe: a token bucket for each endpoint.

Stripe allows 25 requests a second to an endpoint and 100 in all, 25 in a sandbox
(https://docs.stripe.com/rate-limits); other processes share them, so this only spares the common
case the round trip of a refusal.
"""

import threading
from datetime import datetime

from chalicelib.ports import Clock


class Throttle:
    """Spreads the calls of one process, across its threads."""

    def __init__(self, clock: Clock, *, per_second: float = 20.0, burst: int = 20) -> None:
        """Each endpoint takes `burst` calls at once and `per_second` from then on."""
        self._clock = clock
        self._per_second = per_second
        self._burst = float(burst)
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, datetime]] = {}

    def wait_for(self, endpoint: str) -> None:
        """A call to the endpoint is due now; slept if it was not."""
        with self._lock:
            now = self._clock.now()
            tokens, filled_at = self._buckets.get(endpoint, (self._burst, now))
            # A clock that was set back gives nothing, and takes nothing away.
            elapsed_seconds = max(0.0, (now - filled_at).total_seconds())
            tokens = min(self._burst, tokens + elapsed_seconds * self._per_second) - 1
            # Below zero are the calls that wait: each reserves its place, so they leave one after
            # the other.
            self._buckets[endpoint] = (tokens, now)
        if tokens < 0:
            self._clock.sleep(-tokens / self._per_second)
