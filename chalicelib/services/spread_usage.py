"""Spreading the counter of a customer that counts more than one item takes; fewer shards and more, at any time.

It changes the snapshot, so whoever counts by what was before is refused. Nothing is moved: what was counted before
stays where it was, is part of the sum, and goes with its period.
"""

from dataclasses import replace

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.counting import gauge_of
from chalicelib.domain.customer_changes import CustomerChange
from chalicelib.domain.errors import InUseError, NotFoundError, WrongStateError
from chalicelib.domain.features import UsageKind
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshot_documents import epoch_ms
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.spreading import SpreadUsage, resting
from chalicelib.domain.subscriptions import Subscription
from chalicelib.domain.usage import Count, CountUsage, Drop, Replace, Rest
from chalicelib.ports import Absent, AtRevision, Ports, Put
from chalicelib.services.audit import entry
from chalicelib.services.listing import all_within
from chalicelib.services.manage_customers import get_customer
from chalicelib.services.optimistic import retried
from chalicelib.services.outbound import change_writes
from chalicelib.services.report_usage import reportable_feature
from chalicelib.services.snapshots import compile_for


def spread_usage(
    ports: Ports, cause: Cause, customer_id: CustomerId, feature_id: str, count: int
) -> SpreadUsage:
    """The customer's usage of the feature is counted on so many shards. Repeating changes nothing.

    Raises:
        NotFoundError: There is no such customer or feature.
        FeatureNotMeteredError: The feature has no usage.
        UsageReportedByEventsError: The feature has a meter, which may need all of a counter at once.
        WrongStateError: The feature's usage goes up and down.
        InUseError: Some of the usage is reserved.
    """
    feature = reportable_feature(ports, feature_id)
    if feature.usage_kind is UsageKind.FLUCTUATING:
        raise WrongStateError(f"The usage of {feature_id!r} goes up and down: it is one number.")

    def attempt() -> SpreadUsage:
        # The snapshot is read before what it is compiled from, as everywhere (see converge_customer).
        snapshot = ports.store.get(Snapshot, customer_id)
        before = get_customer(ports, customer_id)
        if snapshot is None:
            raise NotFoundError("customer", customer_id)
        held = before.usage_shards.get(feature.id)
        over = SpreadUsage(count=count, total=max(count, held.total if held is not None else 0))
        if over == held:
            return over
        shards = {**before.usage_shards, feature.id: over}
        after = replace(before, usage_shards=shards, version=before.version + 1)
        subscriptions = all_within(ports.store, Subscription, customer_id)
        compiled = compile_for(ports, after, subscriptions, version=snapshot.version + 1)
        change = CustomerChange(before=snapshot, after=compiled, held=subscriptions)
        audit = entry(
            ports,
            cause,
            f"customer:{customer_id}",
            "customer.usage_spread",
            {"usage_shards": before.usage_shards},
            {"usage_shards": shards},
        )
        writes = (
            *change_writes(ports, change),
            Put(after, AtRevision(number=before.version)),
            Put(audit, Absent()),
        )
        counts = _put_to_rest(ports, customer_id, feature.id) if held is None else ()
        ports.usage.commit(counts, *writes)
        return over

    return retried(attempt)


def _put_to_rest(ports: Ports, customer_id: CustomerId, counter: str) -> tuple[Count, ...]:
    """The counter as it is, where nobody counts any more."""
    hot = ports.snapshots.read(customer_id, consistent=True)
    if hot is None:
        raise NotFoundError("customer", customer_id)
    stored = hot.usage.get(counter)
    period = stored.period_start_ms if stored is not None else 0
    now_ms = epoch_ms(ports.clock.now())
    gauge = gauge_of(hot.usage, hot.holds, counter, period, now_ms)
    ended = {reservation_id for reservation_id, _ in gauge.expired}
    if any(one.counter == counter for name, one in hot.holds.items() if name not in ended):
        raise InUseError("Some of this usage is reserved: spread it when that is settled.")
    if stored is not None and not stored.held:
        # Whatever is counted until the commit rests with it.
        change = Rest(counter=counter, period_start_ms=period)
        return (CountUsage(customer_id=customer_id, changes=(change,)),)
    rest = resting(replace(stored, used=gauge.used) if stored is not None else None)
    drops = (Drop(reservation_id=name, hold=hold) for name, hold in gauge.expired)
    replaced = Replace(counter=counter, seen=stored, becomes=rest)
    return (CountUsage(customer_id=customer_id, changes=(replaced, *drops)),)
