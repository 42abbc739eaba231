"""Usage counters: what a customer used of each feature, and the changes that can be made to it in one step.

A counter is changed blindly (`Add`, with the limit as a condition) or from a value that was seen (`Replace`). What is
held by a reservation is part of the counter from the beginning, so a condition on one number keeps the limit; whoever
reads takes away what has expired since.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from chalicelib.domain.ids import CustomerId

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Counter:
    """Usage since `period_start_ms` (0 where usage never resets).

    `held` of `used` is reserved and not yet used. `at_ms` is the time of the value, where the latest one counts.
    """

    used: int
    period_start_ms: int
    held: int = 0
    at_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Units of a counter's period that are reserved until a time."""

    counter: str
    amount: int
    period_start_ms: int
    expires_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    """Count `delta` more, `held` of it reserved, if the period is still this one and the sum is at most `at_most`."""

    counter: str
    period_start_ms: int
    delta: int
    held: int = 0
    at_most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replace:
    """Let the counter be `becomes`, if it still is what was seen (None: there was none)."""

    counter: str
    seen: Counter | None
    becomes: Counter


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Write the hold down, if its reservation has none."""

    reservation_id: str
    hold: Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Strike the hold out, if it is still there."""

    reservation_id: str
    hold: Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """Let the counter of this period, nothing of it reserved, stay as it is for good: its count goes on elsewhere."""

    counter: str
    period_start_ms: int


UsageChange = Add | Replace | Keep | Drop | Rest


@dataclass(frozen=True, slots=True, kw_only=True)
class CountUsage:
    """All of these changes of the customer's counters, or none; each counter and each reservation at most once."""

    customer_id: CustomerId
    changes: tuple[UsageChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CountHour:
    """What is remembered of the hour that begins at `hour_ms`: `delta` more, or `value` from now on.

    With `is_exact` only if it was `seen` before (None: nothing).
    """

    customer_id: CustomerId
    counter: str
    hour_ms: int
    delta: int = 0
    value: int | None = None
    is_exact: bool = False
    seen: int | None = None
    shard: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one shard holds of a counter: `base` of it since before the shards were laid out as they are.

    `layout` says what for (period, limit, number of shards), `number` how often that was done.
    """

    used: int
    period_start_ms: int
    base: int
    number: int
    layout: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Parts of the customer's counters by name. Every change of the snapshot writes its version here."""

    version: int
    parts: Mapping[str, Part]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddPart:
    """Count `delta` in a shard, if snapshot and layout are those that were read.

    With `at_most` only up to that; with `seen` only if the part is still that.
    """

    customer_id: CustomerId
    counter: str
    shard: int
    version: int
    number: int
    delta: int
    at_most: int | None = None
    seen: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayPart:
    """Lay the part out, if snapshot and layout are those that were read: its usage becomes its base.

    What is of another period (`begins`) becomes none.
    """

    customer_id: CustomerId
    counter: str
    shard: int
    version: int
    seen: int
    number: int
    layout: str
    period_start_ms: int
    begins: bool


Count = CountUsage | CountHour | AddPart | LayPart


def usage_at(
    counters: Mapping[str, Counter], holds: Mapping[str, Hold], now_ms: int
) -> Mapping[str, Counter]:
    """The counters without what was reserved until `now_ms` or earlier: such a reservation binds nobody any more."""
    expired = [hold for hold in holds.values() if hold.expires_ms <= now_ms]
    if not expired:
        return counters
    return {name: without(counter, name, expired) for name, counter in counters.items()}


def without(counter: Counter, name: str, holds: Iterable[Hold]) -> Counter:
    """The counter without those of the holds that are part of it."""
    gone = sum(
        hold.amount
        for hold in holds
        if hold.counter == name and hold.period_start_ms == counter.period_start_ms
    )
    return replace(counter, used=counter.used - gone, held=counter.held - gone) if gone else counter


def next_expiry(holds: Iterable[Hold], counter: str, now_ms: int) -> int | None:
    """When next a reservation of this counter stops binding; None if none does."""
    later = (
        hold.expires_ms for hold in holds if hold.counter == counter and hold.expires_ms > now_ms
    )
    return min(later, default=None)
