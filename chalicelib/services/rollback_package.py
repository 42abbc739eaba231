"""Rollback: an older version's content is published anew, under a new number."""

from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.errors import DraftExistsError, NotPublishedError
from chalicelib.domain.ids import PackageId
from chalicelib.domain.plans import Package, PackageKind, PackageVersion, Rollout
from chalicelib.ports import Ports
from chalicelib.services.commit_publication import (
    Published,
    already_published,
    announce,
    commit_publication,
    was_published,
)
from chalicelib.services.optimistic import retried
from chalicelib.services.publish_package import check_content
from chalicelib.services.view_packages import get_package, get_version

_ROLLED_BACK: Final = "rolled_back"


def rollback_package(
    ports: Ports,
    cause: Cause,
    kind: PackageKind,
    package_id: PackageId,
    number: int,
    rollout: Rollout,
    *,
    discard_draft: bool,
) -> tuple[Package, PackageVersion]:
    """What is sold has the content of that version again; a retry of the same operation finds what it published.

    Raises:
        NotFoundError: There is no such package, or it never had such a version.
        NotPublishedError: Nothing of it was ever published.
        DraftExistsError: There is a draft, and it is not to be discarded.
        ArchivedError: It is archived.
        InvalidError: The content contradicts the catalog as it is now; every fault is named.
    """

    def attempt() -> Published:
        package = get_package(ports.store, kind, package_id)
        if was_published(ports, cause, package, _ROLLED_BACK):
            return already_published(ports, package)
        if package.published_version is None:
            raise NotPublishedError(f"The {kind} {package_id!r} has no published version.")
        content = get_version(ports.store, package, number).content
        if package.draft is not None and not discard_draft:
            raise DraftExistsError(f"The {kind} {package_id!r} has a draft, which would be lost.")
        entitlements = check_content(ports.store, package, content)
        return commit_publication(
            ports, cause, package, content, entitlements, rollout, _ROLLED_BACK
        )

    published = retried(attempt)
    announce(ports, published)
    return published.package, published.version
