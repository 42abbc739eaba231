"""Drafts of plans and add-ons: opened, edited and thrown away. Nothing here touches what is sold."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.due_publications import due_of
from chalicelib.domain.errors import (
    AlreadyExistsError,
    ArchivedError,
    NotFoundError,
    invalid,
)
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import PackageId, ProductId
from chalicelib.domain.plans import Package, PackageContent, PackageKind
from chalicelib.domain.products import Product
from chalicelib.ports import Absent, Anyhow, AtRevision, Delete, Ports, Put
from chalicelib.services import audit
from chalicelib.services.merge_metadata import with_merged_metadata
from chalicelib.services.optimistic import require_version, retried
from chalicelib.services.view_packages import get_package, get_version


def create_package(
    ports: Ports,
    cause: Cause,
    kind: PackageKind,
    package_id: PackageId,
    product_id: ProductId,
    content: PackageContent,
) -> tuple[Package, bool]:
    """The package is there with this draft (or sells this content), and whether this call made it.

    Raises:
        InvalidError: There is no such product, or it is archived.
        AlreadyExistsError: The id is taken by a package with other content.
    """

    def attempt() -> tuple[Package, bool]:
        found = ports.store.get(Package, kind, package_id)
        if found is not None:
            if found.product_id == product_id and shown_content(ports, found) == content:
                return found, False
            raise AlreadyExistsError(f"The {kind} {package_id!r} exists.", param="id")
        _require_active_product(ports, product_id)
        package = Package(
            kind=kind,
            id=package_id,
            product_id=product_id,
            draft=content,
            created_at=ports.clock.now(),
        )
        entry = audit.entry(ports, cause, f"{kind}:{package_id}", f"{kind}.created", after=package)
        ports.store.commit(Put(package, Absent()), Put(entry, Absent()))
        return package, True

    return retried(attempt)


def edit_package(
    ports: Ports,
    cause: Cause,
    kind: PackageKind,
    package_id: PackageId,
    changes: Mapping[str, Any],
    *,
    revision: int | None = None,
) -> Package:
    """The draft has these fields replaced, `metadata` merged; without a draft one is opened from what is sold.

    Changes that change nothing open no draft and need no particular revision.

    Raises:
        NotFoundError: There is no such package.
        ArchivedError: It is archived.
        VersionConflictError: It is at another revision than expected.
    """

    def attempt() -> Package:
        package = get_package(ports.store, kind, package_id)
        if package.status is Lifecycle.ARCHIVED:
            raise ArchivedError(f"The {kind} {package_id!r} is archived; unarchive it first.")
        current = shown_content(ports, package)
        changed = replace(current, **with_merged_metadata(current.metadata, changes))
        if changed == current:
            return package
        require_version(revision, package.revision, param="revision")
        edited = replace(package, draft=changed, revision=package.revision + 1)
        entry = audit.entry(
            ports, cause, f"{kind}:{package_id}", f"{kind}.draft_updated", current, changed
        )
        ports.store.commit(Put(edited, AtRevision(number=package.revision)), Put(entry, Absent()))
        return edited

    return retried(attempt)


def delete_draft(ports: Ports, cause: Cause, kind: PackageKind, package_id: PackageId) -> None:
    """The draft is gone; a package that was never anything but a draft is gone with it.

    Raises:
        NotFoundError: There is no such package, or it has no draft.
    """

    def attempt() -> None:
        package = get_package(ports.store, kind, package_id)
        if package.draft is None:
            raise NotFoundError(f"draft of the {kind}", package_id)
        condition = AtRevision(number=package.revision)
        entry = audit.entry(
            ports, cause, f"{kind}:{package_id}", f"{kind}.draft_deleted", before=package.draft
        )
        # What was to be published at a set time is gone with it.
        without = replace(package, draft=None, scheduled=None, revision=package.revision + 1)
        write = (
            Delete(package, condition)
            if package.published_version is None
            else Put(without, condition)
        )
        due = due_of(package)
        waiting = () if due is None else (Delete(due, Anyhow()),)
        ports.store.commit(write, Put(entry, Absent()), *waiting)

    retried(attempt)


def shown_content(ports: Ports, package: Package) -> PackageContent:
    """The content that an editor sees: the draft, or else what is sold."""
    if package.draft is not None:
        return package.draft
    if package.published_version is None:
        raise NotFoundError(f"draft of the {package.kind}", package.id)
    return get_version(ports.store, package, package.published_version).content


def _require_active_product(ports: Ports, product_id: ProductId) -> None:
    product = ports.store.get(Product, product_id)
    if product is None:
        raise invalid("product_id", "unknown_product", f"No product has the id {product_id!r}.")
    if product.status is Lifecycle.ARCHIVED:
        raise invalid("product_id", "archived", f"The product {product_id!r} is archived.")
