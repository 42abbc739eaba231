"""Converge a customer: whatever happened at the provider, our state follows, whoever noticed it first.

The webhook, the return from a checkout, reconciliation and the command line all end here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import CheckoutStatus, ProviderSubscription
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.convergence import Convergence, converge
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import NotFoundError, StoreConflictError
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.reconciliations import Drift
from chalicelib.domain.references import SUBSCRIPTION, Reference
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.subscriptions import Subscription
from chalicelib.ports import Anyhow, AtRevision, Ports, Put, Write
from chalicelib.services.audit import entry
from chalicelib.services.listing import all_within
from chalicelib.services.price_owners import owners_of
from chalicelib.services.snapshots import compile_for

# Each try loses only to a writer that finished; more tries than writers can plausibly race.
_TRIES: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Converged:
    """The customer's subscriptions now, and what differed before."""

    subscriptions: tuple[Subscription, ...]
    changed: bool
    drifts: tuple[Drift, ...]


def converge_customer(
    ports: Ports,
    cause: Cause,
    customer_id: CustomerId,
    provider_name: str,
    also: Iterable[Write] = (),
) -> Converged:
    """Our subscriptions, snapshot and audit log agree with the provider's truth; `also` is in the same commit."""
    extra = tuple(also)
    for tried in range(1, _TRIES + 1):
        try:
            return _converge_once(ports, cause, customer_id, provider_name, extra)
        except StoreConflictError:
            # Another worker committed between our read and our write: its view of the provider may be newer
            # or older than ours, so only a new read of both can tell.
            if tried == _TRIES:
                raise
    raise AssertionError  # the loop returns or raises


def _converge_once(
    ports: Ports,
    cause: Cause,
    customer_id: CustomerId,
    provider_name: str,
    extra: tuple[Write, ...],
) -> Converged:
    # Our version is read BEFORE the provider's truth. Timeline of two workers A and B:
    #   A reads v1, A fetches (old truth) ... B reads v1, B fetches (new truth), B commits v2
    #   A commits on v1: refused, starts again from the read, fetches new truth. The old truth is never written last.
    stored = ports.store.get(Snapshot, customer_id)
    customer = ports.store.get(Customer, customer_id)
    if customer is None or stored is None:
        raise NotFoundError("customer", customer_id)
    ours = all_within(ports.store, Subscription, customer_id)
    theirs = _fetch(ports, customer, provider_name, ours)
    result = converge(
        customer_id,
        provider_name,
        ports.environment.name,
        ours,
        theirs,
        owners_of(ports, provider_name, theirs),
        ports.clock.now(),
    )
    snapshot = compile_for(ports, customer, result.subscriptions, version=stored.version)
    if not result.changed and snapshot.document == stored.document:
        if extra:
            ports.store.commit(*extra)
        return Converged(subscriptions=result.subscriptions, changed=False, drifts=result.drifts)
    snapshot = compile_for(ports, customer, result.subscriptions, version=stored.version + 1)
    ports.store.commit(
        Put(snapshot, AtRevision(number=stored.version)),
        *_subscription_writes(ports, cause, result),
        *_checkout_writes(ports, customer_id, result),
        *extra,
    )
    return Converged(subscriptions=result.subscriptions, changed=True, drifts=result.drifts)


def _fetch(
    ports: Ports, customer: Customer, provider_name: str, ours: Iterable[Subscription]
) -> tuple[ProviderSubscription, ...]:
    billing_id = customer.billing_id(provider_name)
    if billing_id is None:
        return ()
    provider = ports.providers.get(provider_name)
    listed = provider.list_subscriptions(billing_id)
    seen = {truth.billing_id for truth in listed}
    # A list may lag behind: before a subscription counts as vanished it is asked for by its id.
    missing = (
        provider.get_subscription(held.billing_id)
        for held in ours
        if held.provider == provider_name
        and held.is_live
        and held.billing_id is not None
        and held.billing_id not in seen
    )
    return (*listed, *(truth for truth in missing if truth is not None))


def _subscription_writes(ports: Ports, cause: Cause, result: Convergence) -> Iterable[Write]:
    # The condition on the snapshot's version fences these: nobody writes a subscription without raising it.
    for before, after in result.changed:
        yield Put(after, Anyhow())
        if before is None:
            yield Put(
                Reference(namespace=SUBSCRIPTION, key=after.id, target=(after.customer_id,)),
                Anyhow(),
            )
        yield Put(
            entry(
                ports,
                cause,
                f"subscription:{after.id}",
                "subscription.converged",
                _audited(before),
                _audited(after),
            ),
            Anyhow(),
        )


def _audited(subscription: Subscription | None) -> dict[str, object] | None:
    if subscription is None:
        return None
    fields = (
        "status",
        "plan_id",
        "plan_version",
        "addons",
        "quantities",
        "cancel_at",
        "billing_id",
    )
    return {field: getattr(subscription, field) for field in fields}


def _checkout_writes(ports: Ports, customer_id: CustomerId, result: Convergence) -> Iterable[Write]:
    """The slot of a checkout that was paid is closed together with the subscription's first appearance."""
    for before, after in result.changed:
        if before is not None:
            continue
        slot = ports.store.get(CheckoutSession, customer_id, after.product_id)
        if slot is not None and slot.subscription_id == after.id:
            closed = replace(slot, status=CheckoutStatus.COMPLETE, revision=slot.revision + 1)
            yield Put(closed, AtRevision(number=slot.revision))
