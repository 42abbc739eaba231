"""Makes the template's tables and queues exist in the emulated AWS."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.local.errors import LocalStackError
from infra.local.template import Template

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

# Point-in-time recovery, encryption and deletion protection mean nothing on this machine.
TABLE_ARGUMENTS = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")


class ResourceMismatchError(LocalStackError):
    """A table of the state at hand was made from another template."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What exists after `ensure_resources`: table names, and queue URLs by queue name."""

    tables: tuple[str, ...]
    queue_urls: dict[str, str]


def ensure_resources(
    dynamodb: "DynamoDBClient",
    sqs: "SQSClient",
    *,
    stage: str,
    visibility_timeout_seconds: int | None = None,
) -> Resources:
    """All tables and queues of `infra/template.yaml` exist for the stage; existing ones keep data.

    `visibility_timeout_seconds` replaces the template's, so that a person sees a retry in seconds.

    Raises:
        ResourceMismatchError: A table exists with other keys or indexes.
    """
    template = Template.load({"Stage": stage})
    tables = template.resources("AWS::DynamoDB::Table", _queue_arn_placeholder)
    for properties in tables.values():
        _ensure_table(dynamodb, properties)
    return Resources(
        tables=tuple(properties["TableName"] for properties in tables.values()),
        queue_urls=_ensure_queues(sqs, template, visibility_timeout_seconds),
    )


def _ensure_table(dynamodb: "DynamoDBClient", properties: dict[str, Any]) -> None:
    name = properties["TableName"]
    try:
        existing: Any = dynamodb.describe_table(TableName=name)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException:
        wanted: Any = {argument: properties[argument] for argument in TABLE_ARGUMENTS}
        dynamodb.create_table(TableName=name, **wanted)
        dynamodb.update_time_to_live(
            TableName=name, TimeToLiveSpecification=properties["TimeToLiveSpecification"]
        )
        return
    if _shape(existing) != _shape(properties):
        raise ResourceMismatchError(
            f"Table {name} of this state directory has other keys or indexes than"
            " infra/template.yaml: start anew with --fresh, or use another --state-dir."
        )


def _shape(table: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Key type by attribute, for the table and each index."""
    indexes = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", [])}
    return {
        name: {key["AttributeName"]: key["KeyType"] for key in part["KeySchema"]}
        for name, part in {"": table, **indexes}.items()
    }


def _ensure_queues(
    sqs: "SQSClient", template: Template, visibility_timeout_seconds: int | None
) -> dict[str, str]:
    queues = template.resources("AWS::SQS::Queue", _queue_arn_placeholder)
    # Dead-letter queues first: the others name them.
    order = sorted(queues, key=lambda logical_id: "RedrivePolicy" in queues[logical_id])
    urls: dict[str, str] = {}
    arns: dict[str, str] = {}
    for logical_id in order:
        properties = dict(queues[logical_id])
        name = properties.pop("QueueName")
        if "RedrivePolicy" in properties:
            source = properties["RedrivePolicy"]["deadLetterTargetArn"]
            properties["RedrivePolicy"] |= {"deadLetterTargetArn": arns[source]}
            if visibility_timeout_seconds is not None:
                properties["VisibilityTimeout"] = visibility_timeout_seconds
        urls[name] = _ensure_queue(sqs, name, properties)
        arns[f"{logical_id}.Arn"] = _queue_arn(sqs, urls[name])
    return urls


def _ensure_queue(sqs: "SQSClient", name: str, properties: dict[str, Any]) -> str:
    attributes: Any = {
        attribute: value if isinstance(value, str) else json.dumps(value)
        for attribute, value in properties.items()
    }
    try:
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist:
        return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    attributes.pop("FifoQueue", None)  # can only be given at birth
    sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    return url


def _queue_arn(sqs: "SQSClient", url: str) -> str:
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return answer["Attributes"]["QueueArn"]


def _queue_arn_placeholder(logical_id: str, attribute: str) -> str:
    """Stands for an ARN until the queue exists."""
    return f"{logical_id}.{attribute}"
