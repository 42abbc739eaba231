"""Billing links on the wire: where an object's counterpart is at each provider."""

from datetime import datetime

from chalicelib.api.wire import Wire
from chalicelib.domain.billing import BillingLink, SyncStatus


class BillingOut(Wire):
    """One provider's counterpart of an object."""

    provider: str
    billing_id: str | None
    url: str | None
    sync_status: SyncStatus
    error: str | None
    synced_at: datetime | None

    @classmethod
    def from_domain(cls, link: BillingLink) -> "BillingOut":
        """The link as it is shown."""
        return cls(
            provider=link.provider,
            billing_id=link.billing_id,
            url=link.url,
            sync_status=link.sync_status,
            error=link.error,
            synced_at=link.synced_at,
        )
