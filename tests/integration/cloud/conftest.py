"""The emulated AWS with all that a deployment touches: one for each test process."""

from collections.abc import Iterator

import boto3
import pytest

from infra.local.emulator import Emulator
from infra.local.environment import aws_variables, variables
from infra.local.ports import free_port
from tests.integration.cloud import stories
from tests.integration.cloud.functions import Functions, functions

SERVICES = (
    "apigateway",
    "cloudformation",
    "dynamodb",
    "events",
    "iam",
    "lambda",
    "logs",
    "monitoring",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "sts",
    "wafv2",
)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where it answers."""
    running = Emulator(tmp_path_factory.mktemp("cloud"), free_port(), services=SERVICES)
    running.start()
    yield running.endpoint_url
    running.stop()


@pytest.fixture
def session(cloud: str) -> Iterator[boto3.Session]:
    """An AWS session as a deployer has it; every client of it goes to the emulator."""
    with variables(aws_variables(cloud)):
        yield boto3.Session()


@pytest.fixture(scope="session")
def lived(cloud: str) -> Iterator[Functions]:
    """An environment in which everything has happened."""
    with functions(cloud) as running:
        stories.all_of_them(running)
        yield running
