"""Coupons: made, renamed, archived and brought back; providers are told of each by the outbox."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.coupons import Coupon, CouponId, coupon_violations
from chalicelib.domain.errors import (
    AlreadyExistsError,
    ArchivedError,
    InvalidError,
    NotFoundError,
)
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.references import PROMOTION_CODE, Reference
from chalicelib.domain.sync import CouponKind, SyncTask
from chalicelib.ports import Absent, Anyhow, AtRevision, Delete, Ports, Put, Write
from chalicelib.services import audit
from chalicelib.services.merge_metadata import with_merged_metadata
from chalicelib.services.optimistic import require_version, retried
from chalicelib.services.queue_sync import new_task_for, queue_task

_NO_TIME: Final = datetime.min.replace(tzinfo=UTC)


def create_coupon(ports: Ports, cause: Cause, coupon: Coupon) -> tuple[Coupon, bool]:
    """The coupon is there, and whether this call made it; providers will be told.

    Raises:
        InvalidError: It contradicts itself.
        AlreadyExistsError: Its id, or its promotion code, is taken by another.
    """
    violations = coupon_violations(coupon)
    if violations:
        raise InvalidError(violations)

    def attempt() -> tuple[Coupon, SyncTask | None]:
        found = ports.store.get(Coupon, coupon.id)
        if found is not None:
            if _content(found) == _content(coupon):
                return found, None
            raise AlreadyExistsError(f"The coupon {coupon.id!r} exists.", param="id")
        return _commit(ports, cause, None, coupon, "created")

    made, task = retried(attempt)
    return made, task is not None


def get_coupon(ports: Ports, coupon_id: str) -> Coupon:
    """The coupon; raises `NotFoundError` if there is none."""
    found = ports.store.get(Coupon, coupon_id)
    if found is None:
        raise NotFoundError("coupon", coupon_id)
    return found


def edit_coupon(
    ports: Ports,
    cause: Cause,
    coupon_id: CouponId,
    changes: Mapping[str, Any],
    *,
    version: int | None = None,
) -> Coupon:
    """The coupon with another name, `metadata` merged; what it takes off never changes."""

    def attempt() -> tuple[Coupon, SyncTask | None]:
        current = get_coupon(ports, coupon_id)
        if current.status is Lifecycle.ARCHIVED:
            raise ArchivedError(f"The coupon {coupon_id!r} is archived; unarchive it first.")
        changed = replace(current, **with_merged_metadata(current.metadata, changes))
        if changed == current:
            return current, None
        require_version(version, current.version)
        return _commit(ports, cause, current, changed, "updated")

    return retried(attempt)[0]


def archive_coupon(ports: Ports, cause: Cause, coupon_id: CouponId) -> Coupon:
    """Nobody can be given the coupon any more; who has it keeps it."""
    return _set_status(ports, cause, coupon_id, Lifecycle.ARCHIVED)


def unarchive_coupon(ports: Ports, cause: Cause, coupon_id: CouponId) -> Coupon:
    """The coupon can be given again; raises `AlreadyExistsError` if its promotion code is taken by now."""
    return _set_status(ports, cause, coupon_id, Lifecycle.ACTIVE)


def _set_status(ports: Ports, cause: Cause, coupon_id: CouponId, status: Lifecycle) -> Coupon:
    def attempt() -> tuple[Coupon, SyncTask | None]:
        current = get_coupon(ports, coupon_id)
        if current.status is status:
            return current, None
        comes_back = status is Lifecycle.ACTIVE
        incarnation = current.incarnation + 1 if comes_back else current.incarnation
        changed = replace(current, status=status, incarnation=incarnation)
        action = "unarchived" if comes_back else "archived"
        return _commit(ports, cause, current, changed, action)

    return retried(attempt)[0]


def _commit(
    ports: Ports, cause: Cause, before: Coupon | None, after: Coupon, action: str
) -> tuple[Coupon, SyncTask]:
    stored = after if before is None else replace(after, version=before.version + 1)
    task = new_task_for(ports, CouponKind.COUPON, stored.id, action)
    condition = Absent() if before is None else AtRevision(number=before.version)
    entry = audit.entry(ports, cause, f"coupon:{stored.id}", f"coupon.{action}", before, stored)
    ports.store.commit(
        Put(stored, condition),
        Put(task, Absent()),
        Put(entry, Absent()),
        *_code_writes(ports, before, stored),
    )
    queue_task(ports, task)
    return stored, task


def _code_writes(ports: Ports, before: Coupon | None, after: Coupon) -> list[Write]:
    """The promotion code leads to the coupon while it is active, and to one coupon only."""
    if after.promotion_code is None:
        return []
    had = before is not None and before.status is Lifecycle.ACTIVE
    has = after.status is Lifecycle.ACTIVE
    reference = Reference(
        namespace=PROMOTION_CODE, key=after.promotion_code.lower(), target=(after.id,)
    )
    if had and not has:
        return [Delete(reference, Anyhow())]
    if has and not had:
        taken = ports.store.get(Reference, *reference.identity)
        if taken is not None:
            raise AlreadyExistsError(
                f"The promotion code {after.promotion_code!r} leads to another coupon.",
                param="promotion_code",
            )
        return [Put(reference, Absent())]
    return []


def _content(coupon: Coupon) -> Coupon:
    return replace(coupon, version=0, incarnation=0, status=Lifecycle.ACTIVE, created_at=_NO_TIME)
