"""The composition root: which adapter stands behind each port.

Built once a process, and each expensive part only when it is first needed: a check must not pay for Stripe's SDK.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from chalicelib import settings
from chalicelib.adapters.dynamodb.hot_reader import HotSnapshotReader
from chalicelib.adapters.dynamodb.quick_keys import QuickKeys
from chalicelib.adapters.dynamodb.snapshot_reader import DynamoSnapshotReader
from chalicelib.adapters.hot_client import HotClient
from chalicelib.adapters.secrets import AwsSecrets, KeptSecrets
from chalicelib.adapters.sigv4 import DYNAMODB, SQS, Credentials, Service
from chalicelib.adapters.sqs import SqsQueue
from chalicelib.adapters.system import SystemClock, TimeSortedIds
from chalicelib.domain.drift_policies import DriftPolicy, DuplicatePolicy
from chalicelib.domain.request_rates import RequestRate
from chalicelib.ports import Environment, Ports
from chalicelib.services.audit_chain import ChainedLedger, ChainedStore
from chalicelib.settings import Settings
from chalicelib.telemetry import LogMonitor
from chalicelib.wiring.billing import (
    ConfiguredEventReader,
    ConfiguredProviders,
    Supplies,
    connecting,
)
from chalicelib.wiring.secrets import Secrets

if TYPE_CHECKING:
    from chalicelib.adapters.dynamodb.quick_store import OrdinaryStore
    from chalicelib.ports import (
        Clock,
        Monitor,
        SnapshotReader,
        Store,
        TokenSigner,
        UsageLedger,
        WebhookSender,
    )

T = TypeVar("T")

# Somebody waits for an API call, and the gateway gives up after 29 seconds: a provider that does not answer soon
# becomes a 503, or, for a webhook, a task for the queue. Workers have the time to be patient.
_INTERACTIVE_SECONDS = 4.0
_WORKER_SECONDS = 12.0


@cache
def ports(*, interactive: bool = False, background: bool = False) -> Ports:
    """The ports of this process's environment.

    `interactive` ones do not keep a caller waiting for a provider; `background` ones leave most of what a provider
    takes to others.
    """
    return build(settings.load(), interactive=interactive, background=background)


def build(loaded: Settings, *, interactive: bool = False, background: bool = False) -> Ports:
    """The ports of the environment that these settings describe."""
    machine = SystemClock()
    # By the machine's clock wherever the environment's stands: CloudWatch drops metrics of more than two hours ahead.
    monitor = LogMonitor(stage=loaded.stage, clock=machine)
    client = _hot_client(loaded, machine, DYNAMODB)
    clock: Clock = machine
    if loaded.has_test_clock:
        from chalicelib.adapters.shifted_clock import ShiftedClock  # noqa: PLC0415

        clock = ShiftedClock(machine, _store(loaded, client, machine, monitor))
    ids = TimeSortedIds(clock)
    region, endpoint_url = loaded.aws_region, loaded.aws_endpoint_url
    aws_secrets = AwsSecrets(region=region, endpoint_url=endpoint_url)
    secrets = Secrets(loaded, KeptSecrets(aws_secrets.read, clock=machine, monitor=monitor))
    store = _store(loaded, client, clock, monitor)
    return Ports(
        environment=Environment(
            name=loaded.stage,
            live=loaded.live,
            public_url=loaded.public_url,
            return_origins=loaded.return_origins,
            billing_api_version=settings.STRIPE_API_VERSION,
            drift_policy=DriftPolicy(loaded.drift_policy),
            has_test_clock=loaded.has_test_clock,
            duplicates=DuplicatePolicy(loaded.duplicates),
            checkouts_per_minute=loaded.checkouts_per_minute,
            request_rate=RequestRate(
                per_second=loaded.requests_per_second, burst=loaded.requests_burst
            ),
            browser_origins=loaded.browser_origins,
            connecting=connecting(loaded),
        ),
        store=ChainedStore(store),
        snapshots=_snapshot_reader(loaded, client, monitor),
        usage=deferred(lambda: ChainedLedger(_usage_ledger(loaded, clock), store)),
        queue=SqsQueue(
            stage=loaded.stage,
            region=region,
            endpoint_url=endpoint_url,
            ids=ids,
            hot_client=_hot_client(loaded, machine, SQS),
            monitor=monitor,
        ),
        providers=ConfiguredProviders(
            Supplies(
                settings=loaded,
                secrets=secrets,
                store=store,
                clock=clock,
                monitor=monitor,
                patience_seconds=_INTERACTIVE_SECONDS if interactive else _WORKER_SECONDS,
                background=background,
            )
        ),
        billing_events=ConfiguredEventReader(loaded, secrets, machine),
        webhooks=deferred(lambda: _webhook_sender(loaded, machine)),
        clock=clock,
        ids=ids,
        monitor=monitor,
        token_secrets=secrets.token_secrets,
        signer=deferred(lambda: _signer(loaded)) if loaded.signing_keys else None,
    )


class _Deferred:
    """Becomes what `make` makes when it is first used."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make
        self._made: object | None = None
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- whatever the thing has
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return getattr(self._made, name)


def deferred(make: Callable[[], T]) -> T:
    """The same thing, but built, and its libraries imported, with its first use."""
    return cast("T", _Deferred(make))


def _hot_client(loaded: Settings, clock: Clock, service: Service) -> HotClient | None:
    """None where only the SDK knows where to find credentials."""
    if loaded.aws_keys is None:
        return None
    credentials = Credentials(*loaded.aws_keys)
    return HotClient(
        region=loaded.aws_region,
        endpoint_url=loaded.aws_endpoint_url,
        credentials=lambda: credentials,
        clock=clock,
        service=service,
    )


def _store(loaded: Settings, client: HotClient | None, clock: Clock, monitor: Monitor) -> Store:
    def make_ordinary() -> OrdinaryStore:
        from chalicelib.adapters.dynamodb.store import DynamoStore  # noqa: PLC0415

        return DynamoStore(
            stage=loaded.stage,
            region=loaded.aws_region,
            endpoint_url=loaded.aws_endpoint_url,
            clock=clock,
        )

    ordinary = deferred(make_ordinary)
    if client is None:
        return ordinary

    def make_quick(client: HotClient = client) -> Store:
        # Here, because it brings every kind of record, and a check reads nothing but its key.
        from chalicelib.adapters.dynamodb.quick_store import QuickStore  # noqa: PLC0415

        return QuickStore(
            stage=loaded.stage, client=client, ordinary=ordinary, clock=clock, monitor=monitor
        )

    return QuickKeys(
        stage=loaded.stage,
        client=client,
        base=deferred(make_quick),
        ordinary=ordinary,
        monitor=monitor,
    )


def _usage_ledger(loaded: Settings, clock: Clock) -> UsageLedger:
    from chalicelib.adapters.dynamodb.usage_ledger import DynamoUsageLedger  # noqa: PLC0415

    return DynamoUsageLedger(
        stage=loaded.stage,
        region=loaded.aws_region,
        endpoint_url=loaded.aws_endpoint_url,
        clock=clock,
    )


def _webhook_sender(loaded: Settings, clock: Clock) -> WebhookSender:
    from chalicelib.adapters.webhook_sender import HttpWebhookSender  # noqa: PLC0415

    return HttpWebhookSender(clock, local=loaded.webhook_targets == "local")


def _signer(loaded: Settings) -> TokenSigner:
    from chalicelib.adapters.kms import KmsSigner  # noqa: PLC0415

    return KmsSigner(
        key_ids=loaded.signing_keys,
        region=loaded.aws_region,
        endpoint_url=loaded.aws_endpoint_url,
    )


def _snapshot_reader(
    loaded: Settings, client: HotClient | None, monitor: Monitor
) -> SnapshotReader:
    ordinary = DynamoSnapshotReader(
        stage=loaded.stage, region=loaded.aws_region, endpoint_url=loaded.aws_endpoint_url
    )
    if client is None:
        return ordinary
    return HotSnapshotReader(stage=loaded.stage, client=client, fallback=ordinary, monitor=monitor)
