"""Carrying a published change of a plan or add-on to every billing provider, whatever becomes of it at another."""

from collections.abc import Iterator

from chalicelib.domain.errors import (
    BillingNotConnectedError,
    DomainError,
    NotFoundError,
    ProviderRefusedError,
    StoreConflictError,
)
from chalicelib.domain.outbound_events import OutboundType
from chalicelib.domain.sync import (
    CouponKind,
    SyncOutcome,
    SyncTask,
    SyncTaskStatus,
    after_outcomes,
    settled,
)
from chalicelib.ports import AtRevision, Ports, Put
from chalicelib.services.outbound import announcement, commit_announced
from chalicelib.services.sync_catalog import sync_package
from chalicelib.services.sync_coupon import sync_coupon


def run_sync_task(ports: Ports, task_id: str) -> SyncTask:
    """Every provider holds the package as it is published now, and the task says so.

    A provider that has the change, or refused it, is not asked again by a repetition. Raises what is worth a later
    retry (`ProviderUnavailableError`, `BusyError`), after every other provider had its turn; what no retry can cure
    ends in the task's and the link's `error` instead.
    """
    task = ports.store.get(SyncTask, task_id)
    if task is None:
        raise NotFoundError("sync_task", task_id)
    if task.status is SyncTaskStatus.SUCCEEDED:
        return task
    known = settled(task)
    outcomes: list[SyncOutcome] = []
    again: DomainError | None = None
    crash: Exception | None = None
    for name in ports.providers.names():
        if name in known:
            outcomes.append(known[name])
            continue
        try:
            outcomes.append(_carry(ports, task, name))
        except BillingNotConnectedError as error:
            # Nothing to repeat within the hour: the sweep asks again until somebody has connected an account.
            outcomes.append(_outcome(name, SyncTaskStatus.PENDING, error.detail))
        except DomainError as error:
            outcomes.append(_outcome(name, SyncTaskStatus.PENDING, error.detail))
            again = again or error
        except Exception as error:  # noqa: BLE001 -- a fault in one adapter; raised below
            crash = crash or error
    if crash is not None:
        raise crash
    ended = _store(ports, after_outcomes(task, outcomes, ports.clock.now()), task.revision)
    if again is not None:
        raise again
    return ended


def _carry(ports: Ports, task: SyncTask, name: str) -> SyncOutcome:
    try:
        provider = ports.providers.get(name)
        if isinstance(task.kind, CouponKind):
            sync_coupon(ports, provider, task.package_id)
        else:
            sync_package(ports, provider, task.kind, task.package_id)
    except (ProviderRefusedError, NotFoundError) as error:
        ports.monitor.event(
            "sync_failed",
            task_id=task.id,
            package=task.package_id,
            provider=name,
            code=error.code,
        )
        return _outcome(name, SyncTaskStatus.FAILED, error.detail)
    return _outcome(name, SyncTaskStatus.SUCCEEDED, None)


def _outcome(name: str, status: SyncTaskStatus, error: str | None) -> SyncOutcome:
    return SyncOutcome(provider=name, status=status, error=error)


def _news(ports: Ports, ended: SyncTask) -> Iterator[Put]:
    if ended.status is SyncTaskStatus.FAILED:
        data = {
            "task_id": ended.id,
            "entity_type": ended.kind.value,
            "entity_id": ended.package_id,
            "error": ended.error,
            "providers": [
                {"provider": one.provider, "status": one.status.value, "error": one.error}
                for one in ended.outcomes
            ],
        }
        yield announcement(ports, OutboundType.SYNC_FAILED, data)


def _store(ports: Ports, ended: SyncTask, revision: int) -> SyncTask:
    try:
        commit_announced(ports, Put(ended, AtRevision(number=revision)), *_news(ports, ended))
    except StoreConflictError:
        # A redelivery of the same task finished meanwhile; its word is as good as ours.
        return ports.store.get(SyncTask, ended.id) or ended
    return ended
