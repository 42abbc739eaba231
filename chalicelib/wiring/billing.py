"""Which billing providers there are, what each is made from, and on whose behalf it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from chalicelib.domain.errors import BillingNotConfiguredError, InvalidSignatureError
from chalicelib.settings import STRIPE_API_BASE, Settings, SettingsError

if TYPE_CHECKING:
    from chalicelib.domain.billing import ProviderEvent
    from chalicelib.domain.billing_accounts import Connecting
    from chalicelib.ports import AccountConnector, BillingProvider, Clock, Monitor, Store
    from chalicelib.wiring.secrets import Secrets


def connecting(loaded: Settings) -> Connecting | None:
    """Whether accounts are connected; None: the environment's own keys say whose they are."""
    if loaded.stripe_connect is None:
        return None
    # Imported late: nearly every environment has a key of its own, and no check needs to know.
    from chalicelib.domain.billing_accounts import Connecting  # noqa: PLC0415

    return Connecting(loaded.stripe_connect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplies:
    """What a billing provider may be made from. `account_id`: on whose behalf it acts; None: its key's own account."""

    settings: Settings
    secrets: Secrets
    store: Store
    clock: Clock
    monitor: Monitor
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
        on_key_rejected=lambda: _doubt_stripe_key(supplies),
    )


def _doubt_stripe_key(supplies: Supplies) -> None:
    """The next call has the key that is kept now, and operators can see why this one failed."""
    supplies.secrets.doubt_stripe_key()
    supplies.monitor.event("billing_key_rejected", provider="stripe")


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
            on_key_rejected=lambda: _doubt_stripe_key(supplies),
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
        wanted = connecting(self._supplies.settings) if name in CONNECTORS else None
        if wanted is None:
            return None
        from chalicelib.services.billing_account import account_in_use  # noqa: PLC0415

        return account_in_use(self._supplies.store, name, wanted)


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

        known = self._secrets.webhook_secrets()
        try:
            return StripeEventReader(known, self._clock).read(body, signature)
        except InvalidSignatureError:
            # Rubbish, or the first delivery of an endpoint whose secret is newer than what this process has read.
            self._secrets.doubt_webhook_secrets()
            current = self._secrets.webhook_secrets()
            if current == known:
                raise
        return StripeEventReader(current, self._clock).read(body, signature)
