"""The local stack's tables and queues are those of the template."""

import pytest
from cfnlint.api import lint_file

from infra.local.resources import ResourceMismatchError, Resources, ensure_resources
from infra.local.template import TEMPLATE_PATH
from tests.integration.conftest import Aws


def test_template_is_free_of_cfn_lint_findings() -> None:
    assert [str(match) for match in lint_file(TEMPLATE_PATH)] == []


def test_tables_have_the_keys_and_the_index_of_the_template(
    aws: Aws, resources: Resources, stage: str
) -> None:
    assert resources.tables == tuple(
        f"paygrade-{stage}-{name}" for name in ("catalog", "customers", "operations")
    )
    for name in resources.tables:
        table = aws.dynamodb.describe_table(TableName=name)["Table"]
        assert [key["AttributeName"] for key in table["KeySchema"]] == ["pk", "sk"]
        (index,) = table["GlobalSecondaryIndexes"]
        assert index["IndexName"] == "by_index"
        ttl = aws.dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        assert ttl["AttributeName"] == "ttl"


def test_queues_are_fifo_with_dead_letters_and_the_given_visibility(
    aws: Aws, resources: Resources, stage: str
) -> None:
    for name in ("sync", "converge", "reconcile"):
        attributes = aws.sqs.get_queue_attributes(
            QueueUrl=resources.queue_urls[f"paygrade-{stage}-{name}.fifo"], AttributeNames=["All"]
        )["Attributes"]
        assert attributes["VisibilityTimeout"] == "2"
        assert attributes["FifoQueue"] == "true"
        assert f"paygrade-{stage}-{name}-dlq.fifo" in attributes["RedrivePolicy"]


def test_ensuring_again_keeps_data_and_takes_new_settings(
    aws: Aws, resources: Resources, stage: str
) -> None:
    table = resources.tables[0]
    aws.dynamodb.put_item(TableName=table, Item={"pk": {"S": "a"}, "sk": {"S": "b"}})

    again = ensure_resources(aws.dynamodb, aws.sqs, stage=stage)

    assert again == resources
    assert aws.dynamodb.scan(TableName=table)["Count"] == 1
    url = again.queue_urls[f"paygrade-{stage}-sync.fifo"]
    attributes = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["VisibilityTimeout"] == "360"


def test_table_of_another_template_is_refused_by_name(aws: Aws, stage: str) -> None:
    name = f"paygrade-{stage}-catalog"
    aws.dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    with pytest.raises(ResourceMismatchError, match=f"{name}.*--fresh"):
        ensure_resources(aws.dynamodb, aws.sqs, stage=stage)
