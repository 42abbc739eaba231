"""What every queue does with a message, on moto and on the emulator."""

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import boto3
import pytest
from moto import mock_aws

from chalicelib.adapters.hot_client import HotClient, UnexpectedError
from chalicelib.adapters.sigv4 import SQS, Credentials
from chalicelib.adapters.sqs import SqsQueue, queue_name
from chalicelib.adapters.system import SystemClock
from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.ports import Message, QueueName
from infra.local.resources import ensure_resources
from tests.fakes.system import RecordingMonitor, SequentialIds
from tests.nobody import nobody

REGION = "us-east-1"


@dataclass
class Bench:
    queue: SqsQueue
    sqs: Any
    stage: str
    monitor: RecordingMonitor
    is_lossy: bool

    def received(self, queue: QueueName) -> list[tuple[str, dict[str, str]]]:
        """Group and body of each waiting message, in the order of delivery; they are deleted."""
        url = self.sqs.get_queue_url(QueueName=queue_name(self.stage, queue))["QueueUrl"]
        found: list[tuple[str, dict[str, str]]] = []
        while True:
            answer = self.sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=0,
                AttributeNames=["MessageGroupId"],
            )
            messages = answer.get("Messages", [])
            if not messages:
                return found
            for message in messages:
                found.append((message["Attributes"]["MessageGroupId"], json.loads(message["Body"])))
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def bench_at(endpoint_url: str | None, hot_client: HotClient | None = None) -> Bench:
    arguments: dict[str, Any] = {"region_name": REGION, "endpoint_url": endpoint_url}
    sqs = boto3.client("sqs", **arguments)
    stage = f"t{uuid.uuid4().hex[:12]}"
    ensure_resources(boto3.client("dynamodb", **arguments), sqs, stage=stage)
    monitor = RecordingMonitor()
    queue = SqsQueue(
        stage=stage,
        region=REGION,
        endpoint_url=endpoint_url,
        ids=SequentialIds(),
        hot_client=hot_client,
        monitor=monitor,
    )
    return Bench(queue, sqs, stage, monitor, isinstance(hot_client, AnswersLost))


class AnswersLost:
    """A client whose messages arrive, and nobody hears of it."""

    def __init__(self, client: HotClient) -> None:
        self._client = client

    def call(self, operation: str, body: bytes) -> Any:
        answer = self._client.call(operation, body)
        if operation == "SendMessage":
            raise UnexpectedError("timeout")
        return answer


EMULATED = [
    pytest.param(name, marks=pytest.mark.integration)
    for name in ("emulator", "quick", "answers lost")
]


@pytest.fixture(params=["moto", *EMULATED])
def bench(request: pytest.FixtureRequest, _credentials: None) -> Iterator[Bench]:
    if request.param == "moto":
        with mock_aws():
            yield bench_at(None)
        return
    url = request.getfixturevalue("emulator").endpoint_url
    if request.param == "emulator":
        yield bench_at(url)
        return
    client = HotClient(
        region=REGION,
        endpoint_url=url,
        credentials=lambda: Credentials("local", "local"),
        clock=SystemClock(),
        timeout_seconds=30.0,
        service=SQS,
    )
    lossy = cast("HotClient", AnswersLost(client))
    yield bench_at(url, client if request.param == "quick" else lossy)
    client.close()


def test_send_delivers_the_body_to_its_queue_and_group_only(bench: Bench) -> None:
    for queue in QueueName:
        bench.queue.send(Message(queue=queue, group="acme", body={"id": queue.value}))
    for queue in QueueName:
        assert bench.received(queue) == [("acme", {"id": queue.value})]
    told = [fields["why"] for fields in bench.monitor.named("hot_send_fell_back")]
    assert told == (["timeout"] * len(QueueName) if bench.is_lossy else [])


def test_send_of_the_same_again_delivers_it_again(bench: Bench) -> None:
    message = Message(queue=QueueName.SYNC, group="plan:pro", body={"task_id": "t"})
    bench.queue.send(message)
    bench.queue.send(message)
    assert bench.received(QueueName.SYNC) == [("plan:pro", {"task_id": "t"})] * 2


def test_send_keeps_the_order_inside_a_group(bench: Bench) -> None:
    for number in range(12):
        bench.queue.send(Message(queue=QueueName.CONVERGE, group="acme", body={"n": str(number)}))
    bodies = [body["n"] for _, body in bench.received(QueueName.CONVERGE)]
    assert bodies == [str(number) for number in range(12)]


@pytest.mark.parametrize("group", ["x" * 129, "a b", "\u00fc", "a\nb", ""])
def test_send_with_a_group_that_sqs_refuses_uses_a_digest_of_it(bench: Bench, group: str) -> None:
    bench.queue.send(Message(queue=QueueName.SYNC, group=group, body={"id": "1"}))
    bench.queue.send(Message(queue=QueueName.SYNC, group=group, body={"id": "2"}))
    (first, _), (second, _) = bench.received(QueueName.SYNC)
    assert first == second
    assert len(first) == 64


@pytest.mark.parametrize("group", ["acme@x.example", "a:b+c_d-e.f", "x" * 128])
def test_send_with_a_group_that_sqs_takes_uses_it_as_it_is(bench: Bench, group: str) -> None:
    bench.queue.send(Message(queue=QueueName.SYNC, group=group, body={"id": "1"}))
    assert bench.received(QueueName.SYNC)[0][0] == group


def test_send_carries_any_text(bench: Bench) -> None:
    body = {"id": 'M\u00fcller "&" S\u00f6hne \u2028 \U0001f600'}
    bench.queue.send(Message(queue=QueueName.SYNC, group="g", body=body))
    assert bench.received(QueueName.SYNC) == [("g", body)]


def test_message_that_is_postponed_comes_again_at_that_time_and_not_before(bench: Bench) -> None:
    bench.queue.send(Message(queue=QueueName.CONVERGE, group="acme", body={"id": "1"}))
    bench.queue.send(Message(queue=QueueName.CONVERGE, group="acme", body={"id": "2"}))
    url = bench.sqs.get_queue_url(QueueName=queue_name(bench.stage, QueueName.CONVERGE))["QueueUrl"]

    def receive(hidden_for: int) -> list[Any]:
        answer = bench.sqs.receive_message(
            QueueUrl=url, VisibilityTimeout=hidden_for, WaitTimeSeconds=0
        )
        found: list[Any] = answer.get("Messages", [])
        return found

    (message,) = receive(1)
    bench.queue.postpone(QueueName.CONVERGE, message["ReceiptHandle"], 500)
    time.sleep(1.2)  # by when it would have come by itself
    assert receive(600) == []
    bench.queue.postpone(QueueName.CONVERGE, message["ReceiptHandle"], 0)
    (again,) = receive(600)
    assert json.loads(again["Body"]) == {"id": "1"}
    assert bench.monitor.named("message_not_postponed") == []


def test_postponing_what_can_not_be_postponed_is_told_and_no_failure(bench: Bench) -> None:
    url = bench.sqs.get_queue_url(QueueName=queue_name(bench.stage, QueueName.SYNC))["QueueUrl"]
    bench.sqs.delete_queue(QueueUrl=url)
    bench.queue.postpone(QueueName.SYNC, "receipt", 5)
    assert len(bench.monitor.named("message_not_postponed")) == 1


def test_send_to_a_queue_that_is_not_there_is_unavailable(bench: Bench) -> None:
    url = bench.sqs.get_queue_url(QueueName=queue_name(bench.stage, QueueName.SYNC))["QueueUrl"]
    bench.sqs.delete_queue(QueueUrl=url)
    with pytest.raises(StoreUnavailableError):
        bench.queue.send(Message(queue=QueueName.SYNC, group="g", body={}))


@pytest.mark.usefixtures("_credentials")
def test_send_without_an_answer_is_unavailable() -> None:
    with nobody() as port:
        nowhere = SqsQueue(
            stage="t",
            region=REGION,
            endpoint_url=f"http://127.0.0.1:{port}",
            ids=SequentialIds(),
        )
        with pytest.raises(StoreUnavailableError):
            nowhere.send(Message(queue=QueueName.SYNC, group="g", body={}))
