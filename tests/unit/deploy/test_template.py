"""infra/template.yaml has what the code needs, protected as production needs it."""

from collections.abc import Mapping
from typing import Any

import pytest
from chalice.app import ScheduledEventConfig

import app as deployed
from chalicelib.adapters.dynamodb.keys import Table, table_name
from chalicelib.adapters.sqs import dead_letters_name, queue_name
from chalicelib.events.worker import RECEIPTS
from chalicelib.ports import QueueName
from infra.local.template import Template

FUNCTION_SECONDS = 60


TOPIC = "arn:aws:sns:us-east-1:111122223333:alarms"


def resources(kind: str, stage: str = "prod") -> dict[str, dict[str, Any]]:
    template = Template.load({"Stage": stage, "AlarmTopicArn": TOPIC})
    return template.resources(kind, lambda logical_id, name: f"{logical_id}.{name}")


def by(name: str, kind: str, stage: str = "prod") -> dict[str, dict[str, Any]]:
    return {properties[name]: properties for properties in resources(kind, stage).values()}


@pytest.mark.parametrize("table", Table)
def test_table_of_the_code_is_on_demand_recoverable_encrypted_and_protected(table: Table) -> None:
    tables = by("TableName", "AWS::DynamoDB::Table")
    assert table_name("prod", table) in tables, f"infra/template.yaml lacks the table '{table}'"
    properties = tables[table_name("prod", table)]
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"] == {"SSEEnabled": True}
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    assert properties["DeletionProtectionEnabled"] is True


def test_tables_are_protected_in_production_alone() -> None:
    for properties in resources("AWS::DynamoDB::Table", "dev").values():
        assert properties["DeletionProtectionEnabled"] is False


def test_there_is_no_table_nor_queue_that_the_code_does_not_know() -> None:
    assert set(by("TableName", "AWS::DynamoDB::Table")) == {
        table_name("prod", one) for one in Table
    }
    known = {queue_name("prod", one) for one in QueueName}
    dead = {dead_name(one) for one in QueueName}
    assert set(by("QueueName", "AWS::SQS::Queue")) == known | dead


@pytest.mark.parametrize("queue", QueueName)
def test_queue_of_the_code_is_fifo_and_ends_in_its_own_dead_letters(queue: QueueName) -> None:
    queues = by("QueueName", "AWS::SQS::Queue")
    assert queue_name("prod", queue) in queues, f"infra/template.yaml lacks the queue '{queue}'"
    assert dead_name(queue) in queues, f"infra/template.yaml lacks dead letters of '{queue}'"
    properties = queues[queue_name("prod", queue)]
    assert properties["FifoQueue"] is True
    assert properties["SqsManagedSseEnabled"] is True
    assert properties["VisibilityTimeout"] >= 6 * FUNCTION_SECONDS
    redrive = properties["RedrivePolicy"]
    assert redrive["maxReceiveCount"] == RECEIPTS
    logical_id = redrive["deadLetterTargetArn"].removesuffix(".Arn")
    dead = resources("AWS::SQS::Queue")[logical_id]
    assert dead["QueueName"] == dead_name(queue)
    assert dead["FifoQueue"] is True
    assert dead["MessageRetentionPeriod"] > properties["MessageRetentionPeriod"]


@pytest.mark.parametrize("queue", QueueName)
def test_first_dead_letter_of_each_queue_raises_an_alarm(queue: QueueName) -> None:
    logical_id = next(
        found
        for found, properties in resources("AWS::SQS::Queue").items()
        if properties["QueueName"] == dead_name(queue)
    )
    alarms = [
        alarm
        for alarm in resources("AWS::CloudWatch::Alarm").values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
        and alarm["Dimensions"] == [{"Name": "QueueName", "Value": f"{logical_id}.QueueName"}]
    ]
    assert len(alarms) == 1, f"infra/template.yaml lacks an alarm for dead letters of '{queue}'"
    assert alarms[0]["Threshold"] == 0
    assert alarms[0]["ComparisonOperator"] == "GreaterThanThreshold"


def test_every_alarm_tells_the_topic() -> None:
    for alarm in resources("AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == [TOPIC]
        assert alarm["AlarmName"].startswith("paygrade-prod-")
        assert alarm["AlarmDescription"]


def test_function_that_a_schedule_starts_raises_an_alarm_when_it_fails_again_and_again() -> None:
    started = {
        f"paygrade-prod-{source.name}"
        for source in deployed.app.event_sources
        if isinstance(source, ScheduledEventConfig)
    }
    alarms = {
        alarm["Dimensions"][0]["Value"]: alarm
        for alarm in resources("AWS::CloudWatch::Alarm").values()
        if (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Lambda", "Errors")
    }
    assert set(alarms) == started
    for alarm in alarms.values():
        # One failure that passes wakes nobody, however the ticks fall into the minutes.
        assert alarm["Period"] == 60
        assert 1 < alarm["DatapointsToAlarm"] < alarm["EvaluationPeriods"]


@pytest.mark.parametrize(
    "watched",
    [
        ("AWS/SQS", "ApproximateAgeOfOldestMessage"),
        ("Paygrade", "reconciliations_failed"),
        ("Paygrade", "webhooks_refused"),
        ("Paygrade", "webhooks_failed"),
        ("Paygrade", "check_duration_ms"),
    ],
)
def test_what_hurts_is_watched(watched: tuple[str, str]) -> None:
    alarms = resources("AWS::CloudWatch::Alarm").values()
    assert watched in {(alarm["Namespace"], alarm["MetricName"]) for alarm in alarms}


def dead_name(queue: QueueName) -> str:
    return dead_letters_name("prod", queue)


def test_record_of_deployments_is_versioned_encrypted_and_private() -> None:
    (bucket,) = _raw("AWS::S3::Bucket")
    properties = bucket["Properties"]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert properties["BucketEncryption"]


def _raw(kind: str) -> list[Mapping[str, Any]]:
    document = Template.load({"Stage": "prod"})._document
    return [one for one in document["Resources"].values() if one["Type"] == kind]
