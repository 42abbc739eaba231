"""Reconciliation: everything we hold compared with what the provider holds, whatever notifications were lost.

A run goes through its phases page by page. After each page its record says where to go on, so it may be cut
off anywhere: the next invocation repeats at most one page, and comparing twice changes nothing.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.errors import NotFoundError, StoreConflictError
from chalicelib.domain.plain import plain
from chalicelib.domain.reconciliations import (
    Drift,
    Phase,
    Reconciliation,
    ReconciliationStatus,
)
from chalicelib.ports import AtRevision, Deadline, Ports, Put
from chalicelib.services.reconcile_pages import PAGES
from chalicelib.services.reconcile_parts import Page
from chalicelib.services.start_reconciliation import queue_run, tell_end

_DRIFTS_KEPT: Final = 300
_RUNS_LOOKED_AT: Final = 20
# What one page may take at worst: with less than this left the next invocation goes on.
_PAGE_SECONDS: Final = 15.0


def continue_reconciliation(
    ports: Ports, cause: Cause, run_id: str, deadline: Deadline
) -> Reconciliation:
    """The run is finished, or has come as far as the time allowed and is queued to go on."""
    run = ports.store.get(Reconciliation, run_id)
    if run is None:
        raise NotFoundError("reconciliation", run_id)
    before = _left_before(ports, run)
    while run.status is ReconciliationStatus.RUNNING:
        if deadline.remaining_seconds() < _PAGE_SECONDS:
            queue_run(ports, run)
            return run
        page = PAGES[run.phase](ports, cause, run)
        try:
            run = _advance(ports, run, page, before)
        except StoreConflictError:
            # A second delivery of the message works on the same run; one of the two is enough.
            return ports.store.get(Reconciliation, run_id) or run
    return run


def _left_before(ports: Ports, run: Reconciliation) -> tuple[Drift, ...]:
    """What the last run that came to its end has left as it is."""
    runs = ports.store.list_within(Reconciliation, limit=_RUNS_LOOKED_AT, newest_first=True).items
    ended = (one for one in runs if one.id < run.id and one.finished_at is not None)
    last = next(ended, None)
    return last.left if last is not None else ()


def _words(drift: Drift) -> str:
    """What a reader of the report would see, the same for the same drift."""
    return json.dumps(plain(drift), sort_keys=True)


def _advance(
    ports: Ports, run: Reconciliation, page: Page, before: Iterable[Drift]
) -> Reconciliation:
    phases = list(Phase)
    following = phases[phases.index(run.phase) + 1 :]
    is_last = page.cursor is None and not following
    counts = dict(run.counts)
    for name, number in page.counts.items():
        counts[name] = counts.get(name, 0) + number
    for name in page.away:
        counts[_without(name)] = counts.get(_without(name), 0) + 1
    told = {_words(drift) for drift in before}
    standing = tuple(drift for drift in page.drifts if _words(drift) in told)
    news = tuple(drift for drift in page.drifts if _words(drift) not in told)
    if standing:
        counts["standing"] = counts.get("standing", 0) + len(standing)
    for drift in news:
        counts["drifts"] = counts.get("drifts", 0) + 1
        counts[drift.action] = counts.get(drift.action, 0) + 1
        ports.monitor.event("drift", kind=drift.kind, entity=drift.entity, action=drift.action)
    drifts = (*run.drifts, *news)
    now = ports.clock.now()
    missed = [name for name in ports.providers.names() if _without(name) in counts]
    ended = ReconciliationStatus.FAILED if missed else ReconciliationStatus.SUCCEEDED
    advanced = replace(
        run,
        status=ended if is_last else run.status,
        error=f"Not everything was compared with {', '.join(missed)}." if missed else None,
        phase=run.phase if page.cursor is not None or is_last else following[0],
        cursor=page.cursor,
        counts=counts,
        drifts=drifts[:_DRIFTS_KEPT],
        standing=(*run.standing, *standing)[:_DRIFTS_KEPT],
        drifts_omitted=run.drifts_omitted + max(0, len(drifts) - _DRIFTS_KEPT),
        updated_at=now,
        finished_at=now if is_last else None,
        revision=run.revision + 1,
    )
    ports.store.commit(Put(advanced, AtRevision(number=run.revision)))
    if is_last:
        tell_end(ports, advanced)
    return advanced


def _without(provider: str) -> str:
    """What counts the pages for which the provider did not answer."""
    return f"pages_without_{provider}"
