"""Giving up an open checkout, unless it was paid in the meantime."""

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import CheckoutStatus
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.ports import Absent, Ports, Put
from chalicelib.services import audit
from chalicelib.services.clear_slot import clear_slot, closing
from chalicelib.services.optimistic import retried
from chalicelib.services.view_subscriptions import get_checkout_session


def expire_checkout(ports: Ports, cause: Cause, session_id: str) -> CheckoutSession:
    """The session as it is afterwards: expired, or complete with its subscription where the payment came first.

    Raises:
        NotFoundError: There is no such session.
        BusyError: The customer is being subscribed without a checkout, or the payment's subscription is on its way.
    """

    def attempt() -> CheckoutSession:
        session = get_checkout_session(ports, session_id)
        if session.status is not CheckoutStatus.OPEN:
            return session
        # Raises a conflict once it has taken in a payment; the next attempt finds the session complete.
        slot = clear_slot(ports, cause, session.customer_id, session.product_id)
        if slot is None or slot.id != session_id:
            return get_checkout_session(ports, session_id)
        entity = f"customer:{session.customer_id}"
        after = {"session_id": session_id, "plan_id": session.plan_id}
        entry = audit.entry(ports, cause, entity, "checkout.expired", after=after)
        ports.store.commit(closing(slot), Put(entry, Absent()))
        return get_checkout_session(ports, session_id)

    return retried(attempt)
