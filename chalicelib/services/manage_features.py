"""Features: made, edited, archived. What a feature is never changes; what it is called may."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.errors import InUseError, InvalidError, Violation
from chalicelib.domain.features import (
    Feature,
    Lifecycle,
    feature_change_violations,
    feature_violations,
)
from chalicelib.domain.ids import FeatureId
from chalicelib.domain.plans import PackageVersion
from chalicelib.ports import Ports
from chalicelib.services import catalog_items
from chalicelib.services.merge_metadata import with_merged_metadata
from chalicelib.services.view_packages import versions_on_sale


def create_feature(ports: Ports, cause: Cause, feature: Feature) -> tuple[Feature, bool]:
    """The feature is there, and whether this call made it; raises `InvalidError`, `AlreadyExistsError`."""
    _refuse(feature_violations(feature))
    return catalog_items.create(ports, cause, feature)


def edit_feature(
    ports: Ports,
    cause: Cause,
    feature_id: FeatureId,
    changes: Mapping[str, Any],
    *,
    version: int | None = None,
) -> Feature:
    """The feature with these fields replaced, `metadata` merged; its type stays, and values are only ever added."""

    def change(current: Feature) -> Feature:
        changed = replace(current, **with_merged_metadata(current.metadata, changes))
        _refuse(feature_change_violations(current, changed))
        return changed

    return catalog_items.edit(ports, cause, Feature, feature_id, change, version=version)


def archive_feature(ports: Ports, cause: Cause, feature_id: FeatureId) -> Feature:
    """The feature is archived; raises `InUseError` while something that is on sale includes it."""

    def allowed() -> None:
        for version in versions_on_sale(ports.store):
            if _uses(version, feature_id):
                raise InUseError(f"The {version.kind} {version.id!r} includes the feature.")

    return catalog_items.set_status(
        ports, cause, Feature, feature_id, Lifecycle.ARCHIVED, allowed=allowed
    )


def unarchive_feature(ports: Ports, cause: Cause, feature_id: FeatureId) -> Feature:
    """The feature can be used for something new again."""
    return catalog_items.set_status(ports, cause, Feature, feature_id, Lifecycle.ACTIVE)


def _uses(version: PackageVersion, feature_id: FeatureId) -> bool:
    return any(share.feature_id == feature_id for share in version.entitlements) or any(
        price.feature_id == feature_id for price in version.content.prices
    )


def _refuse(violations: Sequence[Violation]) -> None:
    if violations:
        raise InvalidError(violations)
