"""Publication: a draft becomes a numbered version that never changes, and providers will be told."""

from collections.abc import Sequence
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.entitlements import Entitlement, inherit
from chalicelib.domain.errors import (
    ArchivedError,
    InvalidError,
    NothingToPublishError,
    Violation,
)
from chalicelib.domain.features import Feature, Lifecycle
from chalicelib.domain.ids import PackageId
from chalicelib.domain.plans import (
    Package,
    PackageContent,
    PackageKind,
    PackageVersion,
    Rollout,
)
from chalicelib.domain.products import Product
from chalicelib.domain.publication import publication_violations
from chalicelib.ports import Ports, Store
from chalicelib.services.commit_publication import (
    Published,
    already_published,
    announce,
    commit_publication,
    was_published,
)
from chalicelib.services.listing import all_within
from chalicelib.services.optimistic import require_version, retried
from chalicelib.services.view_packages import get_package, sold_version, versions_on_sale

PUBLISHED: Final = "published"
NEW_CUSTOMERS: Final = Rollout()


def publish_package(
    ports: Ports,
    cause: Cause,
    kind: PackageKind,
    package_id: PackageId,
    rollout: Rollout = NEW_CUSTOMERS,
    *,
    revision: int | None = None,
    scheduled_id: str | None = None,
) -> tuple[Package, PackageVersion]:
    """The draft is the version that is sold from now on; one commit leaves it, the task and the audit entry.

    With `all_customers` the commit also leaves a migration, which a worker goes on with. A retry of the same
    operation finds what it published. With `scheduled_id`, only while that publication is the scheduled one.

    Raises:
        NotFoundError: There is no such package.
        ArchivedError: It is archived.
        NothingToPublishError: It has no draft, or the publication is no longer the scheduled one.
        InvalidError: The draft contradicts the catalog; every fault is named.
        VersionConflictError: The package is at another revision than expected.
    """

    def attempt() -> Published:
        package = get_package(ports.store, kind, package_id)
        if package.draft is None and was_published(ports, cause, package, PUBLISHED):
            return already_published(ports, package)
        if scheduled_id is not None and (
            package.scheduled is None or package.scheduled.id != scheduled_id
        ):
            raise NothingToPublishError("The publication is no longer scheduled.")
        if package.draft is None:
            raise NothingToPublishError(f"The {kind} {package_id!r} has no draft.")
        if package.status is Lifecycle.ACTIVE:
            require_version(revision, package.revision, param="revision")
        entitlements = check_content(ports.store, package, package.draft)
        return commit_publication(
            ports, cause, package, package.draft, entitlements, rollout, PUBLISHED
        )

    published = retried(attempt)
    announce(ports, published)
    return published.package, published.version


def check_content(
    store: Store, package: Package, content: PackageContent
) -> tuple[Entitlement, ...]:
    """The effective entitlements of the content if it can be published now, inherited ones included.

    Raises:
        ArchivedError: The package is archived.
        InvalidError: The content contradicts the catalog; every fault is named.
    """
    if package.status is Lifecycle.ARCHIVED:
        raise ArchivedError(f"The {package.kind} {package.id!r} is archived; unarchive it first.")
    parent, violations = _parent(store, package, content)
    inherited = parent.entitlements if parent else ()
    violations += _violations(store, package, content, inherited)
    if violations:
        raise InvalidError(violations)
    return inherit(inherited, content.entitlements)


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
