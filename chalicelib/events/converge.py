"""Applies billing events that the webhook could not apply itself."""

from collections.abc import Mapping

from chalice.app import Blueprint, SQSEvent

from chalicelib.adapters.sqs import queue_name
from chalicelib.domain.audit_log import Cause
from chalicelib.events.worker import LambdaDeadline, handle_messages
from chalicelib.ports import Ports, QueueName
from chalicelib.services.apply_billing_event import apply_billing_event
from chalicelib.settings import stage

bp = Blueprint(__name__)


@bp.on_sqs_message(
    queue=queue_name(stage(), QueueName.CONVERGE), batch_size=1, maximum_concurrency=10
)
def converge(event: SQSEvent) -> None:
    """The customer of each message's event has converged."""
    handle_messages(event, "converge", _work)


def _work(ports: Ports, cause: Cause, body: Mapping[str, str], deadline: LambdaDeadline) -> None:
    del deadline
    apply_billing_event(ports, cause, body["event_id"])
