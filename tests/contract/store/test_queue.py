"""The template's queues, as the adapter uses them, on the emulator: it deduplicates as SQS does."""

import json

import pytest

from chalicelib.adapters.sqs import SqsQueue, queue_name
from chalicelib.adapters.system import SystemClock, TimeSortedIds
from chalicelib.ports import Message, QueueName
from infra.local.resources import ensure_resources
from tests.contract.store.worlds import REGION
from tests.integration.conftest import Aws

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("_credentials")]


def test_messages_arrive_in_the_order_of_their_group_and_as_often_as_they_are_sent(
    aws: Aws, stage: str
) -> None:
    urls = ensure_resources(aws.dynamodb, aws.sqs, stage=stage).queue_urls
    queue = SqsQueue(
        stage=stage,
        region=REGION,
        endpoint_url=aws.endpoint_url,
        ids=TimeSortedIds(SystemClock()),
    )
    for body in ("1", "2", "2", "3"):
        queue.send(Message(queue=QueueName.CONVERGE, group="customer:é", body={"n": body}))

    url = urls[queue_name(stage, QueueName.CONVERGE)]
    found: list[str] = []
    while messages := aws.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=0).get("Messages"):
        for message in messages:
            found.append(json.loads(message["Body"])["n"])
            aws.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert found == ["1", "2", "2", "3"]
