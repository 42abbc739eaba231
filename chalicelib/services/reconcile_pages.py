"""The pages of a reconciliation: what each of its phases compares, and names as drift where it differs.

One object that can't be compared keeps no other from it, nor does a provider that does not answer keep the others:
the rest of the page goes without it, and says so. Only when none answers, or the store does not, is the page broken
off, to be repeated as a whole.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import DomainError
from chalicelib.domain.reconciliations import (
    Drift,
    DriftAction,
    DriftKind,
    DriftPolicy,
    Phase,
    Reconciliation,
)
from chalicelib.domain.sync import SyncTask, SyncTaskStatus
from chalicelib.ports import BillingProvider, Ports
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.link_customer import forget_deleted, push_details
from chalicelib.services.reconcile_catalog import package_page
from chalicelib.services.reconcile_coupons import coupon_page
from chalicelib.services.reconcile_events import event_page, history_page
from chalicelib.services.reconcile_parts import PAGE_SIZE, STUCK, Answering, Page
from chalicelib.services.settle_duplicates import settle_duplicates
from chalicelib.services.sweep import sweep


def _outbox(ports: Ports, cause: Cause, run: Reconciliation) -> Page:
    del cause, run  # what we published is carried over in any case
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


def _customers(ports: Ports, cause: Cause, run: Reconciliation) -> Page:
    page = ports.store.list_within(Customer, limit=PAGE_SIZE, cursor=run.cursor)
    drifts: list[Drift] = []
    failed = 0
    compared = 0
    answering = Answering(ports)
    for customer in page.items:
        for name in answering.names():
            if customer.billing_id(name) is None:
                continue
            compared += 1
            try:
                drifts += _customer_drifts(
                    ports, cause, run.policy, ports.providers.get(name), customer
                )
            except DomainError as error:
                answering.pass_over(f"customer:{customer.id}", name, error)
                failed += 1
    return Page(
        drifts=tuple(drifts),
        counts={"customers": compared, "failed": failed},
        cursor=page.next_cursor,
        away=answering.away,
    )


def _customer_drifts(
    ports: Ports,
    cause: Cause,
    policy: DriftPolicy,
    provider: BillingProvider,
    customer: Customer,
) -> Iterable[Drift]:
    found = converge_customer(ports, cause, customer.id, provider.name).drifts
    if policy is DriftPolicy.RESTORE:
        found = settle_duplicates(ports, cause, customer.id, provider.name, found)
    yield from found
    billing_id = customer.billing_id(provider.name)
    if forget_deleted(ports, cause, customer.id, provider):
        yield Drift(
            kind=DriftKind.CUSTOMER_DELETED,
            entity=f"customer:{customer.id}",
            ours={"provider": provider.name, "billing_id": billing_id},
            theirs=None,
            action=DriftAction.REPAIRED,
        )
    elif policy is DriftPolicy.RESTORE:
        push_details(ports, customer.id, provider)


PAGES: Final[Mapping[Phase, Callable[[Ports, Cause, Reconciliation], Page]]] = {
    Phase.OUTBOX: _outbox,
    Phase.CATALOG: lambda ports, _cause, run: package_page(ports, run.policy, run.cursor),
    Phase.COUPONS: lambda ports, _cause, run: coupon_page(ports, run.policy, run.cursor),
    Phase.CUSTOMERS: _customers,
    Phase.HISTORY: lambda ports, _cause, run: history_page(ports, run.events_since, run.cursor),
    Phase.EVENTS: lambda ports, cause, run: event_page(ports, cause, run.cursor),
}
