"""Archiving a customer: nobody who has lost access goes on paying.

A customer whom a provider bills is not archived: whether what is left of the period is paid back is the caller's to
decide, by canceling first. A checkout that is still open is closed, before and after: what is paid in the moment
between is found by reconciliation, and told of.
"""

from functools import partial

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import CheckoutStatus
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import InUseError
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.subscriptions import Subscription
from chalicelib.ports import Ports
from chalicelib.services.clear_slot import clear_slot, closing
from chalicelib.services.listing import all_within
from chalicelib.services.manage_customers import set_customer_status
from chalicelib.services.optimistic import retried


def archive_customer(ports: Ports, cause: Cause, customer_id: CustomerId) -> Customer:
    """Every check of the customer is denied from now on, and no provider bills it.

    Raises:
        InUseError: A provider bills the customer: cancel the subscription first.
        BusyError: The customer is being subscribed at this moment.
        NotFoundError: There is no such customer.
    """
    _close_checkouts(ports, cause, customer_id)
    _refuse_billed(ports, customer_id)
    archived = set_customer_status(ports, cause, customer_id, Lifecycle.ARCHIVED)
    _close_checkouts(ports, cause, customer_id)
    return archived


def _refuse_billed(ports: Ports, customer_id: CustomerId) -> None:
    billed = [
        held.id
        for held in all_within(ports.store, Subscription, customer_id)
        if held.provider is not None and held.is_live
    ]
    if billed:
        raise InUseError(
            f"The customer is billed for {', '.join(billed)}: cancel that first, at once."
        )


def _close_checkouts(ports: Ports, cause: Cause, customer_id: CustomerId) -> None:
    for session in all_within(ports.store, CheckoutSession, customer_id):
        if session.status is CheckoutStatus.OPEN:
            retried(partial(_close, ports, cause, session))


def _close(ports: Ports, cause: Cause, session: CheckoutSession) -> None:
    slot = clear_slot(ports, cause, session.customer_id, session.product_id)
    if slot is not None and slot.status is CheckoutStatus.OPEN:
        ports.store.commit(closing(slot))
