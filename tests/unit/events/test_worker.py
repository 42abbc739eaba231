"""Messages: one that fails comes again soon, and what failed is told without what it was about."""

from typing import Any

import pytest
from chalice.app import SQSEvent

from chalicelib.domain.errors import NotFoundError, StoreUnavailableError
from chalicelib.events.worker import MessageFailedError, Work, work_off
from chalicelib.ports import QueueName
from infra.local.lambda_events import LambdaContext, sqs_event
from tests.fakes.world import World

ARN = "arn:aws:sqs:us-east-1:000000000000:paygrade-test-converge.fifo"
PRIVATE = "sk_live_1234 of ann@acme.example"


def received(body: str = "{}", count: int = 1) -> SQSEvent:
    message: Any = {
        "MessageId": "message_1",
        "ReceiptHandle": "receipt_1",
        "Body": body,
        "MD5OfBody": "",
        "Attributes": {"ApproximateReceiveCount": str(count)},
    }
    context: Any = LambdaContext("converge", 60)
    return SQSEvent(sqs_event([message], ARN), context)


def raising(error: Exception) -> Work:
    def broken(*_: object) -> None:
        raise error

    return broken


@pytest.mark.parametrize(
    ("count", "seconds"), [(1, 5), (2, 20), (3, 90), (4, 360), (7, 360), (8, 0)]
)
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StoreUnavailableError("away"), "converge: store_unavailable"),
        (RuntimeError(PRIVATE), "converge: RuntimeError"),
    ],
)
def test_message_that_fails_comes_again_later_each_time(
    error: Exception, told: str, count: int, seconds: int
) -> None:
    world = World()
    with pytest.raises(MessageFailedError) as failed:
        work_off(world.ports, received(count=count), "converge", raising(error))
    assert str(failed.value) == told
    assert world.queue.postponed == [(QueueName.CONVERGE, "receipt_1", seconds)]
    assert PRIVATE not in str(world.monitor.events)


def test_message_that_can_not_be_read_comes_again_too() -> None:
    world = World()
    with pytest.raises(MessageFailedError, match="JSONDecodeError"):
        work_off(world.ports, received("no JSON"), "converge", raising(AssertionError()))
    assert len(world.queue.postponed) == 1


@pytest.mark.parametrize("work", [lambda *_: None, raising(NotFoundError("customer", "acme"))])
def test_message_that_is_done_or_about_nothing_does_not_come_again(work: Work) -> None:
    world = World()
    work_off(world.ports, received(), "converge", work)
    assert world.queue.postponed == []
