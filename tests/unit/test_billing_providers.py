"""Which billing providers an environment has: what the settings say, and what stands behind each name."""

import pytest

from chalicelib import settings, wiring
from chalicelib.adapters.secrets import AwsSecrets, KeptSecrets
from chalicelib.domain.errors import BillingNotConfiguredError
from chalicelib.ports import CheckoutProvider, DirectProvider
from chalicelib.settings import Settings, SettingsError
from chalicelib.wiring.billing import PROVIDERS, ConfiguredProviders, Supplies
from chalicelib.wiring.secrets import Secrets
from tests.fakes.store import InMemoryStore
from tests.fakes.system import FakeClock, RecordingMonitor

BASE = {"PAYGRADE_PUBLIC_URL": "https://api.example.test"}
KEY = {"STRIPE_SECRET_KEY": "sk_test_1"}


def loaded(**variables: str) -> Settings:
    return settings.load({**BASE, **variables})


def configured(**variables: str) -> ConfiguredProviders:
    clock, monitor = FakeClock(), RecordingMonitor()
    found = loaded(**variables)
    aws = AwsSecrets(region="us-east-1", endpoint_url=None)
    source = KeptSecrets(aws.read, clock=clock, monitor=monitor)
    return ConfiguredProviders(
        Supplies(
            settings=found,
            secrets=Secrets(found, source),
            store=InMemoryStore(clock),
            clock=clock,
            monitor=monitor,
            patience_seconds=4.0,
        )
    )


def named(names: str) -> dict[str, str]:
    return {"PAYGRADE_BILLING_PROVIDERS": names}


def test_providers_unnamed_are_stripe_where_it_has_a_key() -> None:
    assert loaded(**KEY).billing_providers == ("stripe",)
    assert loaded().billing_providers == ()


def test_providers_named_are_those_in_their_order() -> None:
    assert loaded(**KEY, **named("manual, stripe")).billing_providers == ("manual", "stripe")
    assert loaded(**named("manual")).billing_providers == ("manual",)
    assert loaded(**KEY, **named("manual")).billing_providers == ("manual",)


@pytest.mark.parametrize("names", ["", " , ", "manual,manual", "stripe"])
def test_providers_that_can_not_be_are_refused_by_the_variables_name(names: str) -> None:
    with pytest.raises(SettingsError, match="PAYGRADE_BILLING_PROVIDERS"):
        loaded(**named(names))


def test_provider_that_there_is_not_is_refused_before_anything_runs() -> None:
    with pytest.raises(SettingsError, match="'paypal'; there are stripe, manual"):
        configured(**named("paypal"))
    with pytest.raises(SettingsError, match="PAYGRADE_BILLING_PROVIDERS"):
        wiring.build(loaded(**named("paypal")))


def test_every_provider_goes_by_the_name_it_is_registered_under() -> None:
    providers = configured(**KEY, **named(",".join(PROVIDERS)))
    assert list(providers.names()) == list(PROVIDERS)
    for name in PROVIDERS:
        provider = providers.get(name)
        assert provider.name == name
        assert provider is providers.get(name)
        # One that could not sell could not be chosen for anything.
        assert isinstance(provider, CheckoutProvider | DirectProvider)


def test_provider_not_configured_is_not_there() -> None:
    providers = configured(**named("manual"))
    with pytest.raises(BillingNotConfiguredError):
        providers.get("stripe")
