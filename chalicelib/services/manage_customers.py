"""Creating, changing and archiving customers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import SyncStatus
from chalicelib.domain.customer_changes import CustomerChange
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import (
    AlreadyExistsError,
    NotFoundError,
    StoreConflictError,
)
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshots import Snapshot, compile_snapshot
from chalicelib.domain.subscriptions import Subscription
from chalicelib.ports import Absent, AtRevision, Ports, Put
from chalicelib.services.audit import entry
from chalicelib.services.listing import all_within
from chalicelib.services.merge_metadata import with_merged_metadata
from chalicelib.services.optimistic import require_version, retried
from chalicelib.services.outbound import commit_customer_change
from chalicelib.services.snapshots import compile_for

_FIELDS: Final = ("email", "name", "country", "currency", "timezone", "metadata")
_KNOWN_TO_PROVIDERS: Final = ("email", "name")


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerDetails:
    """What the application tells about a customer."""

    email: str | None = None
    name: str | None = None
    country: str | None = None
    currency: str | None = None
    timezone: str | None = None
    metadata: Mapping[str, str]


def create_customer(
    ports: Ports, cause: Cause, customer_id: CustomerId, details: CustomerDetails
) -> tuple[Customer, bool]:
    """The customer, with an empty snapshot so that checks know it, and whether it was made just now."""
    fields: dict[str, Any] = {field: getattr(details, field) for field in _FIELDS}
    customer = Customer(id=customer_id, created_at=ports.clock.now(), **fields)
    try:
        ports.store.commit(
            Put(customer, Absent()),
            Put(compile_snapshot(customer, (), {}, {}, version=1), Absent()),
            Put(
                entry(
                    ports,
                    cause,
                    f"customer:{customer_id}",
                    "customer.created",
                    None,
                    _audited(customer),
                ),
                Absent(),
            ),
        )
    except StoreConflictError:
        known = get_customer(ports, customer_id)
        if any(getattr(known, field) != fields[field] for field in _FIELDS):
            raise AlreadyExistsError(
                f"The customer {customer_id!r} exists with other details.", param="id"
            ) from None
        return known, False
    return customer, True


def get_customer(ports: Ports, customer_id: CustomerId) -> Customer:
    """The customer; raises `NotFoundError`."""
    customer = ports.store.get(Customer, customer_id)
    if customer is None:
        raise NotFoundError("customer", customer_id)
    return customer


def update_customer(
    ports: Ports,
    cause: Cause,
    customer_id: CustomerId,
    changes: Mapping[str, Any],
    expected_version: int | None,
) -> Customer:
    """The customer with these fields changed; providers that know it are told by the next reconciliation."""

    def attempt() -> Customer:
        # The snapshot is read before what it is compiled from, as everywhere (see converge_customer).
        snapshot = ports.store.get(Snapshot, customer_id)
        before = get_customer(ports, customer_id)
        require_version(expected_version, before.version)
        after = replace(before, **with_merged_metadata(before.metadata, changes))
        if after == before:
            return before
        if any(getattr(before, field) != getattr(after, field) for field in _KNOWN_TO_PROVIDERS):
            pending = (replace(link, sync_status=SyncStatus.PENDING) for link in after.links)
            after = replace(after, links=tuple(pending))
        moved = after.timezone != before.timezone
        change = _compiled(ports, after, snapshot) if moved else None
        return _write(ports, cause, before, after, "customer.updated", change)

    return retried(attempt)


def set_customer_status(
    ports: Ports, cause: Cause, customer_id: CustomerId, status: Lifecycle
) -> Customer:
    """The customer has this status, and its checks answer accordingly. See `archive_customer`."""

    def attempt() -> Customer:
        # The snapshot is read before what it is compiled from, as everywhere (see converge_customer).
        snapshot = ports.store.get(Snapshot, customer_id)
        before = get_customer(ports, customer_id)
        if snapshot is None:
            raise NotFoundError("customer", customer_id)
        if before.status is status:
            return before
        after = replace(before, status=status)
        action = "customer.archived" if status is Lifecycle.ARCHIVED else "customer.unarchived"
        return _write(ports, cause, before, after, action, _compiled(ports, after, snapshot))

    return retried(attempt)


def _compiled(ports: Ports, after: Customer, snapshot: Snapshot | None) -> CustomerChange:
    """The customer's snapshot as it becomes."""
    if snapshot is None:
        raise NotFoundError("customer", after.id)
    subscriptions = all_within(ports.store, Subscription, after.id)
    compiled = compile_for(ports, after, subscriptions, version=snapshot.version + 1)
    return CustomerChange(before=snapshot, after=compiled, held=subscriptions)


def _write(
    ports: Ports,
    cause: Cause,
    before: Customer,
    after: Customer,
    action: str,
    change: CustomerChange | None = None,
) -> Customer:
    after = replace(after, version=before.version + 1)
    audit = entry(ports, cause, f"customer:{before.id}", action, _audited(before), _audited(after))
    writes = Put(after, AtRevision(number=before.version)), Put(audit, Absent())
    if change is None:
        ports.store.commit(*writes)
    else:
        commit_customer_change(ports, change, *writes)
    return after


def _audited(customer: Customer) -> dict[str, object]:
    """What the audit log tells of a customer: personal data stays out of a log that is never erased."""
    return {
        "status": customer.status,
        "country": customer.country,
        "currency": customer.currency,
        "timezone": customer.timezone,
        "metadata": customer.metadata,
        "has_email": customer.email is not None,
        "has_name": customer.name is not None,
    }
