"""Works off migrations, slice by slice."""

from collections.abc import Mapping

from chalice.app import Blueprint, SQSEvent

from chalicelib.adapters.sqs import queue_name
from chalicelib.domain.audit_log import Cause
from chalicelib.events.worker import LambdaDeadline, handle_messages
from chalicelib.ports import Ports, QueueName
from chalicelib.services.migrate_subscribers import continue_migration
from chalicelib.settings import stage

bp = Blueprint(__name__)


@bp.on_sqs_message(queue=queue_name(stage(), QueueName.MIGRATE), batch_size=1)
def migrate(event: SQSEvent) -> None:
    """The migration has gone on as far as this invocation's time allows."""
    handle_messages(event, "migrate", _work)


def _work(ports: Ports, cause: Cause, body: Mapping[str, str], deadline: LambdaDeadline) -> None:
    continue_migration(ports, cause, body["migration_id"], deadline)
