"""Propagation of the catalog: the outbox item a publication leaves, and what each provider holds of a package."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from chalicelib.domain.billing import SyncStatus
from chalicelib.domain.ids import PackageId
from chalicelib.domain.plans import PackageKind


class CouponKind(StrEnum):
    """What is propagated besides plans and add-ons."""

    COUPON = "coupon"


SyncedKind = PackageKind | CouponKind


class SyncTaskStatus(StrEnum):
    """Whether the providers know of the change."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOutcome:
    """How far one provider is with the change."""

    provider: str
    status: SyncTaskStatus
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTask:
    """A change of one package or coupon (`package_id` is its id) that providers must be told of.

    Written in the transaction of the change itself. `status` and `error` sum up the `outcomes` at the providers
    that were asked so far.
    """

    id: str
    kind: SyncedKind
    package_id: PackageId
    status: SyncTaskStatus
    reason: str
    attempts: int = 0
    error: str | None = None
    outcomes: tuple[SyncOutcome, ...] = ()
    created_at: datetime
    updated_at: datetime
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one task from another."""
        return (self.id,)


def settled(task: SyncTask) -> dict[str, SyncOutcome]:
    """By provider, the outcomes that another run of the task leaves alone.

    A refusal is one while the task is being repeated for another provider's sake; a run of a task that had ended
    in failure is somebody's wish to try the refusal again.
    """
    final = {SyncTaskStatus.SUCCEEDED}
    if task.status is SyncTaskStatus.PENDING:
        final.add(SyncTaskStatus.FAILED)
    return {one.provider: one for one in task.outcomes if one.status in final}


def after_outcomes(task: SyncTask, outcomes: Sequence[SyncOutcome], now: datetime) -> SyncTask:
    """The task after a run: pending while any provider has to be asked again, failed if any has refused."""
    statuses = {outcome.status for outcome in outcomes}
    worst = (
        status for status in (SyncTaskStatus.PENDING, SyncTaskStatus.FAILED) if status in statuses
    )
    errors = [one for one in outcomes if one.error is not None]
    return replace(
        task,
        status=next(worst, SyncTaskStatus.SUCCEEDED),
        error=_summary(errors, several=len(outcomes) > 1),
        outcomes=tuple(outcomes),
        attempts=task.attempts + 1,
        updated_at=now,
        revision=task.revision + 1,
    )


def to_retry(task: SyncTask, now: datetime) -> SyncTask:
    """The task with everything but its successes to be tried again."""
    done = tuple(one for one in task.outcomes if one.status is SyncTaskStatus.SUCCEEDED)
    return replace(
        task,
        status=SyncTaskStatus.PENDING,
        outcomes=done,
        updated_at=now,
        revision=task.revision + 1,
    )


def _summary(errors: Sequence[SyncOutcome], *, several: bool) -> str | None:
    if not errors:
        return None
    return " ".join(f"{one.provider}: {one.error}" if several else str(one.error) for one in errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLink:
    """The provider's price that stands for one of ours with this money; kept after archiving, for old subscribers."""

    price_id: str
    fingerprint: str
    billing_id: str
    url: str | None
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogLink:
    """What one provider holds of one package, or of one coupon: then `package_id` is its id, `prices` its codes.

    The lease lets one worker at a time write to the provider for this package; it outlives any invocation, so
    a worker that lost it is no longer running. `generations` number the idempotency keys of steps that the
    provider answered with a server error, which it would replay under the old key. `product_keys` are those of
    all products that ever held a usage-based price of it.
    """

    provider: str
    kind: SyncedKind
    package_id: PackageId
    sync_status: SyncStatus
    billing_id: str | None = None
    url: str | None = None
    prices: tuple[PriceLink, ...] = ()
    product_keys: tuple[str, ...] = ()
    error: str | None = None
    synced_version: int | None = None
    synced_at: datetime | None = None
    lease_until: datetime | None = None
    lease_owner: str | None = None
    generations: Mapping[str, int] = field(default_factory=dict)
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one link from another."""
        return (self.kind, self.package_id, self.provider)

    def price(self, price_id: str, fingerprint: str) -> PriceLink | None:
        """The provider's price for this money of this price, if it was ever created: the one sold now, if any is."""
        wanted = (price_id, fingerprint)
        found = [link for link in self.prices if (link.price_id, link.fingerprint) == wanted]
        return max(found, key=lambda link: link.active, default=None)
