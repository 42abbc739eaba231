"""Two paid subscriptions of one product: the older stays, the later ends and what it took last goes back.

Two tabs, both paid, make such a pair. Only one that was provably made by an order of ours is touched: whatever else
somebody made at the provider, on purpose or not, is reported. The money goes back before the subscription ends: cut
off in between, it is found as a duplicate again, and the refund is found made.
"""

from collections.abc import Iterable
from dataclasses import replace

from chalicelib.domain.audit_log import AuditEntry, Cause
from chalicelib.domain.convergence import is_made_for
from chalicelib.domain.errors import DomainError, ProviderRefusedError
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.reconciliations import Drift, DriftAction, DriftKind, DuplicatePolicy
from chalicelib.domain.subscription_drift import surplus
from chalicelib.domain.subscriptions import GIVING_ACCESS, Subscription
from chalicelib.ports import (
    Absent,
    BillingProvider,
    Ports,
    Put,
    Refunding,
    SubscriptionEnding,
)
from chalicelib.services.audit import entry
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.listing import all_within

_FOUND = "subscription.duplicate_found"
_SETTLED = "subscription.duplicate_refunded"


def settle_duplicates(
    ports: Ports,
    cause: Cause,
    customer_id: CustomerId,
    provider_name: str,
    drifts: Iterable[Drift],
) -> tuple[Drift, ...]:
    """These drifts of the customer; the duplicates among them are repaired where that may be done.

    Raises what the provider and the store raise while a duplicate is settled; the next time goes on with it.
    """
    found = tuple(drifts)
    may_settle = ports.environment.duplicates is DuplicatePolicy.REFUND
    if not may_settle or all(one.kind is not DriftKind.SUBSCRIPTION_DUPLICATE for one in found):
        return found
    settled: set[str] = set()
    for kept, extra in surplus(all_within(ports.store, Subscription, customer_id)):
        if extra.provider != provider_name:
            continue
        try:
            if _settle(ports, cause, ports.providers.get(provider_name), kept, extra):
                settled.add(f"subscription:{extra.id}")
        except ProviderRefusedError as error:
            # Somebody has to look at it: it stays, and is reported.
            ports.monitor.event(
                "duplicate_refused", subscription_id=extra.id, code=error.provider_code
            )
    return tuple(
        replace(one, action=DriftAction.REPAIRED)
        if one.kind is DriftKind.SUBSCRIPTION_DUPLICATE and one.entity in settled
        else one
        for one in found
    )


def settle_soon(
    ports: Ports,
    cause: Cause,
    customer_id: CustomerId,
    provider_name: str,
    drifts: Iterable[Drift],
) -> None:
    """The duplicates are settled if that works now; if not, the next reconciliation does it."""
    try:
        settle_duplicates(ports, cause, customer_id, provider_name, drifts)
    except DomainError as error:
        ports.monitor.event("duplicate_left", customer_id=customer_id, code=error.code)


def _settle(
    ports: Ports,
    cause: Cause,
    provider: BillingProvider,
    kept: Subscription,
    extra: Subscription,
) -> bool:
    """Whether the extra one has ended and was paid back."""
    if not isinstance(provider, Refunding) or not isinstance(provider, SubscriptionEnding):
        return False
    billing_id = extra.billing_id
    if billing_id is None or not _may_end(ports, provider, kept, extra):
        return False
    entity = f"subscription:{extra.id}"
    pair = {"kept": kept.id, "billing_id": billing_id}
    _audit_once(ports, cause, entity, pair)
    key = f"paygrade:{ports.environment.name}:duplicate:{extra.id}"
    refunded = provider.refund_last_payment(billing_id, key)
    provider.end_subscription(billing_id)
    paid_back = {**pair, "amount_minor": refunded.amount, "currency": refunded.currency}
    done = entry(ports, cause, entity, _SETTLED, None, paid_back)
    converge_customer(ports, cause, extra.customer_id, provider.name, also=[Put(done, Absent())])
    ports.monitor.event("duplicate_settled", subscription_id=extra.id, amount_minor=refunded.amount)
    return True


def _may_end(
    ports: Ports, provider: BillingProvider, kept: Subscription, extra: Subscription
) -> bool:
    """Whether the provider itself shows both as paid for, and the extra one as made by a later order of ours."""
    if (
        kept.provider != extra.provider
        or kept.billing_id is None
        or extra.billing_id is None
        or extra.started_at < kept.started_at
    ):
        return False
    truths = [provider.get_subscription(one) for one in (kept.billing_id, extra.billing_id)]
    if any(truth is None or truth.status not in GIVING_ACCESS for truth in truths):
        return False
    made = truths[1]
    return made is not None and is_made_for(made, extra, ports.environment.name)


def _audit_once(ports: Ports, cause: Cause, entity: str, pair: dict[str, str]) -> None:
    """The log tells of the decision before it is carried out, however often that takes."""
    latest = ports.store.list_within(AuditEntry, entity, limit=1, newest_first=True).items
    if not any(one.action == _FOUND for one in latest):
        ports.store.commit(Put(entry(ports, cause, entity, _FOUND, None, pair), Absent()))
