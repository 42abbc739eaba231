"""Plans and add-ons leave the shelf and return to it; their subscribers notice neither."""

from dataclasses import replace

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.catalog_mirror import is_billed
from chalicelib.domain.errors import ArchivedError
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import PackageId
from chalicelib.domain.plans import Package, PackageKind
from chalicelib.domain.products import Product
from chalicelib.domain.sync import SyncTask
from chalicelib.ports import Absent, AtRevision, Ports, Put
from chalicelib.services import audit
from chalicelib.services.optimistic import retried
from chalicelib.services.queue_sync import new_task, queue_task
from chalicelib.services.view_packages import get_package, sold_version


def archive_package(
    ports: Ports, cause: Cause, kind: PackageKind, package_id: PackageId
) -> Package:
    """The package takes no new subscribers, and providers will be told; who has it keeps it."""
    return _set_status(ports, cause, kind, package_id, Lifecycle.ARCHIVED)


def unarchive_package(
    ports: Ports, cause: Cause, kind: PackageKind, package_id: PackageId
) -> Package:
    """The package is sold again, and providers will be told; raises `ArchivedError` if its product is archived."""
    return _set_status(ports, cause, kind, package_id, Lifecycle.ACTIVE)


def _set_status(
    ports: Ports, cause: Cause, kind: PackageKind, package_id: PackageId, status: Lifecycle
) -> Package:
    action = "archived" if status is Lifecycle.ARCHIVED else "unarchived"

    def attempt() -> tuple[Package, SyncTask | None]:
        package = get_package(ports.store, kind, package_id)
        if package.status is status:
            return package, None
        if status is Lifecycle.ACTIVE:
            _require_active_product(ports, package)
        changed = replace(package, status=status, revision=package.revision + 1)
        entry = audit.entry(
            ports,
            cause,
            f"{kind}:{package_id}",
            f"{kind}.{action}",
            {"status": package.status},
            {"status": status},
        )
        writes = [Put(changed, AtRevision(number=package.revision)), Put(entry, Absent())]
        task = None
        if is_billed(sold_version(ports.store, package)):
            task = new_task(ports, package, action)
            writes.append(Put(task, Absent()))
        ports.store.commit(*writes)
        return changed, task

    package, task = retried(attempt)
    if task is not None:
        queue_task(ports, task)
    return package


def _require_active_product(ports: Ports, package: Package) -> None:
    product = ports.store.get(Product, package.product_id)
    if product is None or product.status is Lifecycle.ARCHIVED:
        raise ArchivedError(f"The product {package.product_id!r} is archived; unarchive it first.")
