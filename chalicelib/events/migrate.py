"""Works off migrations, and counts what drafts would mean, slice by slice."""

from collections.abc import Mapping

from chalice.app import Blueprint, SQSEvent

from chalicelib.adapters.sqs import queue_name
from chalicelib.domain.audit_log import Cause
from chalicelib.domain.ids import PackageId
from chalicelib.domain.plans import PackageKind
from chalicelib.events.worker import LambdaDeadline, handle_messages
from chalicelib.ports import Ports, QueueName
from chalicelib.services.migrate_subscribers import continue_migration
from chalicelib.services.reckon_impact import continue_impact
from chalicelib.settings import stage

bp = Blueprint(__name__)


@bp.on_sqs_message(
    queue=queue_name(stage(), QueueName.MIGRATE), batch_size=1, maximum_concurrency=2
)
def migrate(event: SQSEvent) -> None:
    """The migration or the count has gone on as far as this invocation's time allows."""
    handle_messages(event, "migrate", _work)


def _work(ports: Ports, cause: Cause, body: Mapping[str, str], deadline: LambdaDeadline) -> None:
    if "impact_of" in body:
        package_id = PackageId(body["package_id"])
        continue_impact(ports, PackageKind(body["impact_of"]), package_id, deadline)
    else:
        continue_migration(ports, cause, body["migration_id"], deadline)
