"""Propagation of the catalog: the outbox item a publication leaves, and what each provider holds of a package."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from chalicelib.domain.billing import SyncStatus
from chalicelib.domain.ids import PackageId
from chalicelib.domain.plans import PackageKind


class SyncTaskStatus(StrEnum):
    """Whether the providers know of the change."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTask:
    """A change of one package that providers must be told of. Written in the transaction of the change itself."""

    id: str
    kind: PackageKind
    package_id: PackageId
    status: SyncTaskStatus
    reason: str
    attempts: int = 0
    error: str | None = None
    created_at: datetime
    updated_at: datetime
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one task from another."""
        return (self.id,)


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
    """What one provider holds of one package.

    The lease lets one worker at a time write to the provider for this package; it outlives any invocation, so
    a worker that lost it is no longer running. `generations` number the idempotency keys of steps that the
    provider answered with a server error, which it would replay under the old key. `product_keys` are those of
    all products that ever held a usage-based price of it.
    """

    provider: str
    kind: PackageKind
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
