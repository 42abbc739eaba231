"""The outbox of catalog changes: a task in the change's own commit, and a message that hurries it along."""

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.errors import NotFoundError, StoreUnavailableError
from chalicelib.domain.ids import PackageId
from chalicelib.domain.plans import Package
from chalicelib.domain.sync import SyncedKind, SyncTask, SyncTaskStatus, to_retry
from chalicelib.ports import Absent, AtRevision, Message, Ports, Put, QueueName
from chalicelib.services.audit import entry


def new_task(ports: Ports, package: Package, reason: str) -> SyncTask:
    """The task that makes providers hear of a change of the package; for the change's commit."""
    return new_task_for(ports, package.kind, package.id, reason)


def new_task_for(ports: Ports, kind: SyncedKind, entity_id: str, reason: str) -> SyncTask:
    """The task that makes providers hear of a change of this entity; for the change's commit."""
    now = ports.clock.now()
    return SyncTask(
        id=ports.ids.new("sync_"),
        kind=kind,
        package_id=PackageId(entity_id),
        status=SyncTaskStatus.PENDING,
        reason=reason,
        created_at=now,
        updated_at=now,
    )


def queue_task(ports: Ports, task: SyncTask) -> bool:
    """Whether a worker will soon do the task. If the queue is down, the sweep of pending tasks sends it later."""
    group = f"{task.kind}:{task.package_id}"
    try:
        ports.queue.send(Message(queue=QueueName.SYNC, group=group, body={"task_id": task.id}))
    except StoreUnavailableError as error:
        ports.monitor.event("sync_task_not_queued", task_id=task.id, error=error.code)
        return False
    return True


def retry_task(ports: Ports, cause: Cause, task_id: str) -> SyncTask:
    """The task, if it has not succeeded, is pending and on its queue; raises `NotFoundError`."""
    task = ports.store.get(SyncTask, task_id)
    if task is None:
        raise NotFoundError("sync_task", task_id)
    if task.status is SyncTaskStatus.SUCCEEDED:
        return task
    again = to_retry(task, ports.clock.now())
    audited = entry(
        ports,
        cause,
        f"sync_task:{task_id}",
        "sync_task.retried",
        {"status": task.status, "error": task.error},
        {"status": again.status, "error": again.error},
    )
    ports.store.commit(Put(again, AtRevision(number=task.revision)), Put(audited, Absent()))
    queue_task(ports, again)
    return again
