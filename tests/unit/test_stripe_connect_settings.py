"""Whose Stripe account an environment works with: what the settings say, and what the composition root makes of it."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from chalicelib import settings, wiring
from chalicelib.adapters.billing.stripe.accounts import StripeAccounts
from chalicelib.adapters.billing.stripe.provider import StripeProvider
from chalicelib.adapters.secrets import AwsSecrets, KeptSecrets
from chalicelib.domain.billing_accounts import (
    AccountStatus,
    BillingAccount,
    Connecting,
)
from chalicelib.domain.errors import BillingNotConnectedError
from chalicelib.ports import Anyhow, Put
from chalicelib.settings import Settings, SettingsError
from chalicelib.wiring.billing import ConfiguredProviders, Supplies
from chalicelib.wiring.secrets import Secrets
from tests.fakes.store import InMemoryStore
from tests.fakes.system import FakeClock, RecordingMonitor

BASE = {"PAYGRADE_PUBLIC_URL": "https://api.example.test", "STRIPE_SECRET_KEY": "sk_test_1"}
PLATFORM = {**BASE, "STRIPE_CONNECT_CLIENT_ID": "ca_123abc"}
OPTIONAL = {"PAYGRADE_STRIPE_CONNECT": "optional"}
NOW = datetime(2026, 11, 29, tzinfo=UTC)


@dataclass
class Root:
    """The composition root of an environment over a store in memory."""

    loaded: Settings

    def __post_init__(self) -> None:
        clock, monitor = FakeClock(), RecordingMonitor()
        self.store = InMemoryStore(clock)
        aws = AwsSecrets(region="us-east-1", endpoint_url=None)
        source = KeptSecrets(aws.read, clock=clock, monitor=monitor)
        self.providers = ConfiguredProviders(
            Supplies(
                settings=self.loaded,
                secrets=Secrets(self.loaded, source),
                store=self.store,
                clock=clock,
                monitor=monitor,
                patience_seconds=4.0,
            )
        )

    def connect(self, account_id: str, status: AccountStatus = AccountStatus.CONNECTED) -> None:
        account = BillingAccount(
            provider="stripe",
            account_id=account_id,
            is_own=False,
            status=status,
            connected_at=NOW,
            changed_at=NOW,
        )
        self.store.commit(Put(account, Anyhow()))

    def page(self) -> str | None:
        """Where the provider of this moment shows a product: the address names the account."""
        provider = self.providers.get("stripe")
        assert isinstance(provider, StripeProvider)
        return provider.product_url("p")


def test_key_alone_is_its_own_account_and_connects_nothing() -> None:
    root = Root(settings.load(BASE))
    assert wiring.build(settings.load(BASE)).environment.connecting is None
    assert root.providers.connector("stripe") is None
    assert root.page() == "https://dashboard.stripe.com/test/products/p"
    root.connect(
        "acct_1"
    )  # left from before the client id was taken out: the key is the account's own by now
    assert root.page() == "https://dashboard.stripe.com/test/products/p"


def test_platform_works_with_the_account_that_is_connected_at_that_moment() -> None:
    root = Root(settings.load(PLATFORM))
    assert wiring.build(settings.load(PLATFORM)).environment.connecting is Connecting.REQUIRED
    assert isinstance(root.providers.connector("stripe"), StripeAccounts)
    assert root.providers.connector("manual") is None
    with pytest.raises(BillingNotConnectedError):
        root.providers.get("stripe")
    root.connect("acct_1")
    first = root.providers.get("stripe")
    assert root.page() == "https://dashboard.stripe.com/acct_1/test/products/p"
    assert root.providers.get("stripe") is first
    root.connect("acct_2")
    assert root.page() == "https://dashboard.stripe.com/acct_2/test/products/p"
    root.connect("acct_2", AccountStatus.REVOKED)
    with pytest.raises(BillingNotConnectedError):
        root.providers.get("stripe")


def test_platform_with_optional_account_begins_with_its_own() -> None:
    root = Root(settings.load({**PLATFORM, **OPTIONAL}))
    assert root.page() == "https://dashboard.stripe.com/test/products/p"


def test_platform_in_live_mode_has_live_pages() -> None:
    live = {**PLATFORM, "PAYGRADE_MODE": "live", "STRIPE_SECRET_KEY": "sk_live_1"}
    root = Root(settings.load(live))
    root.connect("acct_1")
    assert root.page() == "https://dashboard.stripe.com/acct_1/products/p"


@pytest.mark.parametrize("text", ["", " ", "acct_1", "sk_test_1", "ca_", "ca_1 ", "ca_<x>"])
def test_client_id_that_is_none_is_refused_by_the_variables_name(text: str) -> None:
    with pytest.raises(SettingsError, match="STRIPE_CONNECT_CLIENT_ID"):
        settings.load({**BASE, "STRIPE_CONNECT_CLIENT_ID": text})


def test_client_id_without_a_key_is_refused() -> None:
    with pytest.raises(SettingsError, match="STRIPE_SECRET_KEY is missing"):
        settings.load({"PAYGRADE_PUBLIC_URL": "https://a.test", "STRIPE_CONNECT_CLIENT_ID": "ca_1"})


@pytest.mark.parametrize("text", ["", "yes", "Optional"])
def test_connect_setting_that_is_none_is_refused_by_the_variables_name(text: str) -> None:
    with pytest.raises(SettingsError, match="PAYGRADE_STRIPE_CONNECT"):
        settings.load({**PLATFORM, "PAYGRADE_STRIPE_CONNECT": text})


@pytest.mark.parametrize("text", ["required", "optional"])
def test_connect_setting_without_a_platform_is_refused(text: str) -> None:
    """Silently working with the key's own account is what `required` is there to prevent."""
    with pytest.raises(SettingsError, match="STRIPE_CONNECT_CLIENT_ID is missing"):
        settings.load({**BASE, "PAYGRADE_STRIPE_CONNECT": text})


def test_live_environment_never_sells_on_the_platforms_own_account() -> None:
    live = {**PLATFORM, **OPTIONAL, "PAYGRADE_MODE": "live", "STRIPE_SECRET_KEY": "sk_live_1"}
    with pytest.raises(SettingsError, match="live environment"):
        settings.load(live)
