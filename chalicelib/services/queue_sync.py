"""The outbox of catalog changes: a task in the change's own commit, and a message that hurries it along."""

from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.domain.plans import Package
from chalicelib.domain.sync import SyncTask, SyncTaskStatus
from chalicelib.ports import Message, Ports, QueueName


def new_task(ports: Ports, package: Package, reason: str) -> SyncTask:
    """The task that makes providers hear of a change of the package; for the change's commit."""
    now = ports.clock.now()
    return SyncTask(
        id=ports.ids.new("sync_"),
        kind=package.kind,
        package_id=package.id,
        status=SyncTaskStatus.PENDING,
        reason=reason,
        created_at=now,
        updated_at=now,
    )


def queue_task(ports: Ports, task: SyncTask) -> None:
    """A worker will soon do the task. If the queue is down, the sweep of pending tasks sends it later."""
    group = f"{task.kind}:{task.package_id}"
    try:
        ports.queue.send(Message(queue=QueueName.SYNC, group=group, body={"task_id": task.id}))
    except StoreUnavailableError as error:
        ports.monitor.event("sync_task_not_queued", task_id=task.id, error=error.code)
