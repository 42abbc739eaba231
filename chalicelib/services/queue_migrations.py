"""Setting migrations going, and going on: a message for each run that a worker has to see to.

Apart from what a run does, which brings most of the services: who publishes, and the sweep, only send one.
"""

from datetime import datetime, timedelta
from typing import Final

from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.domain.migrations import MigrationRun, MigrationStatus
from chalicelib.ports import Message, Ports, QueueName

_SILENT: Final = timedelta(minutes=5)


def queue_migration(ports: Ports, run: MigrationRun) -> bool:
    """Whether a worker will soon go on with the run; if the queue is down, the sweep sends it later."""
    group = f"migration:{run.kind}:{run.package_id}"
    message = Message(queue=QueueName.MIGRATE, group=group, body={"migration_id": run.id})
    try:
        ports.queue.send(message)
    except StoreUnavailableError as error:
        ports.monitor.event("migration_not_queued", migration_id=run.id, code=error.code)
        return False
    return True


def resume_migrations(ports: Ports) -> int:
    """Runs that waited long enough, or went silent, are on their queue again; returns how many."""
    now = ports.clock.now()
    running = ports.store.find_by(MigrationRun, "status", MigrationStatus.RUNNING).items
    return sum(queue_migration(ports, run) for run in running if _is_due(run, now))


def _is_due(run: MigrationRun, now: datetime) -> bool:
    if run.retry_at is not None:
        return run.retry_at <= now
    return now - run.updated_at > _SILENT
