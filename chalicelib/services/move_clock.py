"""Moving the environment's test clock, and with it those of the providers that have one."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.clock_shift import ClockShift
from chalicelib.domain.errors import NotFoundError, invalid
from chalicelib.ports import Absent, AdjustableClock, AtRevision, Ports, ProviderClock, Put
from chalicelib.services.audit import entry, was_done
from chalicelib.services.choose_provider import within_reach

_LONGEST: Final = timedelta(days=3660)
_ENTITY: Final = "test_clock:clock"
_MOVED: Final = "test_clock.moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedClock:
    """What time it is now, how far that is ahead of the world's, and which providers follow."""

    now: datetime
    shift_seconds: int
    providers: tuple[str, ...]


def view_clock(ports: Ports) -> MovedClock:
    """The environment's time; raises `NotFoundError` where it has no test clock."""
    shift = _shift(ports) or ClockShift()
    following = tuple(one.name for one in within_reach(ports) if isinstance(one, ProviderClock))
    return MovedClock(now=ports.clock.now(), shift_seconds=shift.seconds, providers=following)


def move_clock(
    ports: Ports, cause: Cause, *, by_seconds: int | None = None, to: datetime | None = None
) -> MovedClock:
    """The environment's time is later by so much, or is that instant; so is its providers'.

    A repetition after a crash in between moves the providers to where we are, and nothing twice.
    """
    shift = _shift(ports)
    if not was_done(ports, cause, _ENTITY, _MOVED):
        _store(ports, cause, shift, _forward(ports, by_seconds, to))
    now = ports.clock.now()
    for provider in within_reach(ports):
        if isinstance(provider, ProviderClock):
            provider.advance_clock(now)
    return view_clock(ports)


def _shift(ports: Ports) -> ClockShift | None:
    if not ports.environment.has_test_clock:
        raise NotFoundError("test_clock", ports.environment.name)
    return ports.store.get(ClockShift, "clock")


def _forward(ports: Ports, by_seconds: int | None, to: datetime | None) -> int:
    if (by_seconds is None) == (to is None):
        raise invalid("advance_seconds", "required", "Give either advance_seconds or now.")
    param = "now" if by_seconds is None else "advance_seconds"
    # Whole seconds: providers count in them.
    ahead = by_seconds
    if ahead is None and to is not None:
        ahead = round((to - ports.clock.now()).total_seconds())
    if ahead is None or ahead < 0:
        raise invalid(param, "out_of_range", "The clock only moves forward.")
    if ahead > _LONGEST.total_seconds():
        raise invalid(param, "out_of_range", "The clock moves ten years at most.")
    return ahead


def _store(ports: Ports, cause: Cause, before: ClockShift | None, ahead: int) -> None:
    held = before or ClockShift(revision=0)
    after = replace(held, seconds=held.seconds + ahead, revision=held.revision + 1)
    audited = entry(
        ports, cause, _ENTITY, _MOVED, {"seconds": held.seconds}, {"seconds": after.seconds}
    )
    condition = Absent() if before is None else AtRevision(number=before.revision)
    ports.store.commit(Put(after, condition), Put(audited, Absent()))
    if isinstance(ports.clock, AdjustableClock):
        ports.clock.refresh()
