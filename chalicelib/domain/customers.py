"""Customers: whoever subscribes, and where billing providers know them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.domain.billing import BillingLink
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import CustomerId, FeatureId
from chalicelib.domain.spreading import SpreadUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """An account of the application, under the application's own id.

    Its usage periods follow the days of `timezone` (an IANA name; None: UTC).
    """

    id: CustomerId
    email: str | None = None
    name: str | None = None
    country: str | None = None
    currency: str | None = None
    timezone: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    status: Lifecycle = Lifecycle.ACTIVE
    links: tuple[BillingLink, ...] = ()
    usage_shards: Mapping[FeatureId, SpreadUsage] = field(default_factory=dict)
    version: int = 1
    created_at: datetime

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one customer from another."""
        return (self.id,)

    def billing_id(self, provider: str) -> str | None:
        """The customer's id at that provider, if it is known there."""
        return next((link.billing_id for link in self.links if link.provider == provider), None)
