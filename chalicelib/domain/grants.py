"""Grants: what one customer has besides its subscriptions, given by hand, for a time or for life."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from chalicelib.domain.entitlements import Entitlement
from chalicelib.domain.ids import CustomerId

# How long a grant that is over still tells that it was there; the audit log tells it for ever.
REMEMBERED_FOR: Final = timedelta(days=90)


class GrantStatus(StrEnum):
    """Whether the grant still gives its entitlement."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One entitlement of one customer, from `created_at` until it expires (None: never) or is revoked.

    With a `resource_id` it is that resource's (a workspace, a project) and not the whole customer's.
    """

    id: str
    customer_id: CustomerId
    entitlement: Entitlement
    resource_id: str | None = None
    expires_at: datetime | None = None
    reason: str | None = None
    revoked_at: datetime | None = None
    version: int = 1
    created_at: datetime

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one grant from another, inside its customer."""
        return (self.customer_id, self.id)

    @property
    def ends_at(self) -> datetime | None:
        """When it is over; None if that is not known."""
        ends = [end for end in (self.expires_at, self.revoked_at) if end is not None]
        return min(ends, default=None)

    def status(self, now: datetime) -> GrantStatus:
        """What it is at this instant."""
        if self.revoked_at is not None and self.ends_at == self.revoked_at:
            return GrantStatus.REVOKED
        if self.expires_at is not None and now >= self.expires_at:
            return GrantStatus.EXPIRED
        return GrantStatus.ACTIVE


def in_force(grants: Iterable[Grant], now: datetime) -> tuple[Grant, ...]:
    """The grants that give something now."""
    return tuple(grant for grant in grants if grant.status(now) is GrantStatus.ACTIVE)
