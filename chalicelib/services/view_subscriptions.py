"""Finding subscriptions and checkout sessions by their own ids."""

from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.references import CHECKOUT_SESSION, SUBSCRIPTION, Reference
from chalicelib.domain.subscriptions import Subscription
from chalicelib.ports import Ports


def get_subscription(ports: Ports, subscription_id: str) -> Subscription:
    """The subscription, whoever holds it; raises `NotFoundError`."""
    reference = ports.store.get(Reference, SUBSCRIPTION, subscription_id)
    found = (
        ports.store.get(Subscription, reference.target[0], subscription_id) if reference else None
    )
    if found is None:
        raise NotFoundError("subscription", subscription_id)
    return found


def get_checkout_session(ports: Ports, session_id: str) -> CheckoutSession:
    """The session, while no newer one of the same customer and product has taken its slot."""
    reference = ports.store.get(Reference, CHECKOUT_SESSION, session_id)
    slot = ports.store.get(CheckoutSession, *reference.target) if reference else None
    if slot is None or slot.id != session_id:
        raise NotFoundError("checkout_session", session_id)
    return slot
