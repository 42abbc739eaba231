"""What this provider holds: two kinds of document, and pointers from the ids inside them.

A product is one document with all its prices, a customer one with all its subscriptions: whatever must change
together is written together. `made_with` digests the request that made a thing, to know a repetition by.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.domain.billing import ProviderChange, ProviderItem
from chalicelib.domain.errors import ProviderRefusedError
from chalicelib.domain.ids import derived_id
from chalicelib.domain.plain import plain
from chalicelib.domain.prices import BillingPeriod, Price

ENTITY_URL = "paygrade_entity_url"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPrice:
    """A price: its money never changes, its slot and whether it is sold do."""

    billing_id: str
    made_with: str
    price: Price
    lookup_key: str | None
    active: bool = True
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldProduct:
    """A product and all its prices, archived ones too, oldest first."""

    name: str
    description: str | None
    active: bool
    metadata: Mapping[str, str]
    prices: tuple[HeldPrice, ...] = ()
    default_price: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldChange:
    """What is put down for later, and in which periods it is then charged."""

    change: ProviderChange
    period: BillingPeriod | None
    interval_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldSubscription:
    """What a customer agreed to. Its periods follow from when it began, so no job has to renew it.

    `anchor` is when its periods began to count anew, because another interval was agreed to.
    """

    billing_id: str
    made_with: str
    items: tuple[ProviderItem, ...]
    currency: str
    period: BillingPeriod | None
    interval_count: int
    started_at: datetime
    cancel_at: datetime | None = None
    ended_at: datetime | None = None
    anchor: datetime | None = None
    scheduled: HeldChange | None = None
    is_paused: bool = False
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCustomer:
    """Whom to invoice, and for which subscriptions, oldest first."""

    billing_id: str
    made_with: str
    metadata: Mapping[str, str]
    name: str | None = None
    email: str | None = None
    subscriptions: tuple[HeldSubscription, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """Which document the price or the subscription of an id is in."""

    key: str


def digest(*request: object) -> str:
    """A text that equal requests have in common."""
    return derived_id("", json.dumps(plain(request), sort_keys=True))


def require_same(made_with: str, request_digest: str) -> None:
    """Nothing, if the key came with the request that it came with first."""
    if made_with != request_digest:
        raise ProviderRefusedError(
            "The idempotency key was used with other parameters.", provider_code="idempotency_error"
        )


def missing(kind: str, key: str) -> ProviderRefusedError:
    """The refusal of what names something that is not there."""
    return ProviderRefusedError(f"No such {kind}: {key}", provider_code="resource_missing")
