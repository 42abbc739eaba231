"""Handing a subscription that nobody bills to another customer."""

from dataclasses import replace

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.customer_changes import CustomerChange
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import ArchivedError, NotFoundError, NotSupportedError, invalid
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.references import SUBSCRIPTION, Reference
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.subscriptions import Subscription
from chalicelib.domain.trials import TrialUse
from chalicelib.ports import Absent, Anyhow, Delete, Ports, Put
from chalicelib.services.alter_subscription import Standing, refuse_ended, shown, standing
from chalicelib.services.audit import entry
from chalicelib.services.clear_slot import clear_slot, keeping_clear
from chalicelib.services.listing import all_within
from chalicelib.services.optimistic import retried
from chalicelib.services.outbound import change_writes, commit_announced
from chalicelib.services.place_order import refuse_second
from chalicelib.services.snapshots import compile_for
from chalicelib.services.store_subscription import subscription_writes


def transfer_subscription(
    ports: Ports,
    cause: Cause,
    subscription_id: str,
    customer_id: CustomerId,
    expected_version: int | None = None,
) -> Subscription:
    """The other customer has the subscription, and the first one has not; both in one commit. Usage stays behind.

    Raises `NotSupportedError` for what a provider bills: there it belongs to whoever pays. A trial is the other
    customer's one trial of the product, too.
    """

    def attempt() -> Subscription:
        now = standing(ports, cause, subscription_id, expected_version)
        if now.begun or now.customer.id == customer_id:
            return now.held
        refuse_ended(now.held)
        if now.held.provider is not None:
            detail = f"The billing provider {now.held.provider!r} can't hand a subscription to another customer."
            raise NotSupportedError(detail)
        return _hand_over(ports, cause, now, customer_id)

    return retried(attempt)


def _hand_over(ports: Ports, cause: Cause, now: Standing, customer_id: CustomerId) -> Subscription:
    held = now.held
    snapshot = ports.store.get(Snapshot, customer_id)
    customer = ports.store.get(Customer, customer_id)
    if customer is None or snapshot is None:
        raise NotFoundError("customer", customer_id)
    if customer.status is Lifecycle.ARCHIVED:
        raise ArchivedError("The customer is archived.", param="customer_id")
    moment = ports.clock.now()
    theirs = tuple(one.at(moment) for one in all_within(ports.store, Subscription, customer_id))
    refuse_second(theirs, held.holding)
    is_trial = held.is_unbilled_trial
    if is_trial and ports.store.get(TrialUse, customer_id, held.product_id) is not None:
        detail = f"The customer has had a trial of the product {held.product_id!r}."
        raise invalid("customer_id", "trial_used", detail)
    slot = clear_slot(ports, cause, customer_id, held.product_id)
    after = replace(held, customer_id=customer_id, version=now.stored.version + 1)
    left = tuple(one for one in now.beside if one.id != held.id)
    first = compile_for(ports, now.customer, left, version=now.snapshot.version + 1)
    second = compile_for(ports, customer, (*theirs, after), version=snapshot.version + 1)
    use = TrialUse(
        customer_id=customer_id,
        product_id=held.product_id,
        subscription_id=held.id,
        started_at=held.started_at,
    )
    audited = entry(
        ports,
        cause,
        f"subscription:{held.id}",
        "subscription.transferred",
        shown(now.stored),
        shown(after),
    )
    taken = CustomerChange(before=now.snapshot, after=first, held=left)
    given = CustomerChange(
        before=snapshot, after=second, held=(*theirs, after), changed=[(now.stored, after)]
    )
    commit_announced(
        ports,
        Delete(now.stored, Anyhow()),
        *subscription_writes(now.stored, after),
        Put(Reference(namespace=SUBSCRIPTION, key=held.id, target=(customer_id,)), Anyhow()),
        Put(audited, Absent()),
        *([Put(use, Absent())] if is_trial else []),
        keeping_clear(slot, customer_id, held.product_id),
        *change_writes(ports, taken),
        *change_writes(ports, given),
    )
    return after
