"""A bucket for each caller in this process, so that no check pays for its limit with a second database request.

The price: N warm containers admit N times the rate. The gateway's throttle (infra/docs/limits.md) is what holds for all
of them together; this keeps one caller from using up a container. Imports no model, because every check passes here.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Final

from chalicelib.domain.errors import TooManyRequestsError
from chalicelib.domain.request_rates import RequestRate, whole_seconds
from chalicelib.ports import Ports

MAX_CALLERS: Final = 4096
Nanoseconds = Callable[[], int]


class Buckets:
    """When each caller's bucket is full again; whoever was silent longest is forgotten first."""

    def __init__(self, now: Nanoseconds = time.monotonic_ns) -> None:
        self._now = now
        self._full_at: OrderedDict[str, int] = OrderedDict()
        self._lock = Lock()

    def take(self, caller: str, rate: RequestRate) -> int:
        """One request of the caller is counted; or, if the result is above 0, none is and so long is to be waited."""
        now = self._now()
        with self._lock:
            after = rate.after_one(self._full_at.get(caller, now), now)
            wait = rate.wait_ns(after, now)
            if wait <= 0:
                self._full_at[caller] = after
                self._full_at.move_to_end(caller)
                if len(self._full_at) > MAX_CALLERS:
                    self._full_at.popitem(last=False)
        return wait


def count_request(ports: Ports, buckets: Buckets, caller: str) -> None:
    """The request is one of those that the caller may make.

    Raises:
        TooManyRequestsError: This process has admitted the caller too often of late.
    """
    wait = buckets.take(caller, ports.environment.request_rate)
    if wait > 0:
        ports.monitor.event("request_limit_reached", entity=caller)
        raise TooManyRequestsError(
            "Too many requests at once; slow down.", retry_after_seconds=whole_seconds(wait)
        )
