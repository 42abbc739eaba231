"""Reconciliation: everything we hold compared with what the provider holds, whatever notifications were lost.

A run goes through its phases page by page. After each page its record says where to go on, so it may be cut
off anywhere: the next invocation repeats at most one page, and comparing twice changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
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
from chalicelib.domain.catalog_mirror import is_billed
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import (
    BusyError,
    DomainError,
    NotFoundError,
    ProviderUnavailableError,
    StoreConflictError,
    StoreUnavailableError,
)
from chalicelib.domain.meters import CreateMeter, MeterStep, UpdateMeter
from chalicelib.domain.package_mirror import package_steps
from chalicelib.domain.plans import Package, PackageKind
from chalicelib.domain.reconciliations import (
    Drift,
    DriftAction,
    DriftKind,
    Phase,
    Reconciliation,
    ReconciliationStatus,
)
from chalicelib.domain.sync import CatalogLink, SyncTask, SyncTaskStatus
from chalicelib.ports import (
    Absent,
    AtRevision,
    BillingProvider,
    Deadline,
    Message,
    Ports,
    Put,
    QueueName,
)
from chalicelib.services.apply_billing_event import apply_billing_event
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.link_customer import push_details
from chalicelib.services.mirror_catalog import held_at, wanted_at
from chalicelib.services.snapshots import published_version
from chalicelib.services.sweep import sweep
from chalicelib.services.sync_catalog import sync_package

_DRIFTS_KEPT: Final = 300
# What one page may take at worst: with less than this left the next invocation goes on.
_PAGE_SECONDS: Final = 15.0
_PAGE: Final = 20
_ALIVE: Final = timedelta(minutes=10)
_STUCK: Final = timedelta(minutes=10)


def start_reconciliation(ports: Ports, trigger: str) -> Reconciliation:
    """A run is under way: a new one, or the one that still is. A run that went silent is set going again."""
    now = ports.clock.now()
    newest = ports.store.list_within(Reconciliation, limit=1, newest_first=True).items
    if newest and newest[0].status is ReconciliationStatus.RUNNING:
        if now - newest[0].updated_at > _ALIVE:
            _send(ports, newest[0])
        return newest[0]
    run = Reconciliation(
        id=ports.ids.new("rec_"),
        status=ReconciliationStatus.RUNNING,
        trigger=trigger,
        started_at=now,
        updated_at=now,
    )
    ports.store.commit(Put(run, Absent()))
    _send(ports, run)
    return run


def _send(ports: Ports, run: Reconciliation) -> None:
    ports.queue.send(
        Message(queue=QueueName.RECONCILE, group="reconcile", body={"reconciliation_id": run.id})
    )


def continue_reconciliation(
    ports: Ports, cause: Cause, run_id: str, deadline: Deadline
) -> Reconciliation:
    """The run is finished, or has come as far as the time allowed and is queued to go on."""
    run = ports.store.get(Reconciliation, run_id)
    if run is None:
        raise NotFoundError("reconciliation", run_id)
    while run.status is ReconciliationStatus.RUNNING:
        if deadline.remaining_seconds() < _PAGE_SECONDS:
            _send(ports, run)
            return run
        page = _PHASES[run.phase](ports, cause, run.cursor)
        try:
            run = _advance(ports, run, page)
        except StoreConflictError:
            # A second delivery of the message works on the same run; one of the two is enough.
            return ports.store.get(Reconciliation, run_id) or run
    return run


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """What one page found. `cursor` None: the phase is done."""

    drifts: tuple[Drift, ...] = ()
    counts: Mapping[str, int]
    cursor: str | None = None


def _advance(ports: Ports, run: Reconciliation, page: _Page) -> Reconciliation:
    phases = list(Phase)
    following = phases[phases.index(run.phase) + 1 :]
    is_last = page.cursor is None and not following
    counts = dict(run.counts)
    for name, number in page.counts.items():
        counts[name] = counts.get(name, 0) + number
    for drift in page.drifts:
        counts["drifts"] = counts.get("drifts", 0) + 1
        counts[drift.action] = counts.get(drift.action, 0) + 1
        ports.monitor.event("drift", kind=drift.kind, entity=drift.entity, action=drift.action)
    drifts = (*run.drifts, *page.drifts)
    now = ports.clock.now()
    advanced = replace(
        run,
        status=ReconciliationStatus.SUCCEEDED if is_last else run.status,
        phase=run.phase if page.cursor is not None or is_last else following[0],
        cursor=page.cursor,
        counts=counts,
        drifts=drifts[:_DRIFTS_KEPT],
        drifts_omitted=run.drifts_omitted + max(0, len(drifts) - _DRIFTS_KEPT),
        updated_at=now,
        finished_at=now if is_last else None,
        revision=run.revision + 1,
    )
    ports.store.commit(Put(advanced, AtRevision(number=run.revision)))
    return advanced


def _outbox(ports: Ports, cause: Cause, cursor: str | None) -> _Page:
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
    return _Page(drifts=drifts, counts={"resent": swept.sync_tasks + swept.billing_events})


def _catalog(ports: Ports, cause: Cause, cursor: str | None) -> _Page:
    del cause
    kind, _, inner = (cursor or PackageKind.PLAN).partition("|")
    page = ports.store.list_within(Package, kind, limit=_PAGE, cursor=inner or None)
    drifts: list[Drift] = []
    skipped = 0
    for package in page.items:
        for name in ports.providers.names():
            try:
                drifts += _package_drifts(ports, ports.providers.get(name), package)
            except BusyError:
                skipped += 1
    following: str | None = None
    if page.next_cursor is not None:
        following = f"{kind}|{page.next_cursor}"
    elif kind == PackageKind.PLAN:
        following = PackageKind.ADDON
    return _Page(
        drifts=tuple(drifts),
        counts={"packages": len(page.items), "skipped": skipped},
        cursor=following,
    )


def _package_drifts(ports: Ports, provider: BillingProvider, package: Package) -> Iterable[Drift]:
    link = ports.store.get(CatalogLink, package.kind, package.id, provider.name)
    if package.published_version is None:
        return
    version = published_version(ports, package.kind, package.id, package.published_version)
    if link is None and not is_billed(version):
        return
    if link is None or link.synced_version is None:
        # Never synced yet: that is the outbox's work, not drift.
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


def _customers(ports: Ports, cause: Cause, cursor: str | None) -> _Page:
    page = ports.store.list_within(Customer, limit=_PAGE, cursor=cursor)
    drifts: list[Drift] = []
    failed = 0
    compared = 0
    for customer in page.items:
        for name in ports.providers.names():
            if customer.billing_id(name) is None:
                continue
            compared += 1
            try:
                push_details(ports, customer.id, ports.providers.get(name))
                drifts += converge_customer(ports, cause, customer.id, name).drifts
            except (ProviderUnavailableError, StoreUnavailableError):
                raise
            except DomainError as error:
                # One customer that can't be compared must not keep the others from it.
                failed += 1
                ports.monitor.event(
                    "reconcile_customer_failed", customer_id=customer.id, code=error.code
                )
    return _Page(
        drifts=tuple(drifts),
        counts={"customers": compared, "failed": failed},
        cursor=page.next_cursor,
    )


def _events(ports: Ports, cause: Cause, cursor: str | None) -> _Page:
    page = ports.store.find_by(
        BillingEvent, "status", BillingEventStatus.PENDING, limit=_PAGE, cursor=cursor
    )
    now = ports.clock.now()
    drifts: list[Drift] = []
    for event in page.items:
        applied = apply_billing_event(ports, cause, event.id)
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
    return _Page(drifts=tuple(drifts), counts={"events": len(page.items)}, cursor=page.next_cursor)


_PHASES: Final[Mapping[Phase, Callable[[Ports, Cause, str | None], _Page]]] = {
    Phase.OUTBOX: _outbox,
    Phase.CATALOG: _catalog,
    Phase.CUSTOMERS: _customers,
    Phase.EVENTS: _events,
}
