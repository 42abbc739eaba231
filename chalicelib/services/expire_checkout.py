"""Giving up an open checkout, unless it was paid in the meantime."""

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import CheckoutStatus
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.ports import Absent, Ports, Put
from chalicelib.services import audit
from chalicelib.services.clear_slot import closing, end_session
from chalicelib.services.optimistic import retried
from chalicelib.services.view_subscriptions import get_checkout_session


def expire_checkout(ports: Ports, cause: Cause, session_id: str) -> CheckoutSession:
    """The session as it is afterwards: expired, or complete with its subscription where the payment came first.

    Raises:
        NotFoundError: There is no such session, or a newer one has taken its place.
        BusyError: It was paid, and its subscription is on its way.
    """

    def attempt() -> CheckoutSession:
        session = get_checkout_session(ports, session_id)
        if session.status is not CheckoutStatus.OPEN:
            return session
        # By what was read, not by the slot as it is now: a newer session there is somebody else's to end. Raises a
        # conflict once it has taken in a payment; the next attempt finds the session complete.
        end_session(ports, cause, session)
        entity = f"customer:{session.customer_id}"
        after = {"session_id": session_id, "plan_id": session.plan_id}
        entry = audit.entry(ports, cause, entity, "checkout.expired", after=after)
        ports.store.commit(closing(session), Put(entry, Absent()))
        return get_checkout_session(ports, session_id)

    return retried(attempt)
