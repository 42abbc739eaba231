"""Secrets that stand in SSM and Secrets Manager: read late, kept for five minutes, replaced without a deploy."""

import json
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import boto3
import pytest

from chalicelib import settings
from chalicelib.adapters.secrets import AwsSecrets, KeptSecrets
from chalicelib.domain.errors import (
    BillingKeyRejectedError,
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

    def __init__(
        self, session: boto3.Session, cloud: str, *, mode: str = "test", **variables: str
    ) -> None:
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
                **variables,
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
                monitor=self.monitor,
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

    def replace_key(self, text: str) -> None:
        self.secrets_manager.put_secret_value(SecretId=f"{self.name}/key", SecretString=text)

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


def test_webhook_secret_that_is_new_in_ssm_holds_from_its_first_delivery(
    environment: Environment,
) -> None:
    environment.put_hooks("whsec_old")
    assert environment.takes("whsec_old")
    environment.clock.advance(seconds=30)
    environment.put_hooks("whsec_new,whsec_old")
    assert environment.takes("whsec_new")
    assert environment.takes("whsec_old")


def test_webhook_secret_that_was_taken_back_holds_for_five_minutes_at_most(
    environment: Environment,
) -> None:
    environment.put_hooks("whsec_new,whsec_old")
    assert environment.takes("whsec_old")
    environment.put_hooks("whsec_new")
    environment.clock.advance(minutes=4, seconds=59)
    assert environment.takes("whsec_old")
    environment.clock.advance(seconds=1)
    assert not environment.takes("whsec_old")
    assert environment.takes("whsec_new")


def test_rubbish_has_secrets_read_again_twice_a_minute_and_not_with_each_delivery(
    environment: Environment,
) -> None:
    environment.put_hooks("whsec_old")
    assert environment.takes("whsec_old")
    environment.clock.advance(seconds=30)
    assert not environment.takes("whsec_wrong")  # read again
    environment.put_hooks("whsec_new")
    for _ in range(29):
        environment.clock.advance(seconds=1)
        assert not environment.takes("whsec_new")
    environment.clock.advance(seconds=1)
    assert environment.takes("whsec_new")


def test_webhook_secret_that_is_no_reference_is_the_only_one(
    session: boto3.Session, cloud: str
) -> None:
    environment = Environment(session, cloud, STRIPE_WEBHOOK_SECRETS="whsec_plain")
    assert environment.takes("whsec_plain")
    environment.clock.advance(minutes=1)
    assert not environment.takes("whsec_wrong")


def test_stripe_key_replaced_in_secrets_manager_makes_another_provider(
    environment: Environment,
) -> None:
    environment.put_key("sk_test_one")
    first = environment.providers.get("stripe")
    assert environment.providers.get("stripe") is first
    environment.replace_key("rk_test_two")
    assert environment.providers.get("stripe") is first
    environment.clock.advance(minutes=5)
    assert environment.providers.get("stripe") is not first


class Stripe:
    """Takes the keys that are good, and has nobody."""

    def __init__(self) -> None:
        self.good: set[str] = set()
        self.asked_with: list[str] = []
        stripe = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                key = self.headers["Authorization"].removeprefix("Bearer ")
                stripe.asked_with.append(key)
                error = {"type": "invalid_request_error", "code": "resource_missing"}
                if key not in stripe.good:
                    error = {"type": "invalid_request_error", "code": "api_key_expired"}
                body = json.dumps({"error": error}).encode()
                self.send_response(404 if key in stripe.good else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def stripe() -> Iterator[Stripe]:
    made = Stripe()
    yield made
    made.stop()


def test_key_that_stripe_rejects_is_read_again_for_the_next_call(
    session: boto3.Session, cloud: str, stripe: Stripe
) -> None:
    environment = Environment(session, cloud, STRIPE_API_BASE=stripe.url)
    environment.put_key("sk_test_one")
    stripe.good = {"sk_test_one"}
    assert environment.providers.get("stripe").get_customer("cus_1") is None
    environment.clock.advance(minutes=1)
    environment.replace_key("sk_test_two")
    stripe.good = {"sk_test_two"}
    with pytest.raises(BillingKeyRejectedError):
        environment.providers.get("stripe").get_customer("cus_1")
    assert environment.providers.get("stripe").get_customer("cus_1") is None
    assert stripe.asked_with == ["sk_test_one", "sk_test_one", "sk_test_two"]
    assert environment.monitor.events == [("billing_key_rejected", {"provider": "stripe"})]


def test_key_that_stays_wrong_is_asked_for_twice_a_minute_and_not_with_every_call(
    session: boto3.Session, cloud: str, stripe: Stripe
) -> None:
    environment = Environment(session, cloud, STRIPE_API_BASE=stripe.url)
    environment.put_key("sk_test_one")

    def fails() -> None:
        with pytest.raises(BillingKeyRejectedError):
            environment.providers.get("stripe").get_customer("cus_1")

    fails()
    environment.replace_key("sk_test_two")
    for _ in range(3):
        environment.clock.advance(seconds=9)
        fails()
    assert set(stripe.asked_with) == {"sk_test_one"}
    environment.clock.advance(seconds=3)
    fails()
    assert stripe.asked_with[-1] == "sk_test_two"


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
        # Between tries botocore pauses for up to 1, 2, 4 ... seconds; a request may need two secrets.
        pauses = sum(2**number for number in range(tries - 1))
        assert 2 * (tries * (found.connect_timeout + found.read_timeout) + pauses) < 20
