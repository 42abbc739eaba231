"""What a draft changes of what is sold, and for whom."""

from dataclasses import dataclass, replace

from chalicelib.domain.diffs import ContentDiff, diff_contents
from chalicelib.domain.errors import NothingToPublishError
from chalicelib.domain.ids import PackageId
from chalicelib.domain.plans import Package, PackageKind
from chalicelib.ports import Ports
from chalicelib.services.reckon_impact import Impact, draft_version, reckon_impact
from chalicelib.services.view_packages import get_package, sold_version


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageDiff:
    """The draft against what is sold, inherited entitlements included on both sides."""

    package: Package
    diff: ContentDiff
    impact: Impact


def diff_package(ports: Ports, kind: PackageKind, package_id: PackageId) -> PackageDiff:
    """The difference, and its impact if everybody got the draft.

    Raises:
        NotFoundError: There is no such package.
        NothingToPublishError: It has no draft.
    """
    package = get_package(ports.store, kind, package_id)
    if package.draft is None:
        raise NothingToPublishError(f"The {kind} {package_id!r} has no draft.")
    sold = sold_version(ports.store, package)
    draft = draft_version(ports, package)
    before = replace(sold.content, entitlements=sold.entitlements) if sold is not None else None
    after = replace(package.draft, entitlements=draft.entitlements)
    return PackageDiff(
        package=package, diff=diff_contents(before, after), impact=reckon_impact(ports, package)
    )
