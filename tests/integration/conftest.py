"""The emulated AWS for integration tests: one emulator per test process, one stage per test.

`api`, `propagation` and `webhooks` need none of it: they run the whole application in this process.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from infra.local.emulator import Emulator
from infra.local.ports import free_port
from infra.local.resources import Resources, ensure_resources

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class Aws:
    """Clients of one emulator, and its address for those who make their own."""

    endpoint_url: str
    dynamodb: "DynamoDBClient"
    sqs: "SQSClient"


def connect(endpoint_url: str) -> Aws:
    arguments: dict[str, Any] = {
        "endpoint_url": endpoint_url,
        "region_name": "us-east-1",
        "aws_access_key_id": "local",
        "aws_secret_access_key": "local",
        "config": Config(max_pool_connections=64, retries={"total_max_attempts": 1}),
    }
    return Aws(
        endpoint_url, boto3.client("dynamodb", **arguments), boto3.client("sqs", **arguments)
    )


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    running = Emulator(tmp_path_factory.mktemp("emulator"), free_port())
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def aws(emulator: Emulator) -> Aws:
    return connect(emulator.endpoint_url)


@pytest.fixture
def stage() -> str:
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def resources(aws: Aws, stage: str) -> Resources:
    return ensure_resources(aws.dynamodb, aws.sqs, stage=stage, visibility_timeout_seconds=2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder that uses sockets is an integration test, said once."""
    here = Path(__file__).parent
    without_sockets = {here / "api", here / "propagation", here / "webhooks"}
    for item in items:
        if here in item.path.parents and without_sockets.isdisjoint(item.path.parents):
            item.add_marker(pytest.mark.integration)
