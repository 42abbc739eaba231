"""What an environment is, and everything that a service may need of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.domain.drift_policies import DriftPolicy, DuplicatePolicy
from chalicelib.domain.request_rates import USUAL_RATE, RequestRate
from chalicelib.ports.billing import EventReader, Providers
from chalicelib.ports.messages import Queue
from chalicelib.ports.storing import SnapshotReader, Store, UsageLedger
from chalicelib.ports.system import Clock, Ids, Monitor, TokenSigner
from chalicelib.ports.webhooks import WebhookSender

if TYPE_CHECKING:
    from chalicelib.domain.billing_accounts import Connecting
    from chalicelib.domain.customer_tokens import TokenSecret


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What an environment is called and may do. `connecting`: on whose behalf it sells; None: of its keys' owner."""

    name: str
    live: bool
    public_url: str
    return_origins: tuple[str, ...]
    billing_api_version: str
    drift_policy: DriftPolicy = DriftPolicy.RESTORE
    has_test_clock: bool = False
    duplicates: DuplicatePolicy = DuplicatePolicy.REFUND
    checkouts_per_minute: int = 5
    request_rate: RequestRate = USUAL_RATE
    browser_origins: tuple[str, ...] = ()
    connecting: Connecting | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything a service may need.

    `token_secrets` are those of now: the first signs customer tokens, all of them are accepted. Without a `signer` no
    entitlement tokens are signed.
    """

    environment: Environment
    store: Store
    snapshots: SnapshotReader
    usage: UsageLedger
    queue: Queue
    providers: Providers
    billing_events: EventReader
    webhooks: WebhookSender
    clock: Clock
    ids: Ids
    monitor: Monitor
    token_secrets: Callable[[], tuple[TokenSecret, ...]] = tuple
    signer: TokenSigner | None = None
