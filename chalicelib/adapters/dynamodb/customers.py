"""The customers table: a partition for each customer, and references from other ids to them.

The sort keys that begin with `HOT#` are what a check reads, and nothing else may begin so.
"""

from collections.abc import Mapping
from typing import Any, Final

from chalicelib.adapters.dynamodb.layout import Index, Layout, Table
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.customers import Customer
from chalicelib.domain.references import Reference
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.subscriptions import Subscription

_T: Final = Table.CUSTOMERS
CUSTOMER_PARTITION: Final = "CUST"
HOT_PREFIX: Final = "HOT#"
SNAPSHOT_SORT: Final = f"{HOT_PREFIX}ENT"
USAGE_SORT: Final = f"{HOT_PREFIX}USE"
# Enough that creating customers is never bound by one index partition's 1,000 writes a second.
_CUSTOMER_SHARDS: Final = 8

LAYOUTS: Final[Mapping[type[Any], Layout]] = {
    Customer: Layout(
        kind="customer",
        table=_T,
        partition=CUSTOMER_PARTITION,
        sort="PROFILE",
        depth=1,
        index=Index(by="email", order=lambda customer: customer.id, shards=_CUSTOMER_SHARDS),
    ),
    Subscription: Layout(
        kind="subscription", table=_T, partition=CUSTOMER_PARTITION, sort="SUBS", depth=1
    ),
    CheckoutSession: Layout(
        kind="checkout_session", table=_T, partition=CUSTOMER_PARTITION, sort="CHECKOUT", depth=1
    ),
    Snapshot: Layout(
        kind="snapshot", table=_T, partition=CUSTOMER_PARTITION, sort=SNAPSHOT_SORT, depth=1
    ),
    Reference: Layout(kind="reference", table=_T, partition="REF", sort="REF", depth=2),
}
