"""Publication: a draft becomes a numbered version that never changes, and providers will be told."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.catalog_mirror import is_billed
from chalicelib.domain.entitlements import Entitlement, inherit
from chalicelib.domain.errors import (
    ArchivedError,
    InvalidError,
    NothingToPublishError,
    Violation,
    invalid,
)
from chalicelib.domain.features import Feature, Lifecycle
from chalicelib.domain.ids import PackageId
from chalicelib.domain.plans import (
    Migration,
    Package,
    PackageContent,
    PackageKind,
    PackageVersion,
)
from chalicelib.domain.products import Product
from chalicelib.domain.publication import publication_violations
from chalicelib.domain.sync import SyncTask
from chalicelib.ports import Absent, AtRevision, Ports, Put, Store
from chalicelib.services import audit
from chalicelib.services.listing import all_within
from chalicelib.services.optimistic import require_version, retried
from chalicelib.services.queue_sync import new_task, queue_task
from chalicelib.services.view_packages import (
    get_package,
    get_version,
    sold_version,
    versions_on_sale,
)

_PUBLISHED: Final = "published"


def publish_package(
    ports: Ports,
    cause: Cause,
    kind: PackageKind,
    package_id: PackageId,
    migration: Migration = Migration.NEW_CUSTOMERS,
    *,
    revision: int | None = None,
) -> tuple[Package, PackageVersion]:
    """The draft is the version that is sold from now on; one commit leaves it, the task and the audit entry.

    A retry of the same operation finds what it published.

    Raises:
        NotFoundError: There is no such package.
        ArchivedError: It is archived.
        NothingToPublishError: It has no draft.
        InvalidError: The draft contradicts the catalog; every fault is named.
        VersionConflictError: The package is at another revision than expected.
    """
    if migration is not Migration.NEW_CUSTOMERS:
        raise invalid(
            "migration", "unsupported", "Only new_customers is available: subscribers keep theirs."
        )
    package, version, task = retried(
        lambda: _publish(ports, cause, kind, package_id, migration, revision)
    )
    if task is not None:
        queue_task(ports, task)
    return package, version


def _publish(
    ports: Ports,
    cause: Cause,
    kind: PackageKind,
    package_id: PackageId,
    migration: Migration,
    revision: int | None,
) -> tuple[Package, PackageVersion, SyncTask | None]:
    package = get_package(ports.store, kind, package_id)
    entity = f"{kind}:{package_id}"
    if package.draft is None:
        if package.published_version and audit.was_done(
            ports, cause, entity, f"{kind}.{_PUBLISHED}"
        ):
            return package, get_version(ports.store, package, package.published_version), None
        raise NothingToPublishError(f"The {kind} {package_id!r} has no draft.")
    if package.status is Lifecycle.ARCHIVED:
        raise ArchivedError(f"The {kind} {package_id!r} is archived; unarchive it first.")
    require_version(revision, package.revision, param="revision")
    content = package.draft
    parent, violations = _parent(ports.store, package, content)
    inherited = parent.entitlements if parent else ()
    violations += _violations(ports.store, package, content, inherited)
    if violations:
        raise InvalidError(violations)
    number = package.latest_version + 1
    version = PackageVersion(
        kind=kind,
        id=package_id,
        number=number,
        product_id=package.product_id,
        content=content,
        entitlements=inherit(parent.entitlements if parent else (), content.entitlements),
        migration=migration,
        published_at=ports.clock.now(),
    )
    published = replace(
        package,
        draft=None,
        published_version=number,
        latest_version=number,
        revision=package.revision + 1,
    )
    entry = audit.entry(
        ports,
        cause,
        entity,
        f"{kind}.{_PUBLISHED}",
        {"published_version": package.published_version},
        {"published_version": number},
    )
    writes = [
        Put(version, Absent()),
        Put(published, AtRevision(number=package.revision)),
        Put(entry, Absent()),
    ]
    task = None
    if is_billed(version) or is_billed(sold_version(ports.store, package)):
        task = new_task(ports, package, _PUBLISHED)
        writes.append(Put(task, Absent()))
    ports.store.commit(*writes)
    return published, version, task


def _violations(
    store: Store, package: Package, content: PackageContent, inherited: Sequence[Entitlement]
) -> list[Violation]:
    features = {feature.id: feature for feature in all_within(store, Feature)}
    addons = {
        addon_id: addon
        for addon_id in content.compatible_addons
        if (addon := store.get(Package, PackageKind.ADDON, addon_id)) is not None
    }
    sold = {
        addon_id: version
        for addon_id, addon in addons.items()
        if (version := sold_version(store, addon)) is not None
    }
    listing = (
        [plan for plan in versions_on_sale(store) if package.id in plan.content.compatible_addons]
        if package.kind is PackageKind.ADDON
        else []
    )
    found = list(
        publication_violations(
            package,
            content,
            features,
            addons,
            sold_addons=sold,
            listing_plans=listing,
            inherited=inherited,
        )
    )
    product = store.get(Product, package.product_id)
    if product is None or product.status is Lifecycle.ARCHIVED:
        detail = f"The product {package.product_id!r} is archived."
        found.append(Violation(param="product_id", code="archived", detail=detail))
    return found


def _parent(
    store: Store, package: Package, content: PackageContent
) -> tuple[PackageVersion | None, list[Violation]]:
    """The version to inherit from, and what is wrong with it.

    A child keeps what its parent granted when the child was published, as all published things do.
    """
    parent_id = content.parent_plan_id
    if parent_id is None or package.kind is PackageKind.ADDON:  # refused by the domain
        return None, []

    def refused(code: str, detail: str) -> tuple[None, list[Violation]]:
        return None, [Violation(param="parent_plan_id", code=code, detail=detail)]

    parent = store.get(Package, PackageKind.PLAN, parent_id)
    version = sold_version(store, parent) if parent else None
    if parent is None:
        return refused("unknown_plan", f"No plan has the id {parent_id!r}.")
    if parent.product_id != package.product_id:
        return refused("other_product", f"The plan {parent_id!r} belongs to another product.")
    if parent_id == package.id or (version and package.id in _ancestors(store, version)):
        return refused("cycle", f"The plan {parent_id!r} is or inherits from this one.")
    if version is None:
        return refused("not_published", f"The plan {parent_id!r} is not published.")
    return version, []


def _ancestors(store: Store, version: PackageVersion) -> set[PackageId]:
    """Whom the version inherits from, by what is sold now."""
    seen: set[PackageId] = set()
    ancestor_id = version.content.parent_plan_id
    while ancestor_id is not None and ancestor_id not in seen:
        seen.add(ancestor_id)
        ancestor = store.get(Package, PackageKind.PLAN, ancestor_id)
        sold = sold_version(store, ancestor) if ancestor else None
        ancestor_id = sold.content.parent_plan_id if sold else None
    return seen
