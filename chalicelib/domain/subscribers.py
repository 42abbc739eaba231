"""Who holds which version of a plan or add-on: one small record for each live hold, found by package.

It follows from the subscription and is written with it, so a list of a package's subscribers is never behind.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from chalicelib.domain.ids import CustomerId, PackageId, SubscriptionId
from chalicelib.domain.plans import PackageKind, version_key
from chalicelib.domain.subscriptions import Subscription

# So that a package that everybody has is no hot spot. Changing it hides the records that are stored.
SHARDS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """A live subscription that holds this version of this package."""

    kind: PackageKind
    package_id: PackageId
    version: int
    customer_id: CustomerId
    subscription_id: SubscriptionId

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one hold from another: by package and shard, then in the order of versions."""
        return (
            self.kind,
            self.package_id,
            shard_key(shard_of(self.customer_id)),
            version_key(self.version),
            self.customer_id,
            self.subscription_id,
        )


def shard_of(customer_id: CustomerId) -> int:
    """The shard that all holds of this customer are in."""
    return sha256(customer_id.encode()).digest()[0] % SHARDS


def shard_key(shard: int) -> str:
    """A shard as part of an identity."""
    return f"{shard:02d}"


def holds_of(subscription: Subscription | None) -> Iterator[Subscriber]:
    """A hold for the plan and for each add-on; none of a subscription that has ended."""
    if subscription is None or not subscription.is_live:
        return
    packages = [(PackageKind.PLAN, subscription.plan_id, subscription.plan_version)]
    packages += [(PackageKind.ADDON, addon.id, addon.version) for addon in subscription.addons]
    for kind, package_id, version in packages:
        yield Subscriber(
            kind=kind,
            package_id=package_id,
            version=version,
            customer_id=subscription.customer_id,
            subscription_id=subscription.id,
        )
