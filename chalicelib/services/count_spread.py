"""Counting in shards: what one count of a spread counter writes, or what has to be laid out before."""

from dataclasses import dataclass

from chalicelib.domain.decisions import Decision
from chalicelib.domain.errors import WrongStateError
from chalicelib.domain.spreading import Spread, spread_over
from chalicelib.domain.usage import Count, CountHour
from chalicelib.services.count_once import Counting, Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """The counts of one call; or, with `instead`, that they can't be told yet."""

    counts: tuple[Count, ...] = ()
    instead: Counting | None = None


def is_spread(seen: Seen, counter: str) -> bool:
    """Whether the counter is spread over shards."""
    return spread_over(seen.document, counter) is not None


def refuse_spread(seen: Seen, counter: str, what: str) -> None:
    """Raises `WrongStateError` if the counter is spread: no one of its shards can say what all of them come to."""
    if is_spread(seen, counter):
        raise WrongStateError(f"The usage of {counter!r} is spread over shards: {what}.")


def counted_in_shards(
    seen: Seen, state: Decision, counter: str, delta: int, hour_ms: int, key: str, *, is_gated: bool
) -> Shared | None:
    """What counts so much more, or None if the counter is not spread. A denial counts 0, to be sure of its grounds."""
    over = spread_over(seen.document, counter)
    if over is None:
        return None
    spread = Spread(
        customer_id=seen.customer_id,
        counter=counter,
        version=seen.document["version"],
        over=over,
        shards=seen.shards,
        period_start_ms=state.period_start_ms or 0,
        limit=None if state.has_soft_limit else state.usage_limit,
    )
    if spread.is_torn:
        return Shared(instead=Counting(answer="", before=()))
    before = spread.laying_out()
    if before:
        return Shared(instead=Counting(answer="", before=before))
    adding = spread.adding(delta, key, is_gated=is_gated)
    if adding is None:
        return Shared(instead=Counting(answer="", before=()))
    hour = CountHour(
        customer_id=seen.customer_id,
        counter=counter,
        hour_ms=hour_ms,
        delta=delta,
        shard=spread.preferred(key),
    )
    return Shared(counts=(*adding, hour))
