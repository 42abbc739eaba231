"""Sync tasks: changes of the catalog on their way to billing providers."""

from datetime import datetime
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.http import Call, endpoint
from chalicelib.api.wire import ListOut, NoBody, NoQuery, PageQuery, Wire, newest_of_status
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.sync import SyncedKind, SyncTask, SyncTaskStatus
from chalicelib.services.queue_sync import retry_task

bp = Blueprint(__name__)


class SyncOutcomeOut(Wire):
    """How far one provider is with the change."""

    provider: str
    status: SyncTaskStatus
    error: str | None


class SyncTaskOut(Wire):
    """One change that providers must be told of; `status` sums up what became of it at each."""

    object: Literal["sync_task"] = "sync_task"
    id: str
    entity_type: SyncedKind
    entity_id: str
    status: SyncTaskStatus
    reason: str
    attempts: int
    error: str | None
    providers: tuple[SyncOutcomeOut, ...]
    created_at: datetime
    updated_at: datetime


def from_domain(task: SyncTask) -> SyncTaskOut:
    """The task as it is shown."""
    return SyncTaskOut(
        id=task.id,
        entity_type=task.kind,
        entity_id=task.package_id,
        status=task.status,
        reason=task.reason,
        attempts=task.attempts,
        error=task.error,
        providers=tuple(
            SyncOutcomeOut(provider=one.provider, status=one.status, error=one.error)
            for one in task.outcomes
        ),
        created_at=task.created_at,
        updated_at=task.updated_at,
    )


class SyncTasksQuery(PageQuery):
    """Which tasks are wanted."""

    status: Annotated[SyncTaskStatus, Field(description="How far they are.")] = (
        SyncTaskStatus.PENDING
    )


@endpoint(
    bp,
    "GET",
    "/sync_tasks",
    scope=Scope.OPERATIONS_READ,
    summary="List sync tasks",
    query=SyncTasksQuery,
    answer=ListOut[SyncTaskOut],
)
def list_sync_tasks(call: Call[NoBody, SyncTasksQuery]) -> ListOut[SyncTaskOut]:
    """Those of one status, newest first."""
    query = call.query
    return newest_of_status(call.ports.store, SyncTask, query.status, query, from_domain)


@endpoint(
    bp,
    "GET",
    "/sync_tasks/{task_id}",
    scope=Scope.OPERATIONS_READ,
    summary="Retrieve a sync task",
    answer=SyncTaskOut,
)
def retrieve_sync_task(call: Call[NoBody, NoQuery]) -> SyncTaskOut:
    """The task and how far it is."""
    task = call.ports.store.get(SyncTask, call.path["task_id"])
    if task is None:
        raise NotFoundError("sync_task", call.path["task_id"])
    return from_domain(task)


@endpoint(
    bp,
    "POST",
    "/sync_tasks/{task_id}/retry",
    scope=Scope.OPERATIONS_WRITE,
    summary="Try a sync task again",
    answer=SyncTaskOut,
)
def retry_sync_task(call: Call[NoBody, NoQuery]) -> SyncTaskOut:
    """A failed or stuck task is pending and on its queue again; a succeeded one stays as it is."""
    return from_domain(retry_task(call.ports, call.cause, call.path["task_id"]))
