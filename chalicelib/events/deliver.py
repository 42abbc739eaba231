"""Hands events to the operator's webhook endpoints."""

from collections.abc import Mapping

from chalice.app import Blueprint, SQSEvent

from chalicelib.adapters.sqs import queue_name
from chalicelib.domain.audit_log import Cause
from chalicelib.domain.ids import CustomerId
from chalicelib.events.worker import LambdaDeadline, handle_messages
from chalicelib.ports import Ports, QueueName
from chalicelib.services.deliver_webhooks import attempt_delivery, dispatch_event
from chalicelib.services.settle_customer import settle_customer
from chalicelib.settings import stage

bp = Blueprint(__name__)


@bp.on_sqs_message(
    queue=queue_name(stage(), QueueName.DELIVER), batch_size=1, maximum_concurrency=10
)
def deliver(event: SQSEvent) -> None:
    """The message's events are dispatched, its delivery was attempted, or its customer settled."""
    handle_messages(event, "deliver", _work)


def _work(ports: Ports, cause: Cause, body: Mapping[str, str], deadline: LambdaDeadline) -> None:
    del deadline
    if "customer_id" in body:
        settle_customer(ports, cause, CustomerId(body["customer_id"]))
    elif "event_ids" in body:
        for event_id in body["event_ids"].split(","):
            dispatch_event(ports, event_id)
    else:
        attempt_delivery(ports, cause, body["endpoint_id"], body["event_id"])
