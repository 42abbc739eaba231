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
from chalicelib.domain.customer_changes import CustomerChange
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import NotFoundError, ProviderRefusedError, StoreConflictError
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.reconciliations import Drift
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.subscriptions import Subscription
from chalicelib.domain.trials import TrialUse
from chalicelib.ports import Anyhow, AtRevision, Ports, Put, Write
from chalicelib.services.audit import entry
from chalicelib.services.link_customer import refuse_strangers_account
from chalicelib.services.listing import all_within
from chalicelib.services.outbound import commit_customer_change
from chalicelib.services.price_owners import owners_of
from chalicelib.services.snapshots import compile_for
from chalicelib.services.store_subscription import subscription_writes

WRONG_MODE: Final = "wrong_mode"
# Each try loses only to a writer that finished; more tries than writers can plausibly race.
_TRIES: Final = 6
# A commit takes 100 writes; a changed subscription needs up to nine (the record, its reference, its hold, its trial
# and when that ends, its checkout, its audit entry, two events), the rest is the snapshot's and the caller's.
_CHANGES_AT_ONCE: Final = 10


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
    hinted: str | None = None,
) -> Converged:
    """Our subscriptions, snapshot and audit log agree with the provider's truth; `also` is in the same commit.

    `hinted` is the provider's id of a subscription that its lists may not show yet.
    """
    extra = tuple(also)
    for tried in range(1, _TRIES + 1):
        try:
            return _converge_once(ports, cause, customer_id, provider_name, extra, hinted)
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
    hinted: str | None,
) -> Converged:
    # Our version is read BEFORE the provider's truth. Timeline of two workers A and B:
    #   A reads v1, A fetches (old truth) ... B reads v1, B fetches (new truth), B commits v2
    #   A commits on v1: refused, starts again from the read, fetches new truth. The old truth is never written last.
    stored = ports.store.get(Snapshot, customer_id)
    customer = ports.store.get(Customer, customer_id)
    if customer is None or stored is None:
        raise NotFoundError("customer", customer_id)
    ours = all_within(ports.store, Subscription, customer_id)
    theirs = _fetch(ports, customer, provider_name, ours, hinted)
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
    portion = replace(result, changed=result.changed[:_CHANGES_AT_ONCE])
    is_whole = len(portion.changed) == len(result.changed)
    held = result.subscriptions if is_whole else _with_changes(ours, portion)
    snapshot = compile_for(ports, customer, held, version=stored.version + 1)
    commit_customer_change(
        ports,
        CustomerChange(before=stored, after=snapshot, held=held, changed=portion.changed),
        *_subscription_writes(ports, cause, portion),
        *_checkout_writes(ports, customer_id, portion),
        *_trial_writes(portion),
        *(extra if is_whole else ()),
    )
    if is_whole:
        return Converged(subscriptions=held, changed=True, drifts=result.drifts)
    # As if the provider had changed in portions: each is a right state on the way to the present one.
    rest = _converge_once(ports, cause, customer_id, provider_name, extra, hinted)
    return replace(rest, changed=True, drifts=result.drifts)


def _with_changes(ours: Iterable[Subscription], portion: Convergence) -> tuple[Subscription, ...]:
    held = {one.id: one for one in ours} | {after.id: after for _, after in portion.changed}
    return tuple(held[key] for key in sorted(held))


def _fetch(
    ports: Ports,
    customer: Customer,
    provider_name: str,
    ours: Iterable[Subscription],
    hinted: str | None,
) -> tuple[ProviderSubscription, ...]:
    """What the provider holds. A list may lag behind: whatever it lacks is asked for by its id."""
    customer_billing_id = customer.billing_id(provider_name)
    held_there = {
        held.billing_id
        for held in ours
        if held.provider == provider_name and held.is_live and held.billing_id is not None
    }
    if customer_billing_id is None and not held_there:
        return ()
    provider = ports.providers.get(provider_name)
    listed = provider.list_subscriptions(customer_billing_id) if customer_billing_id else ()
    seen = {truth.billing_id for truth in listed}
    asked = [provider.get_subscription(billing_id) for billing_id in sorted(held_there - seen)]
    if customer_billing_id is not None and None in asked:
        refuse_strangers_account(provider, customer_billing_id)
    if hinted is not None and hinted not in seen | held_there:
        found = provider.get_subscription(hinted)
        if found is not None and found.customer_billing_id == customer_billing_id:
            asked.append(found)
    truths = (*listed, *(one for one in asked if one is not None))
    if any(one.live not in (None, ports.environment.live) for one in truths):
        # Nothing of the customer's is believed: with the wrong key everything else would be wrong, too.
        raise ProviderRefusedError(
            f"{provider_name} shows subscriptions of the other mode: test and live never mix.",
            provider_code=WRONG_MODE,
        )
    return truths


def _subscription_writes(ports: Ports, cause: Cause, result: Convergence) -> Iterable[Write]:
    # The condition on the snapshot's version fences these: nobody writes a subscription without raising it.
    for before, after in result.changed:
        yield from subscription_writes(before, after)
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


def _trial_writes(result: Convergence) -> Iterable[Write]:
    """The trial that a subscription began with is used up together with its first appearance."""
    began = {
        (after.customer_id, after.product_id): after
        for before, after in result.changed
        if after.trial_end is not None
        and after.provider
        and (before is None or not before.trial_end)
    }
    for after in began.values():
        use = TrialUse(
            customer_id=after.customer_id,
            product_id=after.product_id,
            subscription_id=after.id,
            started_at=after.started_at,
        )
        yield Put(use, Anyhow())


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
        "scheduled_change",
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
