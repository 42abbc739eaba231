"""The pages of a reconciliation: what each of its phases compares, and names as drift where it differs.

One object that can't be compared keeps no other from it, nor does a provider that does not answer keep the others:
the rest of the page goes without it, and says so. Only when none answers, or the store does not, is the page broken
off, to be repeated as a whole.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import (
    ArchivePrice,
    CatalogStep,
    CreatePrice,
    CreateProduct,
    SetDefaultPrice,
    UpdatePrice,
    UpdateProduct,
)
from chalicelib.domain.billing_events import BillingEvent, BillingEventStatus
from chalicelib.domain.catalog_mirror import is_sold
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import (
    BusyError,
    DomainError,
    ProviderUnavailableError,
    StoreUnavailableError,
)
from chalicelib.domain.meters import CreateMeter, MeterStep, UpdateMeter
from chalicelib.domain.package_mirror import package_steps
from chalicelib.domain.plans import Package, PackageKind, PackageVersion
from chalicelib.domain.reconciliations import Drift, DriftAction, DriftKind, Phase
from chalicelib.domain.sync import CatalogLink, SyncTask, SyncTaskStatus
from chalicelib.ports import BillingProvider, Ports
from chalicelib.services.apply_billing_event import apply_billing_event
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.link_customer import forget_deleted, push_details
from chalicelib.services.mirror_catalog import held_at, wanted_at
from chalicelib.services.snapshots import published_version
from chalicelib.services.sweep import sweep
from chalicelib.services.sync_catalog import sync_package

_PAGE: Final = 10
_STUCK: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one page found. `cursor` None: the phase is done. `away`: the providers that it was not compared with."""

    drifts: tuple[Drift, ...] = ()
    counts: Mapping[str, int]
    cursor: str | None = None
    away: tuple[str, ...] = ()


class _Answering:
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
        # A definite server error is the provider's word on this object; anything else it may say of all of them.
        if isinstance(error, ProviderUnavailableError) and not error.definite:
            self.away = (*self.away, name)
            if set(self._names) <= set(self.away):
                raise error
            self._ports.monitor.event("reconcile_provider_away", provider=name, code=error.code)
            return
        self._ports.monitor.event("reconcile_object_failed", entity=entity, code=error.code)


def _outbox(ports: Ports, cause: Cause, cursor: str | None) -> Page:
    del cause, cursor
    swept = sweep(ports)
    now = ports.clock.now()
    pending = ports.store.find_by(SyncTask, "status", SyncTaskStatus.PENDING).items
    failed = ports.store.find_by(SyncTask, "status", SyncTaskStatus.FAILED).items
    stuck = [task for task in (*pending, *failed) if now - task.created_at > _STUCK]
    drifts = tuple(
        Drift(
            kind=DriftKind.SYNC_STUCK,
            entity=f"{task.kind}:{task.package_id}",
            ours={"sync_task": task.id, "status": task.status, "error": task.error},
            theirs=None,
            action=DriftAction.REPORTED,
        )
        for task in stuck
    )
    return Page(drifts=drifts, counts={"resent": swept.sync_tasks + swept.billing_events})


def _catalog(ports: Ports, cause: Cause, cursor: str | None) -> Page:
    del cause
    kind, _, inner = (cursor or PackageKind.PLAN).partition("|")
    page = ports.store.list_within(Package, kind, limit=_PAGE, cursor=inner or None)
    drifts: list[Drift] = []
    skipped = 0
    failed = 0
    answering = _Answering(ports)
    for package in page.items:
        for name in answering.names():
            try:
                drifts += _package_drifts(ports, ports.providers.get(name), package)
            except BusyError:
                skipped += 1
            except DomainError as error:
                answering.pass_over(f"{package.kind}:{package.id}", name, error)
                failed += 1
    following: str | None = None
    if page.next_cursor is not None:
        following = f"{kind}|{page.next_cursor}"
    elif kind == PackageKind.PLAN:
        following = PackageKind.ADDON
    return Page(
        drifts=tuple(drifts),
        counts={"packages": len(page.items), "skipped": skipped, "failed": failed},
        cursor=following,
        away=answering.away,
    )


def _package_drifts(ports: Ports, provider: BillingProvider, package: Package) -> Iterable[Drift]:
    link = ports.store.get(CatalogLink, package.kind, package.id, provider.name)
    if package.published_version is None:
        return
    version = published_version(ports, package.kind, package.id, package.published_version)
    if link is None:
        yield from _first_sight(ports, provider, package, version)
        return
    if link.synced_version != package.published_version:
        # Not carried over yet: that is the outbox's work, not drift.
        return
    desired = wanted_at(ports, provider, package, version)
    steps = package_steps(desired, held_at(provider, desired, link))
    if steps:
        sync_package(ports, provider, package.kind, package.id)
    for step in steps:
        yield Drift(
            kind=_DRIFT_OF[type(step)],
            entity=f"{package.kind}:{package.id}",
            ours=_named(step),
            theirs=None,
            action=DriftAction.REPAIRED,
        )


def _first_sight(
    ports: Ports, provider: BillingProvider, package: Package, version: PackageVersion
) -> Iterable[Drift]:
    """What was published before the provider was configured is carried there; the outbox knows nothing of it."""
    is_fresh = ports.clock.now() - version.published_at <= _STUCK
    if is_fresh or not is_sold(package, version) or _is_in_outbox(ports, package):
        return
    sync_package(ports, provider, package.kind, package.id)
    yield Drift(
        kind=DriftKind.PRODUCT_MISSING,
        entity=f"{package.kind}:{package.id}",
        ours={"provider": provider.name, "version": version.number},
        theirs=None,
        action=DriftAction.REPAIRED,
    )


def _is_in_outbox(ports: Ports, package: Package) -> bool:
    for status in (SyncTaskStatus.PENDING, SyncTaskStatus.FAILED):
        cursor: str | None = None
        while True:
            page = ports.store.find_by(SyncTask, "status", status, cursor=cursor)
            if any((one.kind, one.package_id) == package.identity for one in page.items):
                return True
            if page.next_cursor is None:
                break
            cursor = page.next_cursor
    return False


_DRIFT_OF: Final[Mapping[type[CatalogStep | MeterStep], DriftKind]] = {
    CreateProduct: DriftKind.PRODUCT_MISSING,
    UpdateProduct: DriftKind.PRODUCT_CHANGED,
    CreatePrice: DriftKind.PRICE_MISSING,
    UpdatePrice: DriftKind.PRICE_CHANGED,
    ArchivePrice: DriftKind.PRICE_EXTRA,
    SetDefaultPrice: DriftKind.DEFAULT_PRICE_CHANGED,
    CreateMeter: DriftKind.METER_MISSING,
    UpdateMeter: DriftKind.METER_CHANGED,
}


def _named(step: CatalogStep | MeterStep) -> dict[str, object]:
    if isinstance(step, CreateMeter | UpdateMeter):
        return {"meter": step.meter.event_name}
    if isinstance(step, CreateProduct | UpdateProduct):
        return {"product": step.product.product_key, "active": step.product.active}
    if isinstance(step, CreatePrice | UpdatePrice):
        return {"price": step.price.price.id, "lookup_key": step.price.lookup_key}
    if isinstance(step, SetDefaultPrice):
        return {"lookup_key": step.lookup_key}
    return {"billing_id": step.billing_id}


def _customers(ports: Ports, cause: Cause, cursor: str | None) -> Page:
    page = ports.store.list_within(Customer, limit=_PAGE, cursor=cursor)
    drifts: list[Drift] = []
    failed = 0
    compared = 0
    answering = _Answering(ports)
    for customer in page.items:
        for name in answering.names():
            if customer.billing_id(name) is None:
                continue
            compared += 1
            try:
                drifts += _customer_drifts(ports, cause, ports.providers.get(name), customer)
            except DomainError as error:
                answering.pass_over(f"customer:{customer.id}", name, error)
                failed += 1
    return Page(
        drifts=tuple(drifts),
        counts={"customers": compared, "failed": failed},
        cursor=page.next_cursor,
        away=answering.away,
    )


def _customer_drifts(
    ports: Ports, cause: Cause, provider: BillingProvider, customer: Customer
) -> Iterable[Drift]:
    yield from converge_customer(ports, cause, customer.id, provider.name).drifts
    billing_id = customer.billing_id(provider.name)
    if forget_deleted(ports, cause, customer.id, provider):
        yield Drift(
            kind=DriftKind.CUSTOMER_DELETED,
            entity=f"customer:{customer.id}",
            ours={"provider": provider.name, "billing_id": billing_id},
            theirs=None,
            action=DriftAction.REPAIRED,
        )
    else:
        push_details(ports, customer.id, provider)


def _events(ports: Ports, cause: Cause, cursor: str | None) -> Page:
    page = ports.store.find_by(
        BillingEvent, "status", BillingEventStatus.PENDING, limit=_PAGE, cursor=cursor
    )
    now = ports.clock.now()
    drifts: list[Drift] = []
    failed = 0
    answering = _Answering(ports)
    for event in page.items:
        if event.provider in answering.away:
            continue
        try:
            applied = apply_billing_event(ports, cause, event.id)
        except DomainError as error:
            answering.pass_over(f"billing_event:{event.id}", event.provider, error)
            failed += 1
            continue
        if now - event.received_at > _STUCK:
            done = applied.status is BillingEventStatus.PROCESSED
            drifts.append(
                Drift(
                    kind=DriftKind.EVENT_STUCK,
                    entity=f"billing_event:{event.id}",
                    ours={"type": event.type, "reason": applied.reason},
                    theirs=None,
                    action=DriftAction.REPAIRED if done else DriftAction.REPORTED,
                )
            )
    counts = {"events": len(page.items), "failed": failed}
    return Page(drifts=tuple(drifts), counts=counts, cursor=page.next_cursor, away=answering.away)


PAGES: Final[Mapping[Phase, Callable[[Ports, Cause, str | None], Page]]] = {
    Phase.OUTBOX: _outbox,
    Phase.CATALOG: _catalog,
    Phase.CUSTOMERS: _customers,
    Phase.EVENTS: _events,
}
