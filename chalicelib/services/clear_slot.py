"""Ending whatever may still become a subscription of a product, before another way to it is gone.

The slot (customer, product) is what all ways have in common. Whoever uses it writes it at the revision that this
returns: a request that claimed the slot earlier, and is still running, then loses before it has handed out anything.
"""

from dataclasses import replace

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import CheckoutStatus
from chalicelib.domain.checkout_sessions import CheckoutSession, vacant_slot
from chalicelib.domain.errors import (
    BillingNotConfiguredError,
    BusyError,
    StoreConflictError,
)
from chalicelib.domain.ids import CustomerId, ProductId, SubscriptionId
from chalicelib.ports import Absent, AtRevision, HostedCheckout, Ports, Put, Require
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.place_order import Placed


def clear_slot(
    ports: Ports,
    cause: Cause,
    customer_id: CustomerId,
    product_id: ProductId,
    wanted: SubscriptionId | None = None,
) -> CheckoutSession | None:
    """The slot as stored, with nothing in it that can still become a subscription; None if nobody ever used it.

    `wanted` is the subscription that the caller is making: its own earlier try is no obstacle. Raises
    `StoreConflictError` if what was under way has become a subscription, so that the order is checked again, and
    `BusyError` while somebody else's may still do so.
    """
    slot = ports.store.get(CheckoutSession, customer_id, product_id)
    if slot is None or slot.status is not CheckoutStatus.OPEN:
        return slot
    if slot.is_direct:
        if slot.expires_at > ports.clock.now() and slot.subscription_id != wanted:
            raise BusyError("The customer is being subscribed by another request.")
        # The claimant is dead, or it was us: only the provider knows how far it came.
        _look(ports, cause, slot)
    else:
        end_session(ports, cause, slot)
    return slot


def end_session(ports: Ports, cause: Cause, slot: CheckoutSession) -> None:
    """The slot's own session can't be paid any more; one that was is taken in, and `StoreConflictError` tells so.

    One that is not open yet is left to whoever opens it, and who loses the slot to the caller's commit.
    """
    if slot.billing_id is not None and _is_complete(ports, slot, slot.billing_id):
        take_in_payment(ports, cause, slot)
        raise StoreConflictError("The customer has paid for another order meanwhile.")


def take_in_payment(ports: Ports, cause: Cause, slot: CheckoutSession) -> None:
    """The checkout that was paid is closed, and its subscription is stored; raises `BusyError` while it is to come.

    A provider's list may not show the new subscription yet: until the session would have expired, none is not an
    answer, for a second checkout would make a second subscription.
    """
    converged = converge_customer(ports, cause, slot.customer_id, slot.provider)
    is_known = any(
        held.id == slot.subscription_id
        or (
            held.holding == (slot.product_id, slot.resource_id)
            and held.is_live
            and held.provider is not None
        )
        for held in converged.subscriptions
    )
    if not is_known and slot.expires_at > ports.clock.now():
        raise BusyError("The checkout was paid; its subscription is on its way.")
    current = ports.store.get(CheckoutSession, slot.customer_id, slot.product_id)
    if current is not None and current.id == slot.id and current.status is CheckoutStatus.OPEN:
        closed = replace(current, status=CheckoutStatus.COMPLETE, revision=current.revision + 1)
        ports.store.commit(Put(closed, AtRevision(number=current.revision)))


def closing(slot: CheckoutSession) -> Put:
    """What a commit needs to contain so that whoever claimed the slot can't go on."""
    closed = replace(slot, status=CheckoutStatus.EXPIRED, revision=slot.revision + 1)
    return Put(closed, AtRevision(number=slot.revision))


def keeping_clear(
    slot: CheckoutSession | None, customer_id: CustomerId, product_id: ProductId
) -> Put | Require:
    """What a commit needs to contain so that no other user of the cleared slot, earlier or later, can go on."""
    if slot is None:
        return Require(vacant_slot(customer_id, product_id), Absent())
    if slot.status is CheckoutStatus.OPEN:
        return closing(slot)
    return Require(slot, AtRevision(number=slot.revision))


def claim(
    ports: Ports,
    placed: Placed,
    claimed: CheckoutSession,
    slot: CheckoutSession | None,
    *also: Put,
) -> CheckoutSession:
    """The cleared slot is the claimant's; raises `StoreConflictError` if anything changed since the order was checked.

    The snapshot that the order was checked against stands for that: whatever else became a subscription raised it.
    """
    condition: Absent | AtRevision = Absent()
    if slot is not None:
        claimed = replace(claimed, revision=slot.revision + 1)
        condition = AtRevision(number=slot.revision)
    ports.store.commit(Put(claimed, condition), fence(placed), *also)
    return claimed


def fence(placed: Placed) -> Require:
    """What makes a commit fail if anything has become a subscription since the order was checked."""
    return Require(placed.snapshot, AtRevision(number=placed.snapshot.version))


def _is_complete(ports: Ports, slot: CheckoutSession, billing_id: str) -> bool:
    """Whether the session was paid; if not, it can't be any more."""
    provider = ports.providers.get(slot.provider)
    if not isinstance(provider, HostedCheckout):
        raise BillingNotConfiguredError(f"{slot.provider!r} has no checkout any more.")
    truth = provider.get_checkout(billing_id)
    if truth is not None and truth.status is CheckoutStatus.OPEN:
        truth = provider.expire_checkout(billing_id)
    return truth is not None and truth.status is CheckoutStatus.COMPLETE


def _look(ports: Ports, cause: Cause, slot: CheckoutSession) -> None:
    if converge_customer(ports, cause, slot.customer_id, slot.provider).changed:
        raise StoreConflictError("The customer's subscriptions have changed.")
