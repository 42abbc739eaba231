"""Works reconciliations off, slice by slice."""

from collections.abc import Mapping

from chalice.app import Blueprint, SQSEvent

from chalicelib.adapters.sqs import queue_name
from chalicelib.domain.audit_log import Cause
from chalicelib.events.worker import LambdaDeadline, handle_messages
from chalicelib.ports import Ports, QueueName
from chalicelib.services.reconcile import continue_reconciliation
from chalicelib.settings import stage

bp = Blueprint(__name__)


@bp.on_sqs_message(
    queue=queue_name(stage(), QueueName.RECONCILE), batch_size=1, maximum_concurrency=2
)
def reconcile(event: SQSEvent) -> None:
    """The run has gone on as far as this invocation's time allows."""
    handle_messages(event, "reconcile", _work, background=True)


def _work(ports: Ports, cause: Cause, body: Mapping[str, str], deadline: LambdaDeadline) -> None:
    continue_reconciliation(ports, cause, body["reconciliation_id"], deadline)
