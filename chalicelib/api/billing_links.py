"""How an object's counterparts at billing providers are shown."""

from collections.abc import Iterable
from datetime import datetime

from chalicelib.api.wire import Wire
from chalicelib.domain.billing import BillingLink, SyncStatus


class BillingLinkOut(Wire):
    """The object at one billing provider."""

    provider: str
    billing_id: str | None
    url: str | None
    sync_status: SyncStatus
    error: str | None
    synced_at: datetime | None


def links_from_domain(links: Iterable[BillingLink]) -> tuple[BillingLinkOut, ...]:
    """The links as they are shown."""
    return tuple(
        BillingLinkOut(
            provider=link.provider,
            billing_id=link.billing_id,
            url=link.url,
            sync_status=link.sync_status,
            error=link.error,
            synced_at=link.synced_at,
        )
        for link in links
    )
