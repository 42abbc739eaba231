"""Secrets that stand in SSM and Secrets Manager: read late, kept for five minutes, replaced without a deploy."""

import json
import uuid

import boto3
import pytest

from chalicelib import settings
from chalicelib.adapters.secrets import AwsSecrets, KeptSecrets
from chalicelib.domain.errors import (
    BillingNotConfiguredError,
    InvalidSignatureError,
    StoreUnavailableError,
)
from chalicelib.wiring.billing import ConfiguredEventReader, ConfiguredProviders, Supplies
from chalicelib.wiring.secrets import Secrets
from infra.local.stripe_stand_in.deliveries import sign
from tests.fakes.store import InMemoryStore
from tests.fakes.system import FakeClock, RecordingMonitor
from tests.nobody import nobody

BODY = json.dumps(
    {
        "id": "evt_1",
        "object": "event",
        "type": "invoice.paid",
        "created": 1,
        "livemode": False,
        "api_version": "x",
        "data": {"object": {}},
    }
).encode()


class Environment:
    """Settings that name secrets, and the same wiring that the app has."""

    def __init__(self, session: boto3.Session, cloud: str, *, mode: str = "test") -> None:
        self.ssm = session.client("ssm")
        self.secrets_manager = session.client("secretsmanager")
        self.clock = FakeClock()
        self.name = f"/paygrade/t{uuid.uuid4().hex[:8]}"
        self.settings = settings.load(
            {
                "PAYGRADE_PUBLIC_URL": "https://api.example.test",
                "PAYGRADE_MODE": mode,
                "STRIPE_SECRET_KEY": f"secretsmanager:{self.name}/key",
                "STRIPE_WEBHOOK_SECRETS": f"ssm:{self.name}/hooks",
            }
        )
        self.monitor = RecordingMonitor()
        aws = AwsSecrets(region="us-east-1", endpoint_url=cloud)
        source = KeptSecrets(aws.read, clock=self.clock, monitor=self.monitor)
        secrets = Secrets(self.settings, source)
        self.providers = ConfiguredProviders(
            Supplies(
                settings=self.settings,
                secrets=secrets,
                store=InMemoryStore(self.clock),
                clock=self.clock,
                patience_seconds=4,
            )
        )
        self.events = ConfiguredEventReader(self.settings, secrets, self.clock)

    def put_hooks(self, text: str) -> None:
        self.ssm.put_parameter(
            Name=f"{self.name}/hooks", Value=text, Type="SecureString", Overwrite=True
        )

    def put_key(self, text: str) -> None:
        self.secrets_manager.create_secret(Name=f"{self.name}/key", SecretString=text)

    def takes(self, secret: str) -> bool:
        signature = sign(BODY, [secret], int(self.clock.now().timestamp()))
        try:
            self.events.read(BODY, signature)
        except InvalidSignatureError:
            return False
        return True


@pytest.fixture
def environment(session: boto3.Session, cloud: str) -> Environment:
    return Environment(session, cloud)


def test_webhook_secret_rolled_in_ssm_holds_within_five_minutes_and_both_while_two(
    environment: Environment,
) -> None:
    environment.put_hooks("whsec_old")
    assert environment.takes("whsec_old")
    environment.put_hooks("whsec_new,whsec_old")
    environment.clock.advance(minutes=4, seconds=59)
    assert not environment.takes("whsec_new")
    environment.clock.advance(seconds=1)
    assert environment.takes("whsec_new")
    assert environment.takes("whsec_old")
    environment.put_hooks("whsec_new")
    environment.clock.advance(minutes=5)
    assert not environment.takes("whsec_old")


def test_stripe_key_replaced_in_secrets_manager_makes_another_provider(
    environment: Environment,
) -> None:
    environment.put_key("sk_test_one")
    first = environment.providers.get("stripe")
    assert environment.providers.get("stripe") is first
    environment.secrets_manager.put_secret_value(
        SecretId=f"{environment.name}/key", SecretString="rk_test_two"
    )
    assert environment.providers.get("stripe") is first
    environment.clock.advance(minutes=5)
    assert environment.providers.get("stripe") is not first


def test_secret_that_is_not_there_yet_is_named_and_found_once_it_is(
    environment: Environment,
) -> None:
    with pytest.raises(BillingNotConfiguredError, match="hooks"):
        environment.takes("whsec_old")
    environment.put_hooks("whsec_old")
    assert environment.takes("whsec_old")


@pytest.mark.parametrize("text", ["whsec_a,,whsec_b", ",", " , whsec_a"])
def test_blank_webhook_secret_verifies_nothing(environment: Environment, text: str) -> None:
    environment.put_hooks(text)
    with pytest.raises(BillingNotConfiguredError, match="blank"):
        environment.takes("")
    with pytest.raises(BillingNotConfiguredError, match="blank"):
        environment.takes("whsec_a")


@pytest.mark.parametrize(
    ("mode", "key"),
    [("test", "sk_live_1"), ("test", "rk_live_1"), ("live", "sk_test_1"), ("live", " ")],
)
def test_key_of_the_other_mode_is_never_used_nor_shown(
    session: boto3.Session, cloud: str, mode: str, key: str
) -> None:
    environment = Environment(session, cloud, mode=mode)
    environment.put_key(key)
    with pytest.raises(BillingNotConfiguredError, match="STRIPE_SECRET_KEY") as refused:
        environment.providers.get("stripe")
    assert key.strip() == "" or key not in str(refused.value)


@pytest.mark.parametrize("reference", ["ssm:/a", "secretsmanager:a"])
def test_secrets_of_which_nobody_answers_are_away_and_not_missing(
    session: boto3.Session, reference: str
) -> None:
    with nobody() as port:
        aws = AwsSecrets(region="us-east-1", endpoint_url=f"http://127.0.0.1:{port}")
        with pytest.raises(StoreUnavailableError):
            aws.read(reference)


def test_nobody_waits_for_secrets_longer_than_the_gateway_does(session: boto3.Session) -> None:
    aws = AwsSecrets(region="us-east-1", endpoint_url=None)
    for client in (aws._ssm, aws._secrets_manager):
        found = client.meta.config
        tries = found.retries["total_max_attempts"]
        assert tries * (found.connect_timeout + found.read_timeout) < 29
