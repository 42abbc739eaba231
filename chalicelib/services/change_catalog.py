"""One change of a catalog document, made through the services that everybody else uses."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.catalog_changes import Action, Change
from chalicelib.domain.catalog_documents import HeldPackage, WantedPackage, canonical
from chalicelib.domain.coupons import Coupon
from chalicelib.domain.errors import DomainError, InvalidError, Violation, invalid
from chalicelib.domain.features import Feature, Lifecycle
from chalicelib.domain.plans import Migration, Package, PackageContent, PackageKind, Rollout
from chalicelib.domain.products import Product
from chalicelib.ports import Ports
from chalicelib.services import (
    archive_package,
    edit_package,
    manage_coupons,
    manage_features,
    manage_products,
    publish_package,
)


def carry_out(ports: Ports, cause: Cause, change: Change, migration: Migration) -> None:
    """The change is made, if its object is still what it was when the change was found.

    Raises:
        InvalidError: It can't be made; each reason with its place in the document.
        VersionConflictError: Somebody else changed the object meanwhile.
    """
    try:
        _carry_out(ports, cause, change, migration)
    except InvalidError as error:
        raise InvalidError([_in_document(one, change) for one in error.violations]) from error


def refusal(error: DomainError, change: Change) -> tuple[Violation, ...]:
    """Why the change can't be made, with the place in the document."""
    if isinstance(error, InvalidError):
        return error.violations
    at = change.at or "prune"
    return (Violation(param=at, code=error.code, detail=error.detail),)


def _in_document(violation: Violation, change: Change) -> Violation:
    if violation.param == "migration":  # the request's, not the document's
        return violation
    param = ".".join(part for part in (change.at or "prune", violation.param) if part)
    return Violation(param=param, code=violation.code, detail=violation.detail)


def _carry_out(ports: Ports, cause: Cause, change: Change, migration: Migration) -> None:
    one = change.wanted or change.held
    if isinstance(one, Feature):
        _change_feature(ports, cause, change, one)
    elif isinstance(one, Product):
        _change_product(ports, cause, change, one)
    elif isinstance(one, Coupon):
        _change_coupon(ports, cause, change, one)
    else:
        _change_package(ports, cause, change, migration)


def _change_feature(ports: Ports, cause: Cause, change: Change, wanted: Feature) -> None:
    match change.action:
        case Action.CREATE:
            manage_features.create_feature(ports, cause, wanted)
        case Action.ARCHIVE:
            manage_features.archive_feature(ports, cause, wanted.id)
        case Action.UNARCHIVE:
            manage_features.unarchive_feature(ports, cause, wanted.id)
        case _:
            held = change.held
            assert isinstance(held, Feature)  # noqa: S101 -- only what is there is updated
            names = ["name", "unit", "values"]
            # What can't change is only named where it differs: then the service says that it can't.
            old, new = canonical(held), canonical(wanted)
            names += [n for n in ("type", "usage_kind", "meter") if old.get(n) != new.get(n)]
            changes = {name: getattr(wanted, name) for name in names}
            changes["metadata"] = _whole(held.metadata, wanted.metadata)
            version = _now(held.version, held.status)
            manage_features.edit_feature(ports, cause, held.id, changes, version=version)


def _change_product(ports: Ports, cause: Cause, change: Change, wanted: Product) -> None:
    match change.action:
        case Action.CREATE:
            manage_products.create_product(ports, cause, wanted)
        case Action.ARCHIVE:
            manage_products.archive_product(ports, cause, wanted.id)
        case Action.UNARCHIVE:
            manage_products.unarchive_product(ports, cause, wanted.id)
        case _:
            held = change.held
            assert isinstance(held, Product)  # noqa: S101 -- only what is there is updated
            changes: dict[str, Any] = {"name": wanted.name, "description": wanted.description}
            changes["metadata"] = _whole(held.metadata, wanted.metadata)
            version = _now(held.version, held.status)
            manage_products.edit_product(ports, cause, held.id, changes, version=version)


def _change_coupon(ports: Ports, cause: Cause, change: Change, wanted: Coupon) -> None:
    match change.action:
        case Action.CREATE:
            manage_coupons.create_coupon(ports, cause, wanted)
        case Action.ARCHIVE:
            manage_coupons.archive_coupon(ports, cause, wanted.id)
        case Action.UNARCHIVE:
            manage_coupons.unarchive_coupon(ports, cause, wanted.id)
        case _:
            held = change.held
            assert isinstance(held, Coupon)  # noqa: S101 -- only what is there is updated
            names = {one.path.partition(".")[0] for one in change.differences}
            faults = [
                Violation(param=name, code="immutable", detail=f"{name} of a coupon never changes.")
                for name in sorted(names - {"name", "metadata"})
            ]
            if faults:
                raise InvalidError(faults)
            changes = {"name": wanted.name, "metadata": _whole(held.metadata, wanted.metadata)}
            version = _now(held.version, held.status)
            manage_coupons.edit_coupon(ports, cause, held.id, changes, version=version)


def _change_package(ports: Ports, cause: Cause, change: Change, migration: Migration) -> None:
    kind = PackageKind(change.kind.value)
    held = change.held.package if isinstance(change.held, HeldPackage) else None
    if held is not None and change.action is Action.ARCHIVE:
        archive_package.archive_package(ports, cause, kind, held.id)
        return
    if held is not None and change.action is Action.UNARCHIVE:
        archive_package.unarchive_package(ports, cause, kind, held.id)
        return
    wanted = change.wanted
    assert isinstance(wanted, WantedPackage)  # noqa: S101 -- only what a document has is made or updated
    if held is None:
        package, _ = edit_package.create_package(
            ports, cause, kind, wanted.id, wanted.product_id, wanted.content
        )
    else:
        package = _redrafted(ports, cause, held, wanted)
    rollout = Rollout(migration=migration)
    publish_package.publish_package(
        ports, cause, kind, wanted.id, rollout, revision=package.revision
    )


def _redrafted(ports: Ports, cause: Cause, held: Package, wanted: WantedPackage) -> Package:
    if held.product_id != wanted.product_id:
        detail = f"The {held.kind} belongs to the product {held.product_id!r} for good."
        raise invalid("product_id", "immutable", detail)
    revision = _now(held.revision, held.status)
    shown = edit_package.shown_content(ports, held)
    changes = {one.name: getattr(wanted.content, one.name) for one in fields(PackageContent)}
    changes["metadata"] = _whole(shown.metadata, wanted.content.metadata)
    return edit_package.edit_package(ports, cause, held.kind, held.id, changes, revision=revision)


def _now(revision: int, status: Lifecycle) -> int:
    """The revision that the object must be at: to come back from the archive is a change of its own."""
    return revision + 1 if status is Lifecycle.ARCHIVED else revision


def _whole(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str | None]:
    """A patch of metadata that leaves nothing of the old one."""
    return {**dict.fromkeys(old), **new}
