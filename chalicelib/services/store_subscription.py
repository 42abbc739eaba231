"""The writes of a subscription: the record, what leads to it, and who subscribes to what. Every writer uses these."""

from collections.abc import Iterator

from chalicelib.domain.references import SUBSCRIPTION, Reference
from chalicelib.domain.subscribers import holds_of
from chalicelib.domain.subscriptions import Subscription
from chalicelib.ports import Anyhow, Delete, Put, Write


def subscription_writes(before: Subscription | None, after: Subscription) -> Iterator[Write]:
    """What a commit that changes the subscription from `before` (None: it is new) has to contain.

    None has a condition: whoever commits them raises the customer's snapshot from the version at which `before`
    was read, and nobody writes a subscription without that.
    """
    yield Put(after, Anyhow())
    if before is None:
        yield Put(
            Reference(namespace=SUBSCRIPTION, key=after.id, target=(after.customer_id,)), Anyhow()
        )
    old, new = set(holds_of(before)), set(holds_of(after))
    for hold in sorted(old - new, key=lambda one: one.identity):
        yield Delete(hold, Anyhow())
    for hold in sorted(new - old, key=lambda one: one.identity):
        yield Put(hold, Anyhow())
