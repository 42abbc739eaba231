"""The one transaction of a publication, whatever its content comes from, and what is set going by it."""

from dataclasses import dataclass, replace

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.catalog_mirror import is_billed
from chalicelib.domain.due_publications import due_of
from chalicelib.domain.entitlements import Entitlement
from chalicelib.domain.migrations import MigrationRun
from chalicelib.domain.plans import (
    Migration,
    Package,
    PackageContent,
    PackageVersion,
    Rollout,
)
from chalicelib.domain.sync import SyncTask
from chalicelib.ports import Absent, Anyhow, AtRevision, Delete, Ports, Put, Write
from chalicelib.services import audit
from chalicelib.services.queue_migrations import queue_migration
from chalicelib.services.queue_sync import new_task, queue_task
from chalicelib.services.view_packages import get_version, sold_version


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a publication left; `task` and `migration` are None where there is nothing to do."""

    package: Package
    version: PackageVersion
    task: SyncTask | None = None
    migration: MigrationRun | None = None


def commit_publication(
    ports: Ports,
    cause: Cause,
    package: Package,
    content: PackageContent,
    entitlements: tuple[Entitlement, ...],
    rollout: Rollout,
    action: str,
) -> Published:
    """The content is the version that is sold from now on, and no draft or scheduled publication is left.

    However many subscribe to older versions: they are not looked at here.
    """
    number = package.latest_version + 1
    version = PackageVersion(
        kind=package.kind,
        id=package.id,
        number=number,
        product_id=package.product_id,
        content=content,
        entitlements=entitlements,
        migration=rollout.migration,
        published_at=ports.clock.now(),
    )
    migration = _migration(ports, package, number, rollout)
    published = replace(
        package,
        draft=None,
        published_version=number,
        latest_version=number,
        scheduled=None,
        migration_id=migration.id if migration is not None else package.migration_id,
        revision=package.revision + 1,
    )
    entry = audit.entry(
        ports,
        cause,
        f"{package.kind}:{package.id}",
        f"{package.kind}.{action}",
        {"published_version": package.published_version, "migration_id": package.migration_id},
        {"published_version": number, "migration_id": published.migration_id},
    )
    writes: list[Write] = [
        Put(version, Absent()),
        Put(published, AtRevision(number=package.revision)),
        Put(entry, Absent()),
    ]
    if migration is not None:
        writes.append(Put(migration, Absent()))
    due = due_of(package)
    if due is not None:
        writes.append(Delete(due, Anyhow()))
    task: SyncTask | None = None
    if is_billed(version) or is_billed(sold_version(ports.store, package)):
        task = new_task(ports, package, action)
        writes.append(Put(task, Absent()))
    ports.store.commit(*writes)
    return Published(package=published, version=version, task=task, migration=migration)


def _migration(
    ports: Ports, package: Package, number: int, rollout: Rollout
) -> MigrationRun | None:
    if rollout.migration is Migration.NEW_CUSTOMERS or package.published_version is None:
        return None
    now = ports.clock.now()
    return MigrationRun(
        id=ports.ids.new("mig_"),
        kind=package.kind,
        package_id=package.id,
        from_version=package.published_version,
        to_version=number,
        effective=rollout.effective,
        started_at=now,
        updated_at=now,
    )


def announce(ports: Ports, published: Published) -> None:
    """Workers know of what there is to do; what a queue does not take now, the sweep sends later."""
    if published.task is not None:
        queue_task(ports, published.task)
    if published.migration is not None:
        queue_migration(ports, published.migration)


def was_published(ports: Ports, cause: Cause, package: Package, action: str) -> bool:
    """Whether this very operation has published what is sold now."""
    entity = f"{package.kind}:{package.id}"
    return package.published_version is not None and audit.was_done(
        ports, cause, entity, f"{package.kind}.{action}"
    )


def already_published(ports: Ports, package: Package) -> Published:
    """What is sold now, with nothing left to announce."""
    number = package.published_version
    if number is None:
        raise ValueError("nothing is published")
    return Published(package=package, version=get_version(ports.store, package, number))
