"""What all changes of one subscription have in common: what they depend on, how they are committed and begun.

Nobody bills it: one commit on the version of the customer's snapshot. A provider does: the wish is written down
first, in a commit that raises the subscription's version, then the provider is told under the operation's own key,
then convergence takes over what the provider says. Whoever crashes in between leaves a change that either the
provider does not know of, or the next webhook, reconciliation or retry finishes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import ProviderSubscription
from chalicelib.domain.customer_changes import CustomerChange
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import (
    NotFoundError,
    NotSupportedError,
    ProviderUnavailableError,
    SubscriptionEndedError,
)
from chalicelib.domain.references import SUBSCRIPTION, Reference
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.subscriptions import ENDED, Subscription
from chalicelib.ports import Absent, BillingProvider, Ports, Put, Write
from chalicelib.services.audit import entry, was_begun
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.listing import all_within
from chalicelib.services.optimistic import require_version
from chalicelib.services.outbound import commit_customer_change
from chalicelib.services.snapshots import compile_for
from chalicelib.services.store_subscription import subscription_writes

T = TypeVar("T")

_SHOWN: Final = (
    "customer_id",
    "status",
    "plan_id",
    "plan_version",
    "addons",
    "quantities",
    "billing_period",
    "coupon_id",
    "trial_end",
    "cancel_at",
    "ended_at",
    "scheduled_change",
    "successor",
    "metadata",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A subscription about to be changed: as stored, and as time has made it by now (`held`).

    `snapshot` was read before everything else, so a commit on it is a commit on all. `begun`: an earlier
    try of this very operation has been here.
    """

    customer: Customer
    stored: Subscription
    held: Subscription
    beside: tuple[Subscription, ...]
    snapshot: Snapshot
    begun: bool

    @property
    def others(self) -> tuple[Subscription, ...]:
        """The customer's other subscriptions."""
        return tuple(one for one in self.beside if one.id != self.stored.id)


def standing(
    ports: Ports, cause: Cause, subscription_id: str, expected_version: int | None = None
) -> Standing:
    """The subscription as it is now; one that an earlier try of the operation has begun to change is never too new.

    Raises `NotFoundError`, and `VersionConflictError` if the caller saw another version.
    """
    reference = ports.store.get(Reference, SUBSCRIPTION, subscription_id)
    if reference is None:
        raise NotFoundError("subscription", subscription_id)
    customer_id = reference.target[0]
    snapshot = ports.store.get(Snapshot, customer_id)
    customer = ports.store.get(Customer, customer_id)
    beside = all_within(ports.store, Subscription, customer_id)
    stored = next((one for one in beside if one.id == subscription_id), None)
    if stored is None or customer is None or snapshot is None:
        raise NotFoundError("subscription", subscription_id)
    begun = was_begun(ports, cause, f"subscription:{subscription_id}")
    if not begun:
        require_version(expected_version, stored.version, param="expected_version")
    return Standing(
        customer=customer,
        stored=stored,
        held=stored.at(ports.clock.now()),
        beside=beside,
        snapshot=snapshot,
        begun=begun,
    )


def refuse_ended(held: Subscription) -> None:
    """Nothing, if the subscription is live."""
    if held.status in ENDED:
        raise SubscriptionEndedError(held.id)


def commit_change(
    ports: Ports, cause: Cause, now: Standing, action: str, after: Subscription, *also: Write
) -> Subscription:
    """The subscription is stored as `after`, with its snapshot and audit entry; raises `StoreConflictError`."""
    after = replace(after, version=now.stored.version + 1)
    subscriptions = tuple(after if one.id == after.id else one for one in now.beside)
    snapshot = compile_for(ports, now.customer, subscriptions, version=now.snapshot.version + 1)
    audited = entry(
        ports, cause, f"subscription:{after.id}", action, shown(now.stored), shown(after)
    )
    commit_customer_change(
        ports,
        _change(now, after, subscriptions, snapshot),
        *subscription_writes(now.stored, after),
        Put(audited, Absent()),
        *also,
    )
    return after


def begin(
    ports: Ports,
    cause: Cause,
    now: Standing,
    action: str,
    wish: Mapping[str, object],
    **changes: Any,  # noqa: ANN401 -- fields of a subscription
) -> None:
    """The wish is written down, and `changes` of what only we know; whoever saw the version before is too late.

    A repetition writes nothing. Raises `StoreConflictError`.
    """
    if now.begun:
        return
    after = replace(now.stored, **changes, version=now.stored.version + 1)
    subscriptions = tuple(after if one.id == after.id else one for one in now.beside)
    snapshot = compile_for(ports, now.customer, subscriptions, version=now.snapshot.version + 1)
    commit_customer_change(
        ports,
        _change(now, after, subscriptions, snapshot),
        *subscription_writes(now.stored, after),
        Put(entry(ports, cause, f"subscription:{after.id}", action, None, wish), Absent()),
    )


def _change(
    now: Standing, after: Subscription, held: Sequence[Subscription], snapshot: Snapshot
) -> CustomerChange:
    changed = [(now.stored, after)]
    return CustomerChange(before=now.snapshot, after=snapshot, held=held, changed=changed)


def biller(ports: Ports, held: Subscription) -> tuple[BillingProvider, str]:
    """Who bills the subscription, and what it is called there."""
    if held.provider is None or held.billing_id is None:
        raise NotSupportedError("Nobody bills the subscription.")
    return ports.providers.get(held.provider), held.billing_id


def unable(held: Subscription, what: str) -> NotSupportedError:
    """That whoever bills the subscription can't do this."""
    return NotSupportedError(f"The billing provider {held.provider!r} can't {what}.")


def truth_of(ports: Ports, cause: Cause, now: Standing) -> ProviderSubscription:
    """The live subscription as its provider has it; if it has ended there, we know too, and that is raised."""
    provider, billing_id = biller(ports, now.held)
    truth = provider.get_subscription(billing_id)
    if truth is None or truth.status in ENDED:
        converge_customer(ports, cause, now.customer.id, provider.name)
        raise SubscriptionEndedError(now.held.id)
    return truth


def under_key(
    ports: Ports, cause: Cause, held: Subscription, step: str, call: Callable[[str], T]
) -> T:
    """What the provider answers under the operation's key for this step.

    A provider may replay its own failure under a key. Repeating such a step does nothing twice, so that it is
    tried once more under another key.
    """
    key = f"paygrade:{ports.environment.name}:{held.id}:{step}:{cause.operation_id}"
    try:
        return call(key)
    except ProviderUnavailableError as error:
        if not error.definite:
            raise
        return call(f"{key}:again")


def finish(ports: Ports, cause: Cause, now: Standing) -> Subscription:
    """The subscription as its provider has it by now, stored."""
    if now.held.provider is None:
        raise NotSupportedError("Nobody bills the subscription.")
    converged = converge_customer(ports, cause, now.customer.id, now.held.provider)
    return next(one for one in converged.subscriptions if one.id == now.held.id)


def shown(subscription: Subscription) -> dict[str, object]:
    """What the audit log tells of a subscription."""
    return {name: getattr(subscription, name) for name in _SHOWN}
