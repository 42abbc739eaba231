"""Migrations: everybody on an older version is moved to the new one, wave by wave, each exactly once.

A wave is written down before its first subscriber is moved and struck off with what became of each. Between the two
the work may be cut off anywhere: whoever goes on sees to the same subscribers, and each move finds what was done.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.errors import (
    BillingNotReadyError,
    BusyError,
    DomainError,
    NotFoundError,
    ProviderUnavailableError,
    StoreConflictError,
    StoreUnavailableError,
)
from chalicelib.domain.migrations import (
    MigrationRun,
    MigrationStatus,
    MoveFailure,
    Outcome,
    Subject,
    counted,
)
from chalicelib.domain.plans import Package, PackageVersion
from chalicelib.domain.price_moves import UnmovableError
from chalicelib.domain.subscribers import SHARDS, Subscriber, shard_key
from chalicelib.ports import Absent, AtRevision, Deadline, Ports, Put
from chalicelib.services.audit import entry
from chalicelib.services.move_subscriber import move_subscriber
from chalicelib.services.optimistic import retried
from chalicelib.services.queue_migrations import queue_migration
from chalicelib.services.snapshots import published_version

_WAVE: Final = 20
# What one move may take at worst: with less than this left the next invocation goes on.
_MOVE_SECONDS: Final = 20.0
_PASSING: Final = (
    BillingNotReadyError,
    BusyError,
    ProviderUnavailableError,
    StoreConflictError,
    StoreUnavailableError,
)
# About two hours in all; what stands in the way of everybody is then told by each of them.
_RETRIES: Final = 12
_FIRST_WAIT_SECONDS: Final = 5
_LONGEST_WAIT_SECONDS: Final = 900
# Waited out here; what takes longer is left to the sweep.
_SHORT_SECONDS: Final = 10


def continue_migration(
    ports: Ports, cause: Cause, migration_id: str, deadline: Deadline
) -> MigrationRun:
    """The run is finished, or has come as far as time and the provider allowed and will be gone on with."""
    run = get_migration(ports, migration_id)
    while run.is_running:
        if deadline.remaining_seconds() < _MOVE_SECONDS:
            queue_migration(ports, run)
            return run
        try:
            run = _advance(ports, cause, run, deadline)
        except StoreConflictError:
            # A second delivery of the message works on the same run; one of the two is enough.
            return get_migration(ports, migration_id)
        if run.retry_at is not None and not _wait(ports, run, deadline):
            return run
    return run


def cancel_migration(ports: Ports, cause: Cause, migration_id: str) -> MigrationRun:
    """Nobody else is moved; those who were stay moved. A run that has ended stays as it ended."""

    def attempt() -> MigrationRun:
        run = get_migration(ports, migration_id)
        if not run.is_running:
            return run
        entity, canceled = f"migration:{migration_id}", MigrationStatus.CANCELED
        change = {"status": run.status}, {"status": canceled}
        audited = entry(ports, cause, entity, "migration.canceled", *change)
        return _end(ports, run, canceled, Put(audited, Absent()))

    return retried(attempt)


def get_migration(ports: Ports, migration_id: str) -> MigrationRun:
    """The run; raises `NotFoundError`."""
    run = ports.store.get(MigrationRun, migration_id)
    if run is None:
        raise NotFoundError("migration", migration_id)
    return run


def _advance(ports: Ports, cause: Cause, run: MigrationRun, deadline: Deadline) -> MigrationRun:
    package = ports.store.get(Package, run.kind, run.package_id)
    if package is None or package.migration_id != run.id:
        # A later publication moves everybody further than this one would.
        return _end(ports, run, MigrationStatus.CANCELED)
    if run.wave:
        target = published_version(ports, run.kind, run.package_id, run.to_version)
        run = _work_off(ports, cause, run, target, deadline)
        if run.wave:
            return _put(ports, run)
    return _put(ports, _next_wave(ports, run))


def _next_wave(ports: Ports, run: MigrationRun) -> MigrationRun:
    """The run with the next subscribers behind the new version written down, or ended if there are none."""
    shard, cursor = run.shard, run.cursor
    while shard < SHARDS:
        page = ports.store.list_within(
            Subscriber, run.kind, run.package_id, shard_key(shard), limit=_WAVE, cursor=cursor
        )
        behind = [one for one in page.items if one.version < run.to_version]
        # Older versions come first, and whoever is moved meanwhile turns up again further on: once the new
        # version begins, nobody behind it follows.
        is_last = page.next_cursor is None or len(behind) < len(page.items)
        shard, cursor = (shard + 1, None) if is_last else (shard, page.next_cursor)
        if behind:
            wave = tuple(
                Subject(customer_id=one.customer_id, subscription_id=one.subscription_id)
                for one in behind
            )
            return replace(run, shard=shard, cursor=cursor, wave=wave)
    status = MigrationStatus.FAILED if run.counts.get(Outcome.FAILED) else MigrationStatus.SUCCEEDED
    return replace(run, shard=shard, cursor=None, status=status, finished_at=ports.clock.now())


def _work_off(
    ports: Ports, cause: Cause, run: MigrationRun, target: PackageVersion, deadline: Deadline
) -> MigrationRun:
    """The run with as much of its wave struck off as could be seen to."""
    outcomes: dict[Subject, Outcome] = {}
    failures: list[MoveFailure] = []
    for subject in run.wave:
        if deadline.remaining_seconds() < _MOVE_SECONDS:
            break
        try:
            outcomes[subject] = move_subscriber(ports, cause, run, target, subject)
        except (UnmovableError, DomainError) as error:
            retries = 0 if outcomes else run.retries
            if isinstance(error, _PASSING) and retries < _RETRIES:
                done = counted(run, outcomes, tuple(failures))
                return _waiting(ports, replace(done, retries=retries), error)
            # One subscriber that can't be moved must not keep the others from it.
            outcomes[subject] = Outcome.FAILED
            failures.append(_failure(subject, error))
            ports.monitor.event(
                "migration_move_failed",
                migration_id=run.id,
                customer_id=subject.customer_id,
                code=error.code,
            )
    done = counted(run, outcomes, tuple(failures))
    return replace(done, error=None, retries=0, retry_at=None) if outcomes else done


def _failure(subject: Subject, error: UnmovableError | DomainError) -> MoveFailure:
    return MoveFailure(
        customer_id=subject.customer_id,
        subscription_id=subject.subscription_id,
        code=error.code,
        detail=error.detail,
    )


def _waiting(ports: Ports, run: MigrationRun, error: DomainError) -> MigrationRun:
    asked = int(getattr(error, "retry_after_seconds", 0))
    seconds = max(asked, _FIRST_WAIT_SECONDS * 2 ** min(run.retries, 10))
    wait = timedelta(seconds=min(seconds, _LONGEST_WAIT_SECONDS))
    ports.monitor.event("migration_waits", migration_id=run.id, code=error.code)
    return replace(
        run, error=error.detail, retries=run.retries + 1, retry_at=ports.clock.now() + wait
    )


def _wait(ports: Ports, run: MigrationRun, deadline: Deadline) -> bool:
    """Whether the time has come to go on, having waited for it if it was near."""
    if run.retry_at is None:
        return True
    seconds = (run.retry_at - ports.clock.now()).total_seconds()
    if seconds > min(_SHORT_SECONDS, deadline.remaining_seconds() - _MOVE_SECONDS):
        return False
    ports.clock.sleep(max(seconds, 0))
    return True


def _end(ports: Ports, run: MigrationRun, status: MigrationStatus, *also: Put) -> MigrationRun:
    ended = replace(run, status=status, wave=(), finished_at=ports.clock.now())
    return _put(ports, ended, *also)


def _put(ports: Ports, run: MigrationRun, *also: Put) -> MigrationRun:
    stored = replace(run, updated_at=ports.clock.now(), revision=run.revision + 1)
    ports.store.commit(Put(stored, AtRevision(number=run.revision)), *also)
    return stored
