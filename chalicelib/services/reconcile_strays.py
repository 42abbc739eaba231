"""The strays' page of a reconciliation: what a provider bills for us from customers that we are not linked to.

Whatever else an account sells is none of our business: only what charges a price of ours, or carries our marks, is.
"""

from collections.abc import Iterable

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import ProviderSubscription
from chalicelib.domain.convergence import METADATA_ENVIRONMENT
from chalicelib.domain.errors import DomainError
from chalicelib.domain.reconciliations import Drift, DriftAction, DriftKind
from chalicelib.ports import Ports, SubscriptionListing
from chalicelib.services.choose_provider import reached
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.find_customer import find_customer, linked_customer
from chalicelib.services.price_owners import owners_of
from chalicelib.services.reconcile_parts import Answering, Page, next_provider


def stray_page(ports: Ports, cause: Cause, cursor: str | None) -> Page:
    """Some of all that providers bill has its customer here, or is reported."""
    found, unknown = reached(ports)
    able = {name: one for name, one in found.items() if isinstance(one, SubscriptionListing)}
    name, inner, following = next_provider(tuple(able), cursor)
    if name is None:
        return Page(counts={}, away=unknown)
    answering = Answering(ports)
    try:
        page = able[name].live_subscriptions(inner)
    except DomainError as error:
        answering.pass_over(f"strays:{name}", name, error)
        return Page(counts={"failed": 1}, cursor=following, away=(*unknown, *answering.away))
    drifts: list[Drift] = []
    failed = 0
    for truth in _strays(ports, name, page.subscriptions):
        try:
            drifts += _stray(ports, cause, name, truth)
        except DomainError as error:
            answering.pass_over(f"customer_subscription:{truth.billing_id}", name, error)
            failed += 1
    return Page(
        drifts=tuple(drifts),
        counts={"failed": failed},
        cursor=f"{name}|{page.next_cursor}" if page.next_cursor is not None else following,
        away=(*unknown, *answering.away),
    )


def _strays(
    ports: Ports, provider_name: str, found: Iterable[ProviderSubscription]
) -> Iterable[ProviderSubscription]:
    unknown = [
        truth
        for truth in found
        if linked_customer(ports, provider_name, truth.customer_billing_id) is None
    ]
    owners = owners_of(ports, provider_name, unknown)
    for truth in unknown:
        is_marked = truth.metadata.get(METADATA_ENVIRONMENT) == ports.environment.name
        if is_marked or any(item.price_billing_id in owners for item in truth.items):
            yield truth


def _stray(
    ports: Ports, cause: Cause, provider_name: str, truth: ProviderSubscription
) -> Iterable[Drift]:
    found = find_customer(ports, provider_name, truth.customer_billing_id)
    if found.customer_id is not None:
        yield from converge_customer(ports, cause, found.customer_id, provider_name).drifts
    yield Drift(
        kind=DriftKind.SUBSCRIPTION_STRAY,
        entity=f"customer_subscription:{truth.billing_id}",
        ours=None if found.customer_id is None else {"customer_id": found.customer_id},
        theirs={
            "billing_id": truth.billing_id,
            "customer": truth.customer_billing_id,
            "status": truth.status,
        },
        action=DriftAction.REPORTED if found.customer_id is None else DriftAction.REPAIRED,
    )
