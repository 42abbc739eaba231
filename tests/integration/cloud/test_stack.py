"""The stack of a stage on emulated CloudFormation: made, compared, changed, deleted."""

import uuid
from typing import Any

import boto3
import pytest

from infra.deploy.aws import Aws, connect
from infra.deploy.firewall import OUTPUT, PARAMETER
from infra.deploy.stack import Stack


@pytest.fixture
def aws(session: boto3.Session) -> Aws:
    del session  # sets the variables that lead to the emulator
    return connect(f"t{uuid.uuid4().hex[:8]}", region=None, profile=None)


def stack(aws: Aws) -> tuple[Stack, list[str]]:
    told: list[str] = []
    return Stack(aws, told.append, poll_seconds=0.1), told


def test_diff_of_a_new_stage_shows_everything_and_makes_nothing(aws: Aws) -> None:
    found, _ = stack(aws)
    changes = found.diff()
    assert {change.action for change in changes} == {"Add"}
    assert "CatalogTable" in {change.logical_id for change in changes}
    assert found.state() is None


def test_deploy_makes_tables_queues_alarms_and_a_second_one_changes_nothing(aws: Aws) -> None:
    found, told = stack(aws)
    made = found.deploy()
    assert found.state() == "CREATE_COMPLETE"
    assert any("CatalogTable CREATE_COMPLETE" in line for line in told)
    assert {"AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::CloudWatch::Alarm"} <= {
        change.kind for change in made
    }
    names = aws.client("dynamodb").list_tables()["TableNames"]
    assert f"paygrade-{aws.place.stage}-catalog" in names
    alarms = aws.client("cloudwatch").describe_alarms(
        AlarmNamePrefix=f"paygrade-{aws.place.stage}-"
    )["MetricAlarms"]
    assert f"paygrade-{aws.place.stage}-sync-dead-letters" in {
        alarm["AlarmName"] for alarm in alarms
    }
    aws.client("s3").head_bucket(Bucket=aws.place.bucket)
    assert found.diff() == []
    assert found.deploy() == []


def test_topic_given_once_stays_until_another_is_given(aws: Aws) -> None:
    found, _ = stack(aws)
    topics = [aws.client("sns").create_topic(Name=name)["TopicArn"] for name in ("one", "two")]
    found.deploy(topics[0])

    def told() -> set[str]:
        alarms: list[Any] = aws.client("cloudwatch").describe_alarms(
            AlarmNamePrefix=f"paygrade-{aws.place.stage}-"
        )["MetricAlarms"]
        return {arn for alarm in alarms for arn in alarm["AlarmActions"]}

    assert told() == {topics[0]}
    assert found.deploy() == []
    changes = found.diff(topics[1])
    assert {change.action for change in changes} == {"Modify"}
    assert told() == {topics[0]}
    found.deploy(topics[1])
    assert told() == {topics[1]}
    assert found.state() == "UPDATE_COMPLETE"


def test_parameter_that_nobody_gives_stays_as_it_is(aws: Aws) -> None:
    told: list[str] = []
    Stack(aws, told.append, parameters={PARAMETER: "2000"}, poll_seconds=0.1).deploy()
    found, _ = stack(aws)
    assert found.diff() == []
    assert found.deploy() == []
    assert OUTPUT in found.outputs()
    none = Stack(aws, told.append, parameters={PARAMETER: "0"}, poll_seconds=0.1)
    assert [change.kind for change in none.diff()] == ["AWS::WAFv2::WebACL"]


def test_delete_leaves_tables_with_their_data_and_the_next_stack_takes_them_over(aws: Aws) -> None:
    found, _ = stack(aws)
    found.deploy()
    name = f"paygrade-{aws.place.stage}-customers"
    aws.client("dynamodb").put_item(TableName=name, Item={"pk": {"S": "a"}, "sk": {"S": "b"}})
    found.delete()
    assert found.state() is None
    assert aws.client("dynamodb").scan(TableName=name)["Count"] == 1
    found.delete()
    # A queue could not be taken over; what was in it is sent again.
    queues = aws.client("sqs").list_queues(QueueNamePrefix=aws.place.stack_name)
    assert queues.get("QueueUrls", []) == []
    # AWS takes over a bucket by its name, the emulator does not.
    aws.client("s3").delete_bucket(Bucket=aws.place.bucket)
    found.deploy()
    assert aws.client("dynamodb").scan(TableName=name)["Count"] == 1
