"""The composition root: which adapter stands behind each port.

Built once a process, and each expensive part only when it is first needed: a check must not pay for Stripe's SDK.
"""

from collections.abc import Sequence
from functools import cache, cached_property

from chalicelib import settings
from chalicelib.adapters.billing.stripe.events import StripeEventReader
from chalicelib.adapters.dynamodb.hot_reader import HotSnapshotReader
from chalicelib.adapters.dynamodb.sigv4 import Credentials
from chalicelib.adapters.dynamodb.snapshot_reader import DynamoSnapshotReader
from chalicelib.adapters.dynamodb.store import DynamoStore
from chalicelib.adapters.sqs import SqsQueue
from chalicelib.adapters.system import SystemClock, TimeSortedIds
from chalicelib.domain.billing import ProviderEvent
from chalicelib.domain.errors import BillingNotConfiguredError
from chalicelib.ports import (
    BillingProvider,
    CheckoutProvider,
    Clock,
    Environment,
    Monitor,
    Ports,
    SnapshotReader,
)
from chalicelib.settings import Settings
from chalicelib.telemetry import LogMonitor

_STRIPE = "stripe"


# Somebody waits for an API call, and the gateway gives up after 29 seconds: a provider that does not answer soon
# becomes a 503, or, for a webhook, a task for the queue. Workers have the time to be patient.
_INTERACTIVE_SECONDS = 4.0
_WORKER_SECONDS = 12.0


@cache
def ports(*, interactive: bool = False) -> Ports:
    """The ports of this process's environment; `interactive` ones do not keep a caller waiting for a provider."""
    return build(settings.load(), interactive=interactive)


def build(loaded: Settings, *, interactive: bool = False) -> Ports:
    """The ports of the environment that these settings describe."""
    clock = SystemClock()
    monitor = LogMonitor(stage=loaded.stage, clock=clock)
    ids = TimeSortedIds(clock)
    region, endpoint_url = loaded.aws_region, loaded.aws_endpoint_url
    return Ports(
        environment=Environment(
            name=loaded.stage,
            live=loaded.live,
            public_url=loaded.public_url,
            return_origins=loaded.return_origins,
            billing_api_version=settings.STRIPE_API_VERSION,
        ),
        store=DynamoStore(
            stage=loaded.stage, region=region, endpoint_url=endpoint_url, clock=clock
        ),
        snapshots=_snapshot_reader(loaded, clock, monitor),
        queue=SqsQueue(stage=loaded.stage, region=region, endpoint_url=endpoint_url, ids=ids),
        providers=ConfiguredProviders(
            loaded, clock, _INTERACTIVE_SECONDS if interactive else _WORKER_SECONDS
        ),
        billing_events=ConfiguredEventReader(loaded, clock),
        clock=clock,
        ids=ids,
        monitor=monitor,
    )


def _snapshot_reader(loaded: Settings, clock: Clock, monitor: Monitor) -> SnapshotReader:
    stage, region, endpoint_url = loaded.stage, loaded.aws_region, loaded.aws_endpoint_url
    ordinary = DynamoSnapshotReader(stage=stage, region=region, endpoint_url=endpoint_url)
    if loaded.aws_keys is None:
        return ordinary
    credentials = Credentials(*loaded.aws_keys)
    return HotSnapshotReader(
        stage=stage,
        region=region,
        endpoint_url=endpoint_url,
        credentials=lambda: credentials,
        fallback=ordinary,
        clock=clock,
        monitor=monitor,
    )


class ConfiguredProviders:
    """The providers for which the environment has credentials."""

    def __init__(self, loaded: Settings, clock: Clock, patience_seconds: float) -> None:
        self._settings = loaded
        self._clock = clock
        self._patience_seconds = patience_seconds

    def names(self) -> Sequence[str]:
        """In the order in which they are told of changes."""
        return (_STRIPE,) if self._settings.stripe_secret_key else ()

    def get(self, name: str) -> BillingProvider:
        """That provider."""
        if name != _STRIPE:
            raise BillingNotConfiguredError(f"There is no billing provider {name!r}.")
        return self._stripe

    def checkout(self) -> CheckoutProvider:
        """The provider that takes payments."""
        return self._stripe

    @cached_property
    def _stripe(self) -> CheckoutProvider:
        key = self._settings.stripe_secret_key
        if key is None:
            raise BillingNotConfiguredError("The environment has no STRIPE_SECRET_KEY.")
        # Here and nowhere else: the SDK costs more to import than a check takes.
        from chalicelib.adapters.billing.stripe.connection import Patience  # noqa: PLC0415
        from chalicelib.adapters.billing.stripe.provider import StripeProvider  # noqa: PLC0415

        return StripeProvider(
            api_key=key,
            clock=self._clock,
            api_base=self._settings.stripe_api_base,
            patience=Patience(budget_seconds=self._patience_seconds),
        )


class ConfiguredEventReader:
    """Reads Stripe's events, if the environment has a secret to verify them with."""

    def __init__(self, loaded: Settings, clock: Clock) -> None:
        secrets = loaded.stripe_webhook_secrets
        self._reader = StripeEventReader(secrets, clock) if secrets else None

    def read(self, body: bytes, signature: str | None) -> ProviderEvent:
        """The event; without a secret nothing can be verified, so nothing is taken."""
        if self._reader is None:
            raise BillingNotConfiguredError("The environment has no STRIPE_WEBHOOK_SECRETS.")
        return self._reader.read(body, signature)
