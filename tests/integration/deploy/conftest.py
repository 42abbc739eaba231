"""An emulated AWS with functions and gateway, a Stripe stand-in, and a stage deployed between them."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local import emulator as local_emulator
from infra.local.emulator import Emulator
from infra.local.environment import STAND_IN_KEY
from infra.local.ports import free_port
from infra.local.resources import ensure_resources
from infra.local.stripe_stand_in import StandIn
from infra.local.stripe_stand_in.server import StandInServer
from tests.integration.conftest import Aws, connect
from tests.integration.deploy.checkout import Checkout
from tests.integration.deploy.cloud import Cloud
from tests.lambda_runtime.client import runtime_client

LAUNCHER = Path(__file__).with_name("emulator_with_functions.py")
SERVICES = ("dynamodb", "sqs", "lambda", "apigateway", "events", "iam", "sts", "logs")
WEBHOOK_SECRET = "whsec_deployed"


class EmulatorWithFunctions(Emulator):
    def _environment(self, data_dir: Path) -> dict[str, str]:
        return super()._environment(data_dir) | {
            "PAYGRADE_RUNTIME_CLIENT": str(runtime_client()),
            "PAYGRADE_EMULATOR_LAUNCHER": str(local_emulator.LAUNCHER),
        }


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    folder = tmp_path_factory.mktemp("cloud")
    running = EmulatorWithFunctions(folder, free_port(), services=SERVICES, launcher=LAUNCHER)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def aws(emulator: Emulator) -> Aws:
    return connect(emulator.endpoint_url)


@pytest.fixture
def stage() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
def cloud(aws: Aws, stage: str, tmp_path: Path) -> Iterator[Cloud]:
    """The stage is deployed, with Stripe's stand-in beside it."""
    ensure_resources(aws.dynamodb, aws.sqs, stage=stage, visibility_timeout_seconds=1)
    stripe_port = free_port()
    checkout = Checkout(
        tmp_path / "checkout",
        stage,
        aws.endpoint_url,
        {
            "AWS_ENDPOINT_URL": aws.endpoint_url,
            "PAYGRADE_PUBLIC_URL": "https://paygrade.example.test",
            "STRIPE_API_BASE": f"http://127.0.0.1:{stripe_port}",
            "STRIPE_SECRET_KEY": STAND_IN_KEY,
            "STRIPE_WEBHOOK_SECRETS": WEBHOOK_SECRET,
        },
    )
    checkout.build()
    checkout.deploy()
    deployed = Cloud(checkout, aws)
    account = StandIn(
        tmp_path / "stripe.db",
        webhook_url=f"{deployed.url}/v1/webhooks/stripe",
        webhook_secret=WEBHOOK_SECRET,
    )
    server = StandInServer(account, port=stripe_port)
    server.start()
    try:
        yield deployed
    finally:
        server.stop()
        account.close()
        deployed.close()
