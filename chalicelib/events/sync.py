"""Carries published changes to the billing providers."""

from collections.abc import Mapping

from chalice.app import Blueprint, SQSEvent

from chalicelib.adapters.sqs import queue_name
from chalicelib.domain.audit_log import Cause
from chalicelib.events.worker import LambdaDeadline, handle_messages
from chalicelib.ports import Ports, QueueName
from chalicelib.services.run_sync_task import run_sync_task
from chalicelib.settings import stage

bp = Blueprint(__name__)


# One message at a time: without partial batch responses a failure would send its whole batch back.
@bp.on_sqs_message(queue=queue_name(stage(), QueueName.SYNC), batch_size=1, maximum_concurrency=5)
def sync(event: SQSEvent) -> None:
    """The providers hold the package of each message as it is published now."""
    handle_messages(event, "sync", _work)


def _work(ports: Ports, cause: Cause, body: Mapping[str, str], deadline: LambdaDeadline) -> None:
    del cause, deadline
    run_sync_task(ports, body["task_id"])
