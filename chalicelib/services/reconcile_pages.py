"""The pages of a reconciliation: what each of its phases compares, and names as drift where it differs.

One object that can't be compared keeps no other from it, nor does a provider that does not answer keep the others:
the rest of the page goes without it, and says so. Only when none answers, or the store does not, is the page broken
off, to be repeated as a whole.
"""

from collections.abc import Callable, Mapping
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.reconciliations import (
    Drift,
    DriftAction,
    DriftKind,
    Phase,
    Reconciliation,
)
from chalicelib.domain.sync import SyncTask, SyncTaskStatus
from chalicelib.ports import Ports
from chalicelib.services.disconnect_account import notice_lost_revocations
from chalicelib.services.reconcile_catalog import package_page
from chalicelib.services.reconcile_coupons import coupon_page
from chalicelib.services.reconcile_customers import customer_page
from chalicelib.services.reconcile_events import event_page, history_page
from chalicelib.services.reconcile_parts import STUCK, Page
from chalicelib.services.reconcile_strays import stray_page
from chalicelib.services.sweep import sweep


def _outbox(ports: Ports, cause: Cause, run: Reconciliation) -> Page:
    del run  # what we published is carried over in any case
    # First of all: the pages to come ask on the account's behalf.
    notice_lost_revocations(ports, cause)
    swept = sweep(ports)
    now = ports.clock.now()
    pending = ports.store.find_by(SyncTask, "status", SyncTaskStatus.PENDING).items
    failed = ports.store.find_by(SyncTask, "status", SyncTaskStatus.FAILED).items
    stuck = [task for task in (*pending, *failed) if now - task.created_at > STUCK]
    drifts = tuple(
        Drift(
            kind=DriftKind.SYNC_STUCK,
            entity=f"{task.kind}:{task.package_id}",
            ours={"sync_task": task.id, "status": task.status, "error": task.error},
            theirs=None,
            action=DriftAction.REPORTED,
        )
        for task in stuck
    )
    return Page(drifts=drifts, counts={"resent": swept.sync_tasks + swept.billing_events})


PAGES: Final[Mapping[Phase, Callable[[Ports, Cause, Reconciliation], Page]]] = {
    Phase.OUTBOX: _outbox,
    Phase.CATALOG: lambda ports, _cause, run: package_page(ports, run.policy, run.cursor),
    Phase.COUPONS: lambda ports, _cause, run: coupon_page(ports, run.policy, run.cursor),
    Phase.CUSTOMERS: customer_page,
    Phase.STRAYS: lambda ports, cause, run: stray_page(ports, cause, run.cursor),
    Phase.HISTORY: lambda ports, _cause, run: history_page(ports, run.events_since, run.cursor),
    Phase.EVENTS: event_page,
}
