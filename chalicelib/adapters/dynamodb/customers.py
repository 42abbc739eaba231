"""The customers table: a partition for each customer, and references from other ids to them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from chalicelib.adapters.dynamodb.keys import CUSTOMER_PARTITION, SNAPSHOT_SORT, Table
from chalicelib.adapters.dynamodb.layout import Index, Layout
from chalicelib.domain.checkout_attempts import CheckoutAttempts
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.customers import Customer
from chalicelib.domain.grants import REMEMBERED_FOR, Grant
from chalicelib.domain.references import Reference
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.subscribers import Subscriber
from chalicelib.domain.subscriptions import Subscription
from chalicelib.domain.trials import TrialUse

_T: Final = Table.CUSTOMERS
_P: Final = CUSTOMER_PARTITION
# Enough that creating customers is never bound by one index partition's 1,000 writes a second. Changing the
# number moves customers between shards: those stored before would be found under neither email nor list.
_CUSTOMER_SHARDS: Final = 8


def _grant_expiry(grant: Grant) -> datetime | None:
    return grant.ends_at + REMEMBERED_FOR if grant.ends_at is not None else None


LAYOUTS: Final[Mapping[type[Any], Layout]] = {
    Customer: Layout(
        kind="customer",
        table=_T,
        partition=_P,
        sort="PROFILE",
        in_partition=1,
        in_sort=0,
        # A new email moves the customer in the index: a list being paged through at that moment may miss it.
        index=Index(by="email", order=lambda _: "", shards=_CUSTOMER_SHARDS),
    ),
    Subscription: Layout(
        kind="subscription", table=_T, partition=_P, sort="SUBS", in_partition=1, in_sort=1
    ),
    Grant: Layout(
        kind="grant",
        table=_T,
        partition=_P,
        sort="GRANT",
        in_partition=1,
        in_sort=1,
        expires_at=_grant_expiry,
        hides_expired=True,
    ),
    CheckoutSession: Layout(
        kind="checkout_session", table=_T, partition=_P, sort="CHECKOUT", in_partition=1, in_sort=1
    ),
    CheckoutAttempts: Layout(
        kind="checkout_attempts",
        table=_T,
        partition=_P,
        sort="ATTEMPTS",
        in_partition=1,
        in_sort=0,
        expires_at=lambda attempts: attempts.expires_at,
        hides_expired=True,
    ),
    TrialUse: Layout(
        kind="trial_use", table=_T, partition=_P, sort="TRIAL", in_partition=1, in_sort=1
    ),
    Snapshot: Layout(
        kind="snapshot", table=_T, partition=_P, sort=SNAPSHOT_SORT, in_partition=1, in_sort=0
    ),
    # By package and shard; inside, older versions come first.
    Subscriber: Layout(
        kind="subscriber", table=_T, partition="HELD", sort="BY", in_partition=3, in_sort=3
    ),
    Reference: Layout(
        kind="reference", table=_T, partition="REF", sort="REF", in_partition=2, in_sort=0
    ),
}
