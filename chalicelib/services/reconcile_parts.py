"""What the pages of a reconciliation are made with."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from chalicelib.domain.errors import (
    BillingNotConnectedError,
    DomainError,
    ProviderUnavailableError,
    StoreUnavailableError,
)
from chalicelib.domain.reconciliations import Difference, Drift, DriftAction
from chalicelib.domain.sync import SyncTask, SyncTaskStatus
from chalicelib.ports import Ports

PAGE_SIZE: Final = 10
STUCK: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one page found. `cursor` None: the phase is done. `away`: the providers that it was not compared with."""

    drifts: tuple[Drift, ...] = ()
    counts: Mapping[str, int]
    cursor: str | None = None
    away: tuple[str, ...] = ()


class Answering:
    """The providers that answer: one that did not is left out for the rest of the page."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._names = ports.providers.names()
        self.away: tuple[str, ...] = ()

    def names(self) -> Iterator[str]:
        """Those that are still asked."""
        yield from (name for name in self._names if name not in self.away)

    def pass_over(self, entity: str, name: str, error: DomainError) -> None:
        """The page goes on without this object there; if it can't go on at all, the error is raised."""
        if isinstance(error, StoreUnavailableError):
            raise error
        if isinstance(error, BillingNotConnectedError):
            # It won't be back within the run, which goes on with what else there is.
            self.away = (*self.away, name)
            self._ports.monitor.event("reconcile_provider_away", provider=name, code=error.code)
            return
        # A definite server error is the provider's word on this object; anything else it may say of all of them.
        if isinstance(error, ProviderUnavailableError) and not error.definite:
            self.away = (*self.away, name)
            if set(self._names) <= set(self.away):
                raise error
            self._ports.monitor.event("reconcile_provider_away", provider=name, code=error.code)
            return
        self._ports.monitor.event("reconcile_object_failed", entity=entity, code=error.code)


def next_provider(
    names: Sequence[str], cursor: str | None
) -> tuple[str | None, str | None, str | None]:
    """Whose turn it is by the cursor, where in its list, and the cursor with which the one after it begins."""
    name, _, inner = (cursor or "").partition("|")
    name = name or next(iter(names), "")
    if name not in names:
        return None, None, None
    rest = names[names.index(name) + 1 :]
    return name, inner or None, f"{rest[0]}|" if rest else None


def named(differences: Iterable[Difference], entity: str, action: DriftAction) -> tuple[Drift, ...]:
    """The differences as drifts of our object, with what was done about them."""
    return tuple(
        Drift(kind=one.kind, entity=entity, ours=one.ours, theirs=one.theirs, action=action)
        for one in differences
    )


def is_in_outbox(ports: Ports, identity: tuple[str, ...]) -> bool:
    """Whether a change of the object is yet to be carried to the providers."""
    for status in (SyncTaskStatus.PENDING, SyncTaskStatus.FAILED):
        cursor: str | None = None
        while True:
            page = ports.store.find_by(SyncTask, "status", status, cursor=cursor)
            if any((one.kind, one.package_id) == identity for one in page.items):
                return True
            if page.next_cursor is None:
                break
            cursor = page.next_cursor
    return False
