"""Starting a reconciliation: one run at a time, and none that went silent stands in the way of later ones.

Apart from what a run does, which brings most of the services: the schedule's function only starts one.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.reconciliations import DriftPolicy, Reconciliation, ReconciliationStatus
from chalicelib.ports import Absent, AtRevision, Message, Ports, Put, QueueName, Write
from chalicelib.services.audit import entry

# A run that has not moved for so long has lost its message: it is sent again, and in the end given up, so that
# whatever stops it can't stop all later runs, too.
_ALIVE: Final = timedelta(minutes=10)
_GIVE_UP: Final = timedelta(hours=1)
# As long as a provider itself goes on trying to deliver; what is older was compared by state when we began.
_FIRST_LOOK_BACK: Final = timedelta(days=3)
# No provider remembers longer than this.
_REMEMBERED: Final = timedelta(days=30)
# Events are shown with their time in seconds, and not always at once.
_OVERLAP: Final = timedelta(minutes=10)
_RUNS_LOOKED_AT: Final = 50


def start_reconciliation(
    ports: Ports, trigger: str, policy: DriftPolicy | None = None, cause: Cause | None = None
) -> Reconciliation:
    """A run is under way: a new one, or the one that still is. A run that went silent is set going again.

    A new one has this policy, or the environment's; one that is under way keeps its own. `cause`: somebody asked.
    """
    now = ports.clock.now()
    runs = ports.store.list_within(Reconciliation, limit=_RUNS_LOOKED_AT, newest_first=True).items
    if runs and runs[0].status is ReconciliationStatus.RUNNING:
        silent = now - runs[0].updated_at
        if silent <= _GIVE_UP:
            # Nothing has moved it yet: who made it may have failed before it was on its queue.
            if silent > _ALIVE or runs[0].revision == 1:
                queue_run(ports, runs[0])
            return runs[0]
        _give_up(ports, runs[0])
    run = Reconciliation(
        id=ports.ids.new("rec_"),
        status=ReconciliationStatus.RUNNING,
        trigger=trigger,
        policy=policy or ports.environment.drift_policy,
        events_since=_events_since(runs, now),
        started_at=now,
        updated_at=now,
    )
    audited: list[Write] = []
    if cause is not None:
        entity, after = f"reconciliation:{run.id}", {"policy": run.policy}
        made = entry(ports, cause, entity, "reconciliation.started", after=after)
        audited.append(Put(made, Absent()))
    ports.store.commit(Put(run, Absent()), *audited)
    queue_run(ports, run)
    return run


def _events_since(runs: Iterable[Reconciliation], now: datetime) -> datetime:
    """Up to when earlier runs have looked for notifications that never came, and a little before."""
    done = (run for run in runs if run.status is ReconciliationStatus.SUCCEEDED)
    last = next(done, None)
    since = now - _FIRST_LOOK_BACK if last is None else last.started_at - _OVERLAP
    return max(since, now - _REMEMBERED)


def _give_up(ports: Ports, run: Reconciliation) -> None:
    now = ports.clock.now()
    ports.monitor.event("reconciliation_given_up", reconciliation_id=run.id, phase=run.phase)
    failed = replace(
        run,
        status=ReconciliationStatus.FAILED,
        error=f"No progress in the phase '{run.phase}'.",
        updated_at=now,
        finished_at=now,
        revision=run.revision + 1,
    )
    ports.store.commit(Put(failed, AtRevision(number=run.revision)))
    tell_end(ports, failed)


def queue_run(ports: Ports, run: Reconciliation) -> None:
    """A worker will soon go on with the run."""
    ports.queue.send(
        Message(queue=QueueName.RECONCILE, group="reconcile", body={"reconciliation_id": run.id})
    )


def tell_end(ports: Ports, run: Reconciliation) -> None:
    """Operators can see that the run has ended, and how."""
    ports.monitor.event("reconciliation_ended", reconciliation_id=run.id, status=run.status)
