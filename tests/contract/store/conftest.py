"""Every test with a `world` runs on memory, on moto and on the emulator: what all pass is what services rely on."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
import pytest
from moto import mock_aws

from chalicelib.adapters.dynamodb.keys import Table, table_name
from infra.local.resources import TABLE_ARGUMENTS
from infra.local.template import Template
from tests.contract.store.worlds import (
    REGION,
    DynamoWorld,
    MemoryWorld,
    Presented,
    QuickWorld,
    World,
)
from tests.integration.conftest import Aws

EMULATOR = pytest.param("emulator", marks=pytest.mark.integration)
QUICK = pytest.param("quick", marks=pytest.mark.integration)


@cache
def _shapes() -> dict[Table, dict[str, Any]]:
    """The template's tables; reading it takes longer than most tests."""
    template = Template.load({"Stage": "test"})
    tables = template.resources("AWS::DynamoDB::Table", lambda name, attribute: name)
    named = {properties["TableName"]: properties for properties in tables.values()}
    return {table: named[table_name("test", table)] for table in Table}


@contextmanager
def _tables(client: Any, stage: str) -> Iterator[None]:
    for table, properties in _shapes().items():
        client.create_table(
            TableName=table_name(stage, table),
            **{argument: properties[argument] for argument in TABLE_ARGUMENTS},
        )
    yield
    for table in Table:  # both engines get slower with all they hold
        client.delete_table(TableName=table_name(stage, table))


@pytest.fixture(scope="module")
def moto_client() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("dynamodb", region_name=REGION)


@pytest.fixture
def moto_world(stage: str, moto_client: Any) -> Iterator[DynamoWorld]:
    with _tables(moto_client, stage):
        yield DynamoWorld(stage, moto_client)


@pytest.fixture
def emulator_world(stage: str, aws: Aws, _credentials: None) -> Iterator[DynamoWorld]:
    with _tables(aws.dynamodb, stage):
        yield DynamoWorld(stage, aws.dynamodb, aws.endpoint_url)


@pytest.fixture
def quick_world(stage: str, aws: Aws, _credentials: None) -> Iterator[Presented]:
    """With the emulator behind it; no read is left to the ordinary store, and no commit but those that are refused."""
    with _tables(aws.dynamodb, stage):
        made = QuickWorld(stage, aws.dynamodb, aws.endpoint_url)
        yield Presented(made.clock, made.quick, made.reader, made.usage, made.use)
        made.hot_client.close()
        assert made.monitor.named("hot_read_fell_back") == []
        commits = [fields["why"] for fields in made.monitor.named("hot_commit_fell_back")]
        assert set(commits) <= {"status_400"}


@pytest.fixture(params=["memory", "moto", QUICK])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "memory":
        return MemoryWorld()
    made: World = request.getfixturevalue(f"{request.param}_world")
    return made


@pytest.fixture(params=["moto", EMULATOR])
def dynamo(request: pytest.FixtureRequest) -> DynamoWorld:
    """For what only the tables themselves can show."""
    made: DynamoWorld = request.getfixturevalue(f"{request.param}_world")
    return made
