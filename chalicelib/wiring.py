"""The composition root: which adapter stands behind each port.

Built once a process, and each expensive part only when it is first needed: a check must not pay for Stripe's SDK.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from chalicelib import settings
from chalicelib.adapters.dynamodb.hot_reader import HotSnapshotReader
from chalicelib.adapters.dynamodb.quick_keys import QuickKeys
from chalicelib.adapters.dynamodb.snapshot_reader import DynamoSnapshotReader
from chalicelib.adapters.hot_client import HotClient
from chalicelib.adapters.secrets import AwsSecrets
from chalicelib.adapters.sigv4 import DYNAMODB, SQS, Credentials, Service
from chalicelib.adapters.sqs import SqsQueue
from chalicelib.adapters.system import SystemClock, TimeSortedIds
from chalicelib.domain.billing_accounts import Connecting
from chalicelib.domain.drift_policies import DriftPolicy, DuplicatePolicy
from chalicelib.domain.errors import BillingNotConfiguredError, SigningNotConfiguredError
from chalicelib.domain.request_rates import RequestRate
from chalicelib.ports import Environment, Ports
from chalicelib.services.audit_chain import ChainedLedger, ChainedStore
from chalicelib.services.billing_account import account_in_use
from chalicelib.settings import STRIPE_API_BASE, Settings, SettingsError
from chalicelib.telemetry import LogMonitor

if TYPE_CHECKING:
    from chalicelib.adapters.dynamodb.quick_store import OrdinaryStore
    from chalicelib.domain.billing import ProviderEvent
    from chalicelib.domain.customer_tokens import TokenSecret
    from chalicelib.ports import (
        AccountConnector,
        BillingProvider,
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
    client = _hot_client(loaded, machine, DYNAMODB)
    clock: Clock = machine
    if loaded.has_test_clock:
        from chalicelib.adapters.shifted_clock import ShiftedClock  # noqa: PLC0415

        quiet = LogMonitor(stage=loaded.stage, clock=machine)
        clock = ShiftedClock(machine, _store(loaded, client, machine, quiet))
    monitor = LogMonitor(stage=loaded.stage, clock=clock)
    ids = TimeSortedIds(clock)
    region, endpoint_url = loaded.aws_region, loaded.aws_endpoint_url
    secrets = Secrets(loaded, AwsSecrets(region=region, endpoint_url=endpoint_url, clock=machine))
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
            connecting=Connecting(loaded.stripe_connect) if loaded.stripe_connect else None,
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
        ),
        providers=ConfiguredProviders(
            Supplies(
                settings=loaded,
                secrets=secrets,
                store=store,
                clock=clock,
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


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets that the settings name, as they are now; what is wrong with one is told without it."""

    settings: Settings
    source: AwsSecrets

    def stripe_key(self) -> str:
        """The key, of this environment's mode."""
        setting = self.settings.stripe_secret_key
        if setting is None:
            raise BillingNotConfiguredError("The environment has no STRIPE_SECRET_KEY.")
        key = self.source.text(setting).strip()
        try:
            settings.check_stripe_key(key, live=self.settings.live)
        except SettingsError as error:
            raise BillingNotConfiguredError(str(error)) from None
        return key

    def token_secrets(self) -> tuple[TokenSecret, ...]:
        """What customer tokens are signed with, the one that signs first."""
        from chalicelib.domain.customer_tokens import TokenSecret  # noqa: PLC0415

        try:
            return tuple(
                TokenSecret(secret.encode())
                for setting in self.settings.token_secrets
                for secret in settings.token_secrets(self.source.text(setting))
            )
        except (
            SettingsError,
            BillingNotConfiguredError,
        ) as error:  # weak, or not where it should be
            raise SigningNotConfiguredError(str(error)) from None

    def webhook_secrets(self) -> tuple[str, ...]:
        """Every secret that a delivery may be signed with: two while they are rolled."""
        try:
            return tuple(
                secret
                for setting in self.settings.stripe_webhook_secrets
                for secret in settings.webhook_secrets(self.source.text(setting))
            )
        except SettingsError as error:
            raise BillingNotConfiguredError(str(error)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplies:
    """What a billing provider may be made from. `account_id`: on whose behalf it acts; None: its key's own account."""

    settings: Settings
    secrets: Secrets
    store: Store
    clock: Clock
    patience_seconds: float
    background: bool = False
    account_id: str | None = None


def _stripe(supplies: Supplies) -> BillingProvider:
    # Here and nowhere else: the SDK costs more to import than a check takes.
    from chalicelib.adapters.billing.stripe.connection import Patience  # noqa: PLC0415
    from chalicelib.adapters.billing.stripe.movable import MovableStripe  # noqa: PLC0415
    from chalicelib.adapters.billing.stripe.provider import StripeProvider  # noqa: PLC0415
    from chalicelib.adapters.billing.stripe.throttle import background_throttle  # noqa: PLC0415

    make = StripeProvider
    if supplies.settings.has_test_clock and supplies.settings.stripe_api_base != STRIPE_API_BASE:
        make = MovableStripe
    return make(
        api_key=supplies.secrets.stripe_key(),
        clock=supplies.clock,
        api_base=supplies.settings.stripe_api_base,
        patience=Patience(budget_seconds=supplies.patience_seconds),
        throttle=(
            background_throttle(supplies.clock, live=supplies.settings.live)
            if supplies.background
            else None
        ),
        account_id=supplies.account_id,
    )


def _stripe_accounts(supplies: Supplies) -> AccountConnector | None:
    from chalicelib.adapters.billing.stripe.accounts import StripeAccounts  # noqa: PLC0415
    from chalicelib.adapters.billing.stripe.connection import Connection, Patience  # noqa: PLC0415

    loaded = supplies.settings
    if loaded.stripe_client_id is None:
        return None

    def connect(account_id: str | None) -> Connection:
        return Connection(
            api_key=supplies.secrets.stripe_key(),
            clock=supplies.clock,
            api_base=loaded.stripe_api_base,
            patience=Patience(budget_seconds=supplies.patience_seconds),
            account_id=account_id,
            client_id=loaded.stripe_client_id,
        )

    return StripeAccounts(
        connect,
        live=loaded.live,
        provider=lambda account_id: _stripe(replace(supplies, account_id=account_id)),
    )


def _manual(supplies: Supplies) -> BillingProvider:
    from chalicelib.adapters.billing.manual.provider import ManualProvider  # noqa: PLC0415

    return ManualProvider(store=supplies.store, clock=supplies.clock)


# Every provider there is: adding one is its package and its line here.
PROVIDERS: Final[Mapping[str, Callable[[Supplies], BillingProvider]]] = {
    "stripe": _stripe,
    "manual": _manual,
}
# Those that can act on behalf of accounts which somebody connects.
CONNECTORS: Final[Mapping[str, Callable[[Supplies], AccountConnector | None]]] = {
    "stripe": _stripe_accounts,
}


class ConfiguredProviders:
    """The providers that the settings name."""

    def __init__(self, supplies: Supplies) -> None:
        """None is built yet; raises `SettingsError` for a name that no provider has."""
        self._supplies = supplies
        self._built: dict[str, tuple[str | None, str | None, BillingProvider]] = {}
        unknown = [name for name in self.names() if name not in PROVIDERS]
        if unknown:
            raise SettingsError(
                f"PAYGRADE_BILLING_PROVIDERS names {unknown[0]!r}; there are {', '.join(PROVIDERS)}."
            )

    def names(self) -> Sequence[str]:
        """In the order in which they are told of changes."""
        return self._supplies.settings.billing_providers

    def get(self, name: str) -> BillingProvider:
        """That provider."""
        if name not in self.names():
            raise BillingNotConfiguredError(f"The environment has no billing provider {name!r}.")
        # With another key, or for another account, it is built anew: both change while processes live.
        key = self._supplies.secrets.stripe_key() if name == "stripe" else None
        account_id = self._account(name)
        built = self._built.get(name)
        if built is None or built[:2] != (key, account_id):
            provider = PROVIDERS[name](replace(self._supplies, account_id=account_id))
            built = (key, account_id, provider)
            self._built[name] = built
        return built[2]

    def connector(self, name: str) -> AccountConnector | None:
        """What connects an account of that provider."""
        if name not in self.names() or name not in CONNECTORS:
            return None
        return CONNECTORS[name](self._supplies)

    def _account(self, name: str) -> str | None:
        loaded = self._supplies.settings
        if name not in CONNECTORS or loaded.stripe_connect is None:
            return None
        return account_in_use(self._supplies.store, name, Connecting(loaded.stripe_connect))


class ConfiguredEventReader:
    """Reads Stripe's events, if the environment has a secret to verify them with."""

    def __init__(self, loaded: Settings, secrets: Secrets, clock: Clock) -> None:
        self._configured = bool(loaded.stripe_webhook_secrets)
        self._secrets = secrets
        self._clock = clock

    def read(self, body: bytes, signature: str | None) -> ProviderEvent:
        """The event; without a secret nothing can be verified, so nothing is taken."""
        if not self._configured:
            raise BillingNotConfiguredError("The environment has no STRIPE_WEBHOOK_SECRETS.")
        from chalicelib.adapters.billing.stripe.events import StripeEventReader  # noqa: PLC0415

        reader = StripeEventReader(self._secrets.webhook_secrets(), self._clock)
        return reader.read(body, signature)
