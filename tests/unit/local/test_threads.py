import threading
from typing import Any
from unittest.mock import Mock

from chalice.app import Chalice, Rate

from infra.local.scheduler import Scheduler
from infra.local.threads import wait_for
from infra.local.workers import QueueWorkers


def an_app() -> Chalice:
    app = Chalice(app_name="toy", configure_logs=False)

    @app.schedule(Rate(1, unit=Rate.HOURS))
    def tick(event: Any) -> None: ...

    @app.on_sqs_message(queue="q")
    def work(event: Any) -> None: ...

    return app


def test_thread_that_never_began_has_ended() -> None:
    assert wait_for(threading.Thread())


def test_thread_is_waited_for_as_long_as_is_said() -> None:
    go = threading.Event()
    thread = threading.Thread(target=go.wait)
    thread.start()
    assert not wait_for(thread, 0)
    go.set()
    assert wait_for(thread)


def test_parts_that_never_started_can_be_stopped() -> None:
    sqs = Mock()
    sqs.get_queue_url.return_value = {"QueueUrl": "url"}
    sqs.get_queue_attributes.return_value = {
        "Attributes": {"QueueArn": "arn:q", "VisibilityTimeout": "15"}
    }
    QueueWorkers(an_app(), sqs, on_error=Mock()).stop()
    Scheduler(an_app(), on_error=Mock()).stop()
