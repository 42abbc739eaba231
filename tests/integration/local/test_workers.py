"""Queue handlers get what Lambda would hand them: order, retries, dead letters, clean stops."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from chalice.app import Blueprint, Chalice, SQSEvent

from chalicelib.events.worker import RECEIPTS
from infra.local.resources import Resources
from infra.local.workers import QueueWorkers
from tests.integration.conftest import Aws

Handler = Callable[[SQSEvent], Any]


class Bench:
    """One queue, one handler, and what went wrong."""

    def __init__(self, aws: Aws, resources: Resources, stage: str) -> None:
        self.aws = aws
        self.stage = stage
        self.name = f"paygrade-{stage}-sync.fifo"
        self.url = resources.queue_urls[self.name]
        self.dead_url = resources.queue_urls[f"paygrade-{stage}-sync-dlq.fifo"]
        self.errors: list[tuple[str, Exception]] = []

    def hide_for(self, seconds: int) -> None:
        """How long a message that was taken stays hidden."""
        self.aws.sqs.set_queue_attributes(
            QueueUrl=self.url, Attributes={"VisibilityTimeout": str(seconds)}
        )

    def send(self, body: str, group: str = "g") -> None:
        self.aws.sqs.send_message(
            QueueUrl=self.url,
            MessageBody=body,
            MessageGroupId=group,
            MessageDeduplicationId=body,
            MessageAttributes={"kind": {"DataType": "String", "StringValue": "toy"}},
        )

    def left(self) -> int:
        counts = self.aws.sqs.get_queue_attributes(
            QueueUrl=self.url,
            AttributeNames=[
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesNotVisible",
            ],
        )["Attributes"]
        return sum(int(count) for count in counts.values())

    @contextmanager
    def running(
        self, handle: Handler, *, batch_size: int = 1, **options: Any
    ) -> Iterator[QueueWorkers]:
        # In a blueprint, as in the application.
        blueprint = Blueprint("toy_events")
        blueprint.on_sqs_message(queue=self.name, name="toy", batch_size=batch_size)(handle)
        app = Chalice(app_name="toy")
        app.register_blueprint(blueprint)
        workers = QueueWorkers(
            app,
            self.aws.sqs,
            on_error=lambda name, error: self.errors.append((name, error)),
            **options,
        )
        workers.start()
        try:
            yield workers
        finally:
            workers.stop()


@pytest.fixture
def bench(aws: Aws, resources: Resources, stage: str) -> Bench:
    made = Bench(aws, resources, stage)
    # Far longer than a handler here takes on a busy machine: what comes back is a test's own wish.
    made.hide_for(60)
    return made


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_handler_gets_the_event_and_context_of_lambda(bench: Bench) -> None:
    seen: list[tuple[dict[str, Any], int]] = []

    def handle(event: SQSEvent) -> None:
        context: Any = event.context
        seen.append((event.to_dict(), context.get_remaining_time_in_millis()))

    bench.send("hello")
    with bench.running(handle, function_timeout_seconds=30):
        assert eventually(lambda: bench.left() == 0)
    ((event, remaining),) = seen
    (record,) = event["Records"]
    assert record["body"] == "hello"
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"].endswith(f":{bench.name}")
    assert record["awsRegion"] == "us-east-1"
    assert record["attributes"]["MessageGroupId"] == "g"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["attributes"]["MessageDeduplicationId"] == "hello"
    assert record["messageAttributes"]["kind"]["stringValue"] == "toy"
    assert 20_000 < remaining <= 30_000
    assert bench.errors == []


def test_messages_of_a_group_are_handled_in_order_though_threads_are_many(bench: Bench) -> None:
    seen: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    busy: set[str] = set()

    def handle(event: SQSEvent) -> None:
        for record in event:
            group, number = record.body.split("-")
            assert group not in busy
            busy.add(group)
            time.sleep(0.005)
            seen[group].append(int(number))
            busy.remove(group)

    for number in range(10):
        for group in seen:
            bench.send(f"{group}-{number}", group)
    with bench.running(handle, concurrency=4):
        assert eventually(lambda: bench.left() == 0)
    assert seen == {group: list(range(10)) for group in seen}
    assert bench.errors == []


def test_failed_message_comes_back_until_it_is_a_dead_letter(bench: Bench) -> None:
    counts: list[str] = []

    def handle(event: SQSEvent) -> None:
        counts.extend(r.to_dict()["attributes"]["ApproximateReceiveCount"] for r in event)
        raise RuntimeError("no")

    bench.hide_for(1)
    bench.send("poison")
    with bench.running(handle):
        assert eventually(lambda: bench.left() == 0)
        (dead,) = bench.aws.sqs.receive_message(QueueUrl=bench.dead_url)["Messages"]
    assert dead["Body"] == "poison"
    assert counts == [str(number + 1) for number in range(RECEIPTS)]
    assert [(name, str(error)) for name, error in bench.errors] == [("toy", "no")] * RECEIPTS


@pytest.mark.parametrize("reporting", [True, False])
def test_batch_item_failures_count_only_where_reporting_is_on(
    bench: Bench, *, reporting: bool
) -> None:
    def handle(event: SQSEvent) -> dict[str, Any]:
        failed = [r.to_dict()["messageId"] for r in event if r.body == "bad"]
        return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}

    bench.send("good", "g1")
    bench.send("bad", "g2")
    with bench.running(handle, batch_size=10, report_batch_item_failures=reporting):
        assert eventually(lambda: bench.left() == (1 if reporting else 0))


def test_message_stays_hidden_while_a_handler_outlasts_the_visibility_timeout(
    bench: Bench,
) -> None:
    started: list[float] = []

    def handle(_: SQSEvent) -> None:
        started.append(time.monotonic())
        time.sleep(8)

    bench.hide_for(6)  # hidden anew every 2 s, which may come late
    bench.send("long")
    with bench.running(handle):
        assert eventually(lambda: bench.left() == 0)
    assert len(started) == 1


def test_stop_with_idle_pollers_ends_and_leaves_no_thread(bench: Bench) -> None:
    before = set(threading.enumerate())
    with bench.running(lambda _: None):
        time.sleep(0.2)
        started = time.monotonic()
    assert time.monotonic() - started < 30
    assert eventually(lambda: set(threading.enumerate()) <= before)


def test_message_is_handled_within_a_fraction_of_a_second_of_being_sent(bench: Bench) -> None:
    handled = threading.Event()

    def seconds(number: int) -> float:
        handled.clear()
        time.sleep(0.3)  # the only poller waits again, with most of its second before it
        started = time.monotonic()
        bench.send(str(number))
        assert handled.wait(60)
        return time.monotonic() - started

    with bench.running(lambda _: handled.set(), concurrency=1):
        # One that slept, or got its answer at the end of the second, would be late each time; a
        # busy machine is so only now and then.
        assert any(seconds(number) < 0.5 for number in range(10))
