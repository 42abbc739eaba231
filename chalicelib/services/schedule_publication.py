"""Scheduled publications: a draft that is published when its time has come, exactly once."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.due_publications import DuePublication, due_of
from chalicelib.domain.errors import (
    DomainError,
    NotFoundError,
    NothingToPublishError,
    StoreConflictError,
    StoreUnavailableError,
    VersionConflictError,
    invalid,
)
from chalicelib.domain.ids import PackageId, derived_id
from chalicelib.domain.plans import Package, PackageKind, Rollout, ScheduledPublication
from chalicelib.ports import Anyhow, AtRevision, Delete, Ports, Put, Write
from chalicelib.services import audit
from chalicelib.services.optimistic import retried
from chalicelib.services.publish_package import check_content, publish_package
from chalicelib.services.view_packages import get_package

_FURTHEST: Final = timedelta(days=366)
_AT_ONCE: Final = 50
_PASSING: Final = (StoreConflictError, StoreUnavailableError, VersionConflictError)


def schedule_publication(
    ports: Ports,
    cause: Cause,
    kind: PackageKind,
    package_id: PackageId,
    publish_at: datetime,
    rollout: Rollout,
) -> Package:
    """The draft will be published then, as it will be then; an earlier schedule is replaced.

    It has to be publishable now already, and is looked at again at its time.

    Raises:
        NotFoundError: There is no such package.
        ArchivedError: It is archived.
        NothingToPublishError: It has no draft.
        InvalidError: The time is not ahead or too far ahead, or the draft contradicts the catalog.
    """

    def attempt() -> Package:
        now = ports.clock.now()
        if not now < publish_at <= now + _FURTHEST:
            detail = "The time is in the future, at most a year from now."
            raise invalid("publish_at", "out_of_range", detail)
        package = get_package(ports.store, kind, package_id)
        if package.draft is None:
            raise NothingToPublishError(f"The {kind} {package_id!r} has no draft.")
        check_content(ports.store, package, package.draft)
        scheduled = ScheduledPublication(
            id=derived_id("pub_", cause.operation_id, kind, package_id),
            publish_at=publish_at,
            rollout=rollout,
            scheduled_by=cause.actor,
        )
        return _store(ports, cause, package, scheduled, "publication_scheduled")

    return retried(attempt)


def cancel_scheduled_publication(
    ports: Ports, cause: Cause, kind: PackageKind, package_id: PackageId
) -> Package:
    """Nothing is scheduled any more; raises `NotFoundError` if nothing was."""

    def attempt() -> Package:
        package = get_package(ports.store, kind, package_id)
        if package.scheduled is None:
            raise NotFoundError(f"scheduled publication of the {kind}", package_id)
        return _store(ports, cause, package, None, "publication_canceled")

    return retried(attempt)


def publish_due(ports: Ports) -> int:
    """Every draft whose time has come is published, or says why it can't be; returns how many were tried."""
    now = ports.clock.now()
    page = ports.store.list_within(DuePublication, limit=_AT_ONCE)
    due = [one for one in page.items if one.publish_at <= now]
    for one in due:
        try:
            _publish(ports, one)
        except _PASSING as error:
            # It stays due: the next minute's sweep tries again.
            ports.monitor.event(
                "publication_postponed", package=f"{one.kind}:{one.package_id}", code=error.code
            )
    return len(due)


def _publish(ports: Ports, due: DuePublication) -> None:
    package = ports.store.get(Package, due.kind, due.package_id)
    if package is None or package.scheduled is None or due_of(package) != due:
        # What it was written with is gone: a remainder, which nobody waits for.
        ports.store.commit(Delete(due, Anyhow()))
        return
    scheduled = package.scheduled
    cause = Cause(actor=scheduled.scheduled_by, request_id=scheduled.id, operation_id=scheduled.id)
    try:
        # Two sweeps at once: the first publishes, and for the other it is no longer scheduled.
        publish_package(
            ports, cause, due.kind, due.package_id, scheduled.rollout, scheduled_id=scheduled.id
        )
    except _PASSING:
        raise
    except DomainError as error:
        _fail(ports, cause, due, scheduled, error)


def _fail(
    ports: Ports,
    cause: Cause,
    due: DuePublication,
    scheduled: ScheduledPublication,
    error: DomainError,
) -> None:
    def attempt() -> None:
        package = ports.store.get(Package, due.kind, due.package_id)
        if package is None or package.scheduled != scheduled:
            return  # published, canceled or scheduled anew meanwhile
        failed = replace(scheduled, error=error.detail)
        _store(ports, cause, package, failed, "scheduled_publication_failed")
        ports.monitor.event(
            "publication_failed", package=f"{due.kind}:{due.package_id}", code=error.code
        )

    retried(attempt)


def _store(
    ports: Ports,
    cause: Cause,
    package: Package,
    scheduled: ScheduledPublication | None,
    action: str,
) -> Package:
    changed = replace(package, scheduled=scheduled, revision=package.revision + 1)
    entity = f"{package.kind}:{package.id}"
    entry = audit.entry(
        ports,
        cause,
        entity,
        f"{package.kind}.{action}",
        {"scheduled": package.scheduled},
        {"scheduled": scheduled},
    )
    writes: list[Write] = [
        Put(changed, AtRevision(number=package.revision)),
        Put(entry, Anyhow()),
    ]
    before, after = due_of(package), due_of(changed)
    if before is not None and before != after:
        writes.append(Delete(before, Anyhow()))
    if after is not None:
        writes.append(Put(after, Anyhow()))
    ports.store.commit(*writes)
    return changed
