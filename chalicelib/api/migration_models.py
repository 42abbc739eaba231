"""What migrations look like over HTTP."""

from datetime import datetime
from typing import Literal

from chalicelib.api.wire import Wire
from chalicelib.domain.migrations import MigrationRun, MigrationStatus, Outcome
from chalicelib.domain.plans import Effective, PackageKind


class MoveFailureOut(Wire):
    """Why one subscriber stays on its version."""

    customer_id: str
    subscription_id: str
    code: str
    detail: str


class MigrationCounts(Wire):
    """How many subscribers are on the new version, will be with their next period, needed no move, or stay."""

    moved: int
    scheduled: int
    skipped: int
    failed: int


class MigrationOut(Wire):
    """A migration and how far it is; of the failures, the first hundred.

    `error` is what a running one waits for; it goes on at `retry_at`. `failed`: everybody was seen to, and some stay.
    """

    object: Literal["migration"] = "migration"
    id: str
    package_type: PackageKind
    package_id: str
    from_version: int
    to_version: int
    effective: Effective
    status: MigrationStatus
    counts: MigrationCounts
    failures: tuple[MoveFailureOut, ...]
    error: str | None
    retry_at: datetime | None
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None


def migration_from_domain(run: MigrationRun) -> MigrationOut:
    """The run as it is shown."""
    return MigrationOut(
        id=run.id,
        package_type=run.kind,
        package_id=run.package_id,
        from_version=run.from_version,
        to_version=run.to_version,
        effective=run.effective,
        status=run.status,
        counts=MigrationCounts(**{one.value: run.counts.get(one, 0) for one in Outcome}),
        failures=tuple(
            MoveFailureOut(
                customer_id=failure.customer_id,
                subscription_id=failure.subscription_id,
                code=failure.code,
                detail=failure.detail,
            )
            for failure in run.failures
        ),
        error=run.error,
        retry_at=run.retry_at,
        started_at=run.started_at,
        updated_at=run.updated_at,
        finished_at=run.finished_at,
    )
