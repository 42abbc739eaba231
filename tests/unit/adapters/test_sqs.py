"""Messages reach their queue, or the sender is told."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError
from botocore.stub import ANY, Stubber
from moto import mock_aws

from chalicelib.adapters.sqs import SqsQueue, queue_name
from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.ports import Message, Queue, QueueName
from tests.fakes.queue import RecordingQueue
from tests.fakes.system import SequentialIds

REGION = "us-east-1"
TASK = Message(queue=QueueName.SYNC, group="plan:pro", body={"task_id": "t", "ü": "é"})


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> SqsQueue:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return SqsQueue(stage="test", region=REGION, endpoint_url=None, ids=SequentialIds())


@pytest.fixture
def sqs(queue: SqsQueue) -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("sqs", region_name=REGION)
        for name in QueueName:
            client.create_queue(
                QueueName=queue_name("test", name), Attributes={"FifoQueue": "true"}
            )
        yield client


def received(sqs: Any, name: QueueName = QueueName.SYNC) -> list[dict[str, Any]]:
    url = sqs.get_queue_url(QueueName=queue_name("test", name))["QueueUrl"]
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"], WaitTimeSeconds=0
    ).get("Messages"):
        for message in messages:
            found.append(message)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def test_message_arrives_in_its_queue_with_its_body_and_group(sqs: Any, queue: SqsQueue) -> None:
    for name in QueueName:
        queue.send(Message(queue=name, group="g", body={"id": name}))
    for name in QueueName:
        [message] = received(sqs, name)
        assert json.loads(message["Body"]) == {"id": name}
        assert message["Attributes"]["MessageGroupId"] == "g"


def test_messages_of_one_group_arrive_in_order(sqs: Any, queue: SqsQueue) -> None:
    for number in range(12):
        queue.send(Message(queue=QueueName.SYNC, group="g", body={"n": str(number)}))
    found = [json.loads(message["Body"])["n"] for message in received(sqs)]
    assert found == [str(number) for number in range(12)]


def test_message_that_is_sent_again_arrives_again(sqs: Any, queue: SqsQueue) -> None:
    for _ in range(3):
        queue.send(TASK)
    assert [json.loads(message["Body"]) for message in received(sqs)] == [dict(TASK.body)] * 3


@pytest.mark.parametrize("group", ["plan:pro", "a" * 128, "a" * 129, "customer:é", "a b", ""])
def test_group_of_any_name_is_one_that_sqs_takes(sqs: Any, queue: SqsQueue, group: str) -> None:
    for name in (group, group, f"{group}2"):
        queue.send(Message(queue=QueueName.SYNC, group=name, body={}))
    first, second, other = (one["Attributes"]["MessageGroupId"] for one in received(sqs))
    assert first == second != other
    assert 1 <= len(first) <= 128


def test_queue_is_looked_up_once(queue: SqsQueue) -> None:
    url = {"QueueUrl": "https://queue.test/q"}
    sent = {
        "QueueUrl": url["QueueUrl"],
        "MessageBody": ANY,
        "MessageGroupId": "plan:pro",
        "MessageDeduplicationId": ANY,
    }
    with Stubber(queue._client) as stub:
        stub.add_response("get_queue_url", url, {"QueueName": "paygrade-test-sync.fifo"})
        for _ in range(2):
            stub.add_response("send_message", {"MessageId": "m"}, sent)
            queue.send(TASK)
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    "code", ["ThrottlingException", "AccessDeniedException", "InternalFailure", "InvalidAddress"]
)
@pytest.mark.parametrize("call", ["get_queue_url", "send_message"])
def test_refusal_of_any_kind_is_unavailable(queue: SqsQueue, call: str, code: str) -> None:
    with Stubber(queue._client) as stub:
        if call == "send_message":
            stub.add_response("get_queue_url", {"QueueUrl": "https://queue.test/q"})
        stub.add_client_error(call, code)
        with pytest.raises(StoreUnavailableError):
            queue.send(TASK)


def test_queue_that_does_not_exist_is_unavailable(queue: SqsQueue) -> None:
    with mock_aws(), pytest.raises(StoreUnavailableError):
        queue.send(TASK)


@pytest.mark.parametrize("operation", ["GetQueueUrl", "SendMessage"])
def test_connection_that_fails_is_unavailable(
    sqs: Any, queue: SqsQueue, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise ConnectTimeoutError(endpoint_url="https://queue.test")

    monkeypatch.setattr("time.sleep", lambda _: None)
    queue._client.meta.events.register_first(f"before-send.sqs.{operation}", fail)
    with pytest.raises(StoreUnavailableError):
        queue.send(TASK)
    assert received(sqs) == []


def test_no_credentials_are_unavailable(queue: SqsQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(StoreUnavailableError):
        queue.send(TASK)


def test_fake_queue_fails_as_the_real_one_does() -> None:
    fake = RecordingQueue()
    sender: Queue = fake
    sender.send(TASK)
    fake.down = True
    with pytest.raises(StoreUnavailableError):
        sender.send(TASK)
    handled: list[Message] = []
    assert fake.drain(QueueName.CONVERGE, handled.append) == 0
    assert fake.drain(QueueName.SYNC, handled.append) == 1
    assert handled == [TASK]
