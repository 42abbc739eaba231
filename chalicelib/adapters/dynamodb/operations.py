"""The operations table: outbox, events, audit log, keys. Most of it is swept by DynamoDB when it is old."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from chalicelib.adapters.dynamodb.keys import API_KEY_PARTITION, API_KEY_SORT, Table
from chalicelib.adapters.dynamodb.layout import Index, Layout

if TYPE_CHECKING:
    from chalicelib.domain.sync import SyncTask
    from chalicelib.domain.usage_charges import UsageCharge
    from chalicelib.domain.usage_records import Reservation

_T: Final = Table.OPERATIONS
_DONE_TASK_KEPT: Final = timedelta(days=30)
_REPORT_KEPT: Final = timedelta(days=90)
_OUTBOUND_KEPT: Final = timedelta(days=30)


def _task_expiry(task: "SyncTask") -> datetime | None:
    from chalicelib.domain.sync import SyncTaskStatus  # noqa: PLC0415 -- loaded, as there is a task

    done = task.status is SyncTaskStatus.SUCCEEDED
    return task.updated_at + _DONE_TASK_KEPT if done else None


def _charge_expiry(charge: "UsageCharge") -> datetime | None:
    from chalicelib.domain.usage_charges import ChargeStatus  # noqa: PLC0415 -- loaded, as there is a charge

    done = charge.status is ChargeStatus.REPORTED
    return charge.updated_at + _REPORT_KEPT if done else None


def _reservation_expiry(held: "Reservation") -> datetime:
    from chalicelib.domain.usage_records import KEPT_FOR  # noqa: PLC0415 -- loaded, as there is a reservation

    return held.expires_at + KEPT_FOR


def sortable(moment: datetime) -> str:
    """The instant as text whose order is the instants' order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


LAYOUTS: Final[Mapping[str, Layout]] = {
    "sync.SyncTask": Layout(
        kind="sync_task",
        table=_T,
        partition="TASK",
        sort="TASK",
        in_partition=1,
        in_sort=0,
        index=Index(by="status", order=lambda task: sortable(task.created_at)),
        expires_at=_task_expiry,
    ),
    "billing_events.BillingEvent": Layout(
        kind="billing_event",
        table=_T,
        partition="EVENT",
        sort="EVENT",
        in_partition=1,
        in_sort=0,
        # One index partition per status: enough for a few hundred events a second (each is pending, then not).
        index=Index(by="status", order=lambda event: sortable(event.received_at)),
        expires_at=lambda event: event.received_at + _REPORT_KEPT,
    ),
    "audit_log.AuditEntry": Layout(
        kind="audit_entry",
        table=_T,
        partition="AUDIT",
        sort="N",
        in_partition=1,
        in_sort=1,
        # The beginnings of all chains.
        index=Index(by="entity", order=lambda _: "", shards=8, only=lambda one: one.sequence == 1),
    ),
    "api_keys.ApiKey": Layout(
        kind="api_key",
        table=_T,
        partition=API_KEY_PARTITION,
        sort=API_KEY_SORT,
        in_partition=0,
        in_sort=1,
    ),
    "idempotency.IdempotencyRecord": Layout(
        kind="idempotency_record",
        table=_T,
        partition="IDEMPOTENCY",
        sort="IDEMPOTENCY",
        in_partition=1,
        in_sort=0,
        expires_at=lambda record: record.expires_at,
        hides_expired=True,
    ),
    # Partitions of their own: a customer that reports much is bound by its counter alone.
    "usage_records.UsageRecord": Layout(
        kind="usage_record",
        table=_T,
        partition="USAGE",
        sort="USAGE",
        in_partition=1,
        in_sort=0,
        expires_at=lambda record: record.expires_at,
        hides_expired=True,
    ),
    "usage_charges.UsageCharge": Layout(
        kind="usage_charge",
        table=_T,
        partition="CHARGE",
        sort="CHARGE",
        in_partition=1,
        in_sort=0,
        # One index partition per status: enough for some hundred charged reports a second.
        index=Index(by="status", order=lambda charge: sortable(charge.created_at)),
        expires_at=_charge_expiry,
    ),
    "usage_records.UniqueValue": Layout(
        kind="unique_value",
        table=_T,
        partition="UNIQUE",
        sort="UNIQUE",
        in_partition=4,
        in_sort=0,
        expires_at=lambda seen: seen.expires_at,
    ),
    "usage_records.Reservation": Layout(
        kind="reservation",
        table=_T,
        partition="RESERVATION",
        sort="RESERVATION",
        in_partition=1,
        in_sort=0,
        expires_at=_reservation_expiry,
    ),
    "reconciliations.Reconciliation": Layout(
        kind="reconciliation",
        table=_T,
        partition="RECONCILIATIONS",
        sort="R",
        in_partition=0,
        in_sort=1,
        expires_at=lambda run: run.started_at + _REPORT_KEPT,
    ),
    "migrations.MigrationRun": Layout(
        kind="migration",
        table=_T,
        partition="MIGRATIONS",
        sort="M",
        in_partition=0,
        in_sort=1,
        index=Index(by="status", order=lambda run: sortable(run.started_at)),
    ),
    "impacts.ImpactRun": Layout(
        kind="impact",
        table=_T,
        partition="IMPACT",
        sort="IMPACT",
        in_partition=2,
        in_sort=0,
        expires_at=lambda run: run.updated_at + _REPORT_KEPT,
    ),
    "clock_shift.ClockShift": Layout(
        kind="clock_shift", table=_T, partition="CLOCK", sort="CLOCK", in_partition=1, in_sort=0
    ),
    "billing_accounts.BillingAccount": Layout(
        kind="billing_account", table=_T, partition="ACCOUNT", sort="A", in_partition=1, in_sort=0
    ),
    "billing_accounts.ConnectAttempt": Layout(
        kind="connect_attempt",
        table=_T,
        partition="CONNECT",
        sort="C",
        in_partition=1,
        in_sort=0,
        expires_at=lambda attempt: attempt.expires_at,
        hides_expired=True,
    ),
    "due_publications.DuePublication": Layout(
        kind="due_publication", table=_T, partition="DUE", sort="AT", in_partition=0, in_sort=3
    ),
    "outbound_events.OutboundEvent": Layout(
        kind="outbound_event",
        table=_T,
        partition="OUTBOUND",
        sort="OUTBOUND",
        in_partition=1,
        in_sort=0,
        index=Index(by="status", order=lambda event: sortable(event.created_at)),
        expires_at=lambda event: event.kept_until or event.created_at + _OUTBOUND_KEPT,
    ),
    "customer_timers.CustomerTimer": Layout(
        kind="customer_timer",
        table=_T,
        partition="TIMER",
        sort="TIMER",
        in_partition=1,
        in_sort=0,
        # In the order in which they are due: the sweep reads no further than now.
        index=Index(by="state", order=lambda timer: sortable(timer.at or timer.told_at)),
    ),
    # One partition, because every event is held against all of them; there are a few.
    "webhook_endpoints.WebhookEndpoint": Layout(
        kind="webhook_endpoint", table=_T, partition="WEBHOOKS", sort="W", in_partition=0, in_sort=1
    ),
    "webhook_endpoints.Delivery": Layout(
        kind="delivery",
        table=_T,
        partition="DELIVERIES",
        sort="D",
        in_partition=1,
        in_sort=1,
        # In the order in which they are due: the sweep reads no further than now.
        index=Index(by="status", order=lambda delivery: sortable(delivery.next_attempt_at)),
        expires_at=lambda delivery: delivery.created_at + _OUTBOUND_KEPT,
    ),
    # A partition for each of a provider's shelves: whoever invoices by hand does not need more than its 1,000 writes
    # a second, and everything on a shelf can be listed.
    "provider_records.ProviderRecord": Layout(
        kind="provider_record",
        table=_T,
        partition="PROVIDER",
        sort="R",
        in_partition=2,
        in_sort=1,
    ),
}
