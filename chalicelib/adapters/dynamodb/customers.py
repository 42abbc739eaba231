"""The customers table: a partition for each customer, and references from other ids to them."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from chalicelib.adapters.dynamodb.keys import CUSTOMER_PARTITION, SNAPSHOT_SORT, Table
from chalicelib.adapters.dynamodb.layout import Index, Layout

if TYPE_CHECKING:
    from chalicelib.domain.grants import Grant

_T: Final = Table.CUSTOMERS
_P: Final = CUSTOMER_PARTITION
# Enough that creating customers is never bound by one index partition's 1,000 writes a second. Changing the
# number moves customers between shards: those stored before would be found under neither email nor list.
_CUSTOMER_SHARDS: Final = 8


def _grant_expiry(grant: "Grant") -> datetime | None:
    from chalicelib.domain.grants import REMEMBERED_FOR  # noqa: PLC0415 -- loaded, as there is a grant

    return grant.ends_at + REMEMBERED_FOR if grant.ends_at is not None else None


LAYOUTS: Final[Mapping[str, Layout]] = {
    "customers.Customer": Layout(
        kind="customer",
        table=_T,
        partition=_P,
        sort="PROFILE",
        in_partition=1,
        in_sort=0,
        # A new email moves the customer in the index: a list being paged through at that moment may miss it.
        index=Index(by="email", order=lambda _: "", shards=_CUSTOMER_SHARDS),
    ),
    "subscriptions.Subscription": Layout(
        kind="subscription", table=_T, partition=_P, sort="SUBS", in_partition=1, in_sort=1
    ),
    "grants.Grant": Layout(
        kind="grant",
        table=_T,
        partition=_P,
        sort="GRANT",
        in_partition=1,
        in_sort=1,
        expires_at=_grant_expiry,
        hides_expired=True,
    ),
    "checkout_sessions.CheckoutSession": Layout(
        kind="checkout_session", table=_T, partition=_P, sort="CHECKOUT", in_partition=1, in_sort=1
    ),
    "checkout_attempts.CheckoutAttempts": Layout(
        kind="checkout_attempts",
        table=_T,
        partition=_P,
        sort="ATTEMPTS",
        in_partition=1,
        in_sort=0,
        expires_at=lambda attempts: attempts.expires_at,
        hides_expired=True,
    ),
    "trials.TrialUse": Layout(
        kind="trial_use", table=_T, partition=_P, sort="TRIAL", in_partition=1, in_sort=1
    ),
    "snapshots.Snapshot": Layout(
        kind="snapshot",
        table=_T,
        partition=_P,
        sort=SNAPSHOT_SORT,
        in_partition=1,
        in_sort=0,
        is_snapshot=True,
    ),
    # By package and shard; inside, older versions come first.
    "subscribers.Subscriber": Layout(
        kind="subscriber", table=_T, partition="HELD", sort="BY", in_partition=3, in_sort=3
    ),
    "references.Reference": Layout(
        kind="reference", table=_T, partition="REF", sort="REF", in_partition=2, in_sort=0
    ),
}
