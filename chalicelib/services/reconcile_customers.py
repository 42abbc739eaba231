"""The customers' page of a reconciliation: each one's subscriptions, marks and existence at every provider.

State follows the provider whatever the policy; only what would be written there, or paid back, waits for it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import ProviderCustomer
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import DomainError, ProviderRefusedError
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.reconciliations import (
    Drift,
    DriftAction,
    DriftKind,
    DriftPolicy,
    Reconciliation,
)
from chalicelib.domain.subscriptions import Subscription
from chalicelib.ports import BillingProvider, Marking, Ports
from chalicelib.services.converge_customer import WRONG_MODE, converge_customer
from chalicelib.services.link_customer import (
    UNKNOWN,
    customer_marks,
    forget_deleted,
    push_details,
    refuse_strangers_account,
)
from chalicelib.services.reconcile_parts import PAGE_SIZE, Answering, Page
from chalicelib.services.settle_duplicates import settle_duplicates

# Refusals that tell of the customer itself: nothing of ours is touched until somebody has looked.
_TELLING: Final[Mapping[str | None, DriftKind]] = {
    UNKNOWN: DriftKind.CUSTOMER_UNKNOWN,
    WRONG_MODE: DriftKind.LIVEMODE,
}
# The page's address is left out: it changes with our own.
_IDENTITY: Final = ("paygrade_entity_id", "paygrade_entity_type", "paygrade_environment")


def customer_page(ports: Ports, cause: Cause, run: Reconciliation) -> Page:
    """Some customers are compared with every provider that they are linked to; the others cost nothing there."""
    page = ports.store.list_within(Customer, limit=PAGE_SIZE, cursor=run.cursor)
    drifts: list[Drift] = []
    failed = 0
    compared = 0
    answering = Answering(ports)
    for customer in page.items:
        for name in answering.names():
            billing_id = customer.billing_id(name)
            if billing_id is None:
                continue
            compared += 1
            try:
                provider = ports.providers.get(name)
                drifts += _compare(ports, cause, run.policy, provider, customer, billing_id)
            except DomainError as error:
                kind = (
                    _TELLING.get(error.provider_code)
                    if isinstance(error, ProviderRefusedError)
                    else None
                )
                if kind is not None:
                    drifts.append(_told(kind, customer, name, billing_id, DriftAction.REPORTED))
                    continue
                answering.pass_over(f"customer:{customer.id}", name, error)
                failed += 1
    return Page(
        drifts=tuple(drifts),
        counts={"customers": compared, "failed": failed},
        cursor=page.next_cursor,
        away=answering.away,
    )


def _compare(
    ports: Ports,
    cause: Cause,
    policy: DriftPolicy,
    provider: BillingProvider,
    customer: Customer,
    billing_id: str,
) -> tuple[Drift, ...]:
    converged = converge_customer(ports, cause, customer.id, provider.name)
    found = (*converged.drifts, *_paid_for_nothing(customer, provider, converged.subscriptions))
    if policy is DriftPolicy.RESTORE:
        found = settle_duplicates(ports, cause, customer.id, provider.name, found)
        found = tuple(_mended(provider, one) for one in found)
    truth = refuse_strangers_account(provider, billing_id)
    if truth.deleted:
        if not forget_deleted(ports, cause, customer.id, provider):
            return found  # somebody has linked the customer anew
        gone = _told(
            DriftKind.CUSTOMER_DELETED, customer, provider.name, billing_id, DriftAction.REPAIRED
        )
        return (*found, gone)
    found = (*found, *_unmarked(ports, policy, provider, customer, truth))
    if policy is DriftPolicy.RESTORE:
        push_details(ports, customer.id, provider)
    return found


def _paid_for_nothing(
    customer: Customer, provider: BillingProvider, held: Iterable[Subscription]
) -> Iterable[Drift]:
    """An archived customer has no access, and is billed all the same: somebody sold it something at the provider."""
    if customer.status is not Lifecycle.ARCHIVED:
        return
    for one in held:
        if one.provider == provider.name and one.is_live:
            yield Drift(
                kind=DriftKind.SUBSCRIPTION_OF_ARCHIVED,
                entity=f"subscription:{one.id}",
                ours={"customer_id": customer.id, "customer": "archived"},
                theirs={"billing_id": one.billing_id, "status": one.status},
                action=DriftAction.REPORTED,
            )


def _mended(provider: BillingProvider, drift: Drift) -> Drift:
    """A subscription that lost our marks carries them again."""
    if drift.kind is not DriftKind.SUBSCRIPTION_METADATA or not isinstance(provider, Marking):
        return drift
    ours = drift.ours or {}
    billing_id, marks = ours.get("billing_id"), ours.get("metadata")
    if not isinstance(billing_id, str) or not isinstance(marks, Mapping):
        return drift
    provider.mark_subscription(billing_id, marks)
    return replace(drift, action=DriftAction.REPAIRED)


def _unmarked(
    ports: Ports,
    policy: DriftPolicy,
    provider: BillingProvider,
    customer: Customer,
    truth: ProviderCustomer,
) -> Iterable[Drift]:
    """The provider's customer has lost what leads from it to ours; made good where that may be."""
    marks = customer_marks(ports, customer.id)
    lost = {key: marks[key] for key in _IDENTITY if truth.metadata.get(key) != marks[key]}
    if not lost:
        return
    named = {"provider": provider.name, "billing_id": truth.billing_id}
    done = DriftAction.REPORTED
    if policy is DriftPolicy.RESTORE and isinstance(provider, Marking):
        provider.mark_customer(truth.billing_id, marks)
        done = DriftAction.REPAIRED
    yield Drift(
        kind=DriftKind.CUSTOMER_METADATA,
        entity=f"customer:{customer.id}",
        ours={**named, "metadata": lost},
        theirs={**named, "metadata": {key: truth.metadata.get(key) for key in lost}},
        action=done,
    )


def _told(
    kind: DriftKind, customer: Customer, provider: str, billing_id: str, action: DriftAction
) -> Drift:
    return Drift(
        kind=kind,
        entity=f"customer:{customer.id}",
        ours={"provider": provider, "billing_id": billing_id},
        theirs=None,
        action=action,
    )
