"""Counting the checkouts that a customer begins, in the database: every process sees the same count."""

from chalicelib.domain.checkout_attempts import CheckoutAttempts, first, one_more
from chalicelib.domain.errors import StoreConflictError, TooManyCheckoutsError
from chalicelib.domain.ids import CustomerId
from chalicelib.ports import Absent, AtRevision, Ports, Put
from chalicelib.services.optimistic import ATTEMPTS


def count_checkout(ports: Ports, customer_id: CustomerId) -> None:
    """The attempt is counted; raises `TooManyCheckoutsError` if the last minute has had its share already."""
    # Whoever comes first in a race has used one of the places: after so many there is none left.
    for _ in range(ports.environment.checkouts_per_minute + ATTEMPTS):
        try:
            return _count(ports, customer_id)
        except StoreConflictError:
            continue
    raise _refusal(ports, customer_id, 1)


def _count(ports: Ports, customer_id: CustomerId) -> None:
    held = ports.store.get(CheckoutAttempts, customer_id)
    now = ports.clock.now()
    if held is None:
        ports.store.commit(Put(first(customer_id, now), Absent()))
        return
    counted = one_more(held, now, ports.environment.checkouts_per_minute)
    if isinstance(counted, int):
        raise _refusal(ports, customer_id, counted)
    ports.store.commit(Put(counted, AtRevision(number=held.revision)))


def _refusal(ports: Ports, customer_id: CustomerId, seconds: int) -> TooManyCheckoutsError:
    ports.monitor.event("checkout_limit_reached", customer_id=customer_id)
    detail = "The customer began too many checkouts within a minute."
    return TooManyCheckoutsError(detail, retry_after_seconds=seconds)
