"""Giving a customer an entitlement of its own, extending it and taking it back.

A grant and the snapshot that it is in are one commit, conditional on the snapshot's version as everywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.customer_changes import CustomerChange
from chalicelib.domain.customers import Customer
from chalicelib.domain.dependencies import dependency_refusals
from chalicelib.domain.entitlements import Entitlement, entitlement_violations
from chalicelib.domain.errors import (
    ArchivedError,
    InvalidError,
    NotFoundError,
    RevokedError,
    Violation,
    invalid,
)
from chalicelib.domain.features import Feature, Lifecycle
from chalicelib.domain.grants import Grant, GrantStatus, in_force
from chalicelib.domain.ids import CustomerId, derived_id
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.subscriptions import Subscription
from chalicelib.ports import Anyhow, Ports, Put
from chalicelib.services.audit import entry
from chalicelib.services.listing import all_within
from chalicelib.services.optimistic import require_version, retried
from chalicelib.services.outbound import commit_customer_change
from chalicelib.services.snapshots import compile_for, current_grants, held_versions

# The database holds 400 KB in one record: what is left is for subscriptions, which are never refused for it.
MAX_SNAPSHOT_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    """A customer with all that its snapshot is compiled from; `snapshot` was read first."""

    snapshot: Snapshot
    customer: Customer
    subscriptions: tuple[Subscription, ...]


def give_grant(
    ports: Ports,
    cause: Cause,
    customer_id: CustomerId,
    entitlement: Entitlement,
    *,
    resource_id: str | None = None,
    expires_at: datetime | None = None,
    reason: str | None = None,
) -> Grant:
    """The customer has the entitlement from now on; a repeated operation finds the grant that it made.

    Raises:
        NotFoundError: There is no such customer.
        ArchivedError: The customer is archived.
        InvalidError: The feature can't be granted so, or the customer has more grants than its record can hold.
    """
    grant_id = derived_id("grant_", customer_id, cause.operation_id)

    def attempt() -> Grant:
        holder = _read(ports, customer_id)
        known = ports.store.get(Grant, customer_id, grant_id)
        if known is not None:
            return known
        if holder.customer.status is Lifecycle.ARCHIVED:
            raise ArchivedError("The customer is archived.", param="customer_id")
        now = ports.clock.now()
        _require_future(expires_at, now)
        grant = Grant(
            id=grant_id,
            customer_id=customer_id,
            entitlement=entitlement,
            resource_id=resource_id,
            expires_at=expires_at,
            reason=reason,
            created_at=now,
        )
        _require_grantable(ports, holder, entitlement)
        return _write(ports, cause, holder, None, grant, "grant.created", reason)

    return retried(attempt)


def get_grant(ports: Ports, customer_id: CustomerId, grant_id: str) -> Grant:
    """The grant; raises `NotFoundError`."""
    grant = ports.store.get(Grant, customer_id, grant_id)
    if grant is None:
        raise NotFoundError("grant", grant_id)
    return grant


def change_grant(
    ports: Ports,
    cause: Cause,
    customer_id: CustomerId,
    grant_id: str,
    changes: Mapping[str, Any],
    *,
    version: int | None = None,
) -> Grant:
    """The grant with another end or reason; one that has expired gives its entitlement again.

    Raises:
        NotFoundError: There is no such grant.
        RevokedError: It was revoked.
        VersionConflictError: It is at another version than expected.
    """

    def attempt() -> Grant:
        holder = _read(ports, customer_id)
        before = get_grant(ports, customer_id, grant_id)
        after = replace(before, **changes)
        if after == before:
            return before
        if before.revoked_at is not None:
            raise RevokedError(f"The grant {grant_id!r} was revoked; make another.")
        require_version(version, before.version)
        if after.expires_at != before.expires_at:
            _require_future(after.expires_at, ports.clock.now())
        return _write(ports, cause, holder, before, after, "grant.updated", after.reason)

    return retried(attempt)


def revoke_grant(
    ports: Ports, cause: Cause, customer_id: CustomerId, grant_id: str, reason: str | None = None
) -> Grant:
    """The grant gives nothing any more; one that is over already stays as it is."""

    def attempt() -> Grant:
        holder = _read(ports, customer_id)
        before = get_grant(ports, customer_id, grant_id)
        now = ports.clock.now()
        if before.status(now) is not GrantStatus.ACTIVE:
            return before
        after = replace(before, revoked_at=now)
        return _write(ports, cause, holder, before, after, "grant.revoked", reason)

    return retried(attempt)


def _read(ports: Ports, customer_id: CustomerId) -> _Holder:
    # The snapshot before everything else: a commit on its version is a commit on all that was read after it.
    snapshot = ports.store.get(Snapshot, customer_id)
    customer = ports.store.get(Customer, customer_id)
    if snapshot is None or customer is None:
        raise NotFoundError("customer", customer_id)
    held = all_within(ports.store, Subscription, customer_id)
    return _Holder(snapshot=snapshot, customer=customer, subscriptions=held)


def _write(
    ports: Ports,
    cause: Cause,
    holder: _Holder,
    before: Grant | None,
    after: Grant,
    action: str,
    reason: str | None,
) -> Grant:
    if before is not None:
        after = replace(after, version=before.version + 1)
    number = holder.snapshot.version
    compiled = compile_for(
        ports, holder.customer, holder.subscriptions, version=number + 1, changed=after
    )
    is_larger = len(compiled.document) > len(holder.snapshot.document)
    if is_larger and len(compiled.document) > MAX_SNAPSHOT_BYTES:
        detail = "The customer has as many grants as its record can hold; revoke some first."
        raise invalid("", "too_many_grants", detail)
    old = _audited(before) if before is not None else None
    told = {**_audited(after), "reason": reason}
    audit = entry(ports, cause, f"grant:{after.id}", action, old, told)
    change = CustomerChange(before=holder.snapshot, after=compiled, held=holder.subscriptions)
    commit_customer_change(ports, change, Put(after, Anyhow()), Put(audit, Anyhow()))
    return after


def _audited(grant: Grant) -> dict[str, object]:
    return {
        "customer_id": grant.customer_id,
        "entitlement": grant.entitlement,
        "resource_id": grant.resource_id,
        "expires_at": grant.expires_at,
        "revoked_at": grant.revoked_at,
    }


def _require_future(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        raise invalid("expires_at", "out_of_range", "A grant ends in the future.")


def _require_grantable(ports: Ports, holder: _Holder, entitlement: Entitlement) -> None:
    feature = ports.store.get(Feature, entitlement.feature_id)
    features = {feature.id: feature} if feature is not None else {}
    own = [entitlement]
    violations = [*entitlement_violations(own, features)]
    if not violations:
        now = ports.clock.now()
        granted = [
            one
            for version in held_versions(
                ports, [held.at(now) for held in holder.subscriptions]
            ).values()
            for one in version.entitlements
        ]
        grants = current_grants(ports, holder.customer.id)
        granted += [grant.entitlement for grant in in_force(grants, now)]
        violations += [
            Violation(param=param, code=code, detail=detail)
            for param, code, detail in dependency_refusals(own, granted, closed=True)
        ]
    if violations:
        raise InvalidError([_of_its_field(violation) for violation in violations])


def _of_its_field(violation: Violation) -> Violation:
    """The fault by its place in the grant, which has the fields of one entitlement."""
    return replace(violation, param=violation.param.removeprefix("entitlements[0]."))
