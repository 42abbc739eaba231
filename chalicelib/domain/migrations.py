"""Migrations: moving those who subscribe to older versions of a plan or add-on to a newly published one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from chalicelib.domain.ids import CustomerId, PackageId, SubscriptionId
from chalicelib.domain.plans import Effective, PackageKind
from chalicelib.domain.subscriptions import SubscribedAddon, Subscription

FAILURES_KEPT: Final = 100


class MigrationStatus(StrEnum):
    """Whether everybody was seen to. With `failed` some could not be moved; `failures` names them."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class Outcome(StrEnum):
    """What became of one subscriber; the numbers of a migration count these."""

    MOVED = "moved"
    SCHEDULED = "scheduled"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One subscription to move."""

    customer_id: CustomerId
    subscription_id: SubscriptionId


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveFailure:
    """Why one subscriber stays where it is; `code` is stable."""

    customer_id: CustomerId
    subscription_id: SubscriptionId
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRun:
    """One migration, over as many invocations as it takes.

    `wave` are the subscribers being moved: they are written down before the first of them is, so whoever goes on
    after a crash sees to the same ones and counts each once. `shard` and `cursor` say where the list goes on
    after the wave. `error` is what it waits for; `retry_at` when it is looked at again.
    """

    id: str
    kind: PackageKind
    package_id: PackageId
    from_version: int
    to_version: int
    effective: Effective
    status: MigrationStatus = MigrationStatus.RUNNING
    shard: int = 0
    cursor: str | None = None
    wave: tuple[Subject, ...] = ()
    counts: Mapping[Outcome, int] = field(default_factory=dict)
    failures: tuple[MoveFailure, ...] = ()
    error: str | None = None
    retries: int = 0
    retry_at: datetime | None = None
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one migration from another; ids sort by time."""
        return (self.id,)

    @property
    def is_running(self) -> bool:
        """Whether there is something left to do."""
        return self.status is MigrationStatus.RUNNING


def counted(
    run: MigrationRun, outcomes: Mapping[Subject, Outcome], failures: tuple[MoveFailure, ...]
) -> MigrationRun:
    """The run with these subscribers of its wave done."""
    counts = {outcome: run.counts.get(outcome, 0) for outcome in Outcome}
    for outcome in outcomes.values():
        counts[outcome] += 1
    return replace(
        run,
        wave=tuple(subject for subject in run.wave if subject not in outcomes),
        counts=counts,
        failures=(*run.failures, *failures)[:FAILURES_KEPT],
    )


def held_version(
    subscription: Subscription | None, kind: PackageKind, package_id: PackageId
) -> int | None:
    """Which version of the package the subscription holds; None if it has ended or holds none."""
    if subscription is None or not subscription.is_live:
        return None
    if kind is PackageKind.PLAN:
        return subscription.plan_version if subscription.plan_id == package_id else None
    return next((addon.version for addon in subscription.addons if addon.id == package_id), None)


def held_quantity(subscription: Subscription, kind: PackageKind, package_id: PackageId) -> int:
    """How often the subscription holds the package; a plan is held once."""
    if kind is PackageKind.PLAN:
        return 1
    return next((addon.quantity for addon in subscription.addons if addon.id == package_id), 0)


def at_version(
    subscription: Subscription, kind: PackageKind, package_id: PackageId, version: int
) -> Subscription:
    """The subscription with that version of the package in place of the one it holds."""
    if kind is PackageKind.PLAN:
        return replace(subscription, plan_version=version)
    addons: tuple[SubscribedAddon, ...] = tuple(
        replace(addon, version=version) if addon.id == package_id else addon
        for addon in subscription.addons
    )
    return replace(subscription, addons=addons)
