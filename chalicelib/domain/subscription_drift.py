"""Drift of subscriptions: differences between our record and the provider's, named by what differs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from chalicelib.domain.billing import ProviderSubscription
from chalicelib.domain.plain import plain
from chalicelib.domain.reconciliations import Drift, DriftAction, DriftKind
from chalicelib.domain.subscriptions import Subscription

# The fields in which a difference is named by kind; any other difference is SUBSCRIPTION_DETAILS.
_KINDS: Final[Sequence[tuple[DriftKind, tuple[str, ...]]]] = (
    (DriftKind.SUBSCRIPTION_STATUS, ("status",)),
    (DriftKind.SUBSCRIPTION_PLAN, ("plan_id", "plan_version", "billing_period", "currency")),
    (DriftKind.SUBSCRIPTION_QUANTITY, ("quantities", "addons")),
    (DriftKind.SUBSCRIPTION_CANCELLATION, ("cancel_at",)),
    (DriftKind.SUBSCRIPTION_SCHEDULE, ("scheduled_change",)),
    (DriftKind.SUBSCRIPTION_PERIOD, ("current_period_start", "current_period_end")),
)


def _drift(
    kind: DriftKind,
    subject: Subscription,
    ours: Mapping[str, object] | None,
    theirs: Mapping[str, object] | None,
    action: DriftAction = DriftAction.REPAIRED,
) -> Drift:
    return Drift(
        kind=kind, entity=f"subscription:{subject.id}", ours=ours, theirs=theirs, action=action
    )


def unmanaged(truth: ProviderSubscription) -> Drift:
    """The provider's subscription charges for nothing of ours."""
    return Drift(
        kind=DriftKind.SUBSCRIPTION_UNMANAGED,
        entity=f"customer_subscription:{truth.billing_id}",
        ours=None,
        theirs={"billing_id": truth.billing_id, "status": truth.status},
        action=DriftAction.REPORTED,
    )


def changes(before: Subscription | None, after: Subscription) -> Iterable[Drift]:
    """What our record lacked, by kind."""
    if before is None:
        yield _drift(
            DriftKind.SUBSCRIPTION_MISSING,
            after,
            None,
            {"billing_id": after.billing_id, "status": after.status, "plan_id": after.plan_id},
        )
        return
    named = False
    for kind, fields in _KINDS:
        ours = {field: plain(getattr(before, field)) for field in fields}
        theirs = {field: plain(getattr(after, field)) for field in fields}
        if ours != theirs:
            named = True
            yield _drift(kind, after, ours, theirs)
    if not named:
        yield _drift(DriftKind.SUBSCRIPTION_DETAILS, after, None, None)


def vanished(held: Subscription) -> Drift:
    """The provider has nothing of the subscription's id any more."""
    return _drift(DriftKind.SUBSCRIPTION_VANISHED, held, {"status": held.status}, None)


def duplicates(subscriptions: Iterable[Subscription]) -> Iterable[Drift]:
    """Live subscriptions of a product beside an earlier one: the customer pays twice."""
    first: dict[str, Subscription] = {}
    live = (held for held in subscriptions if held.is_live)
    for held in sorted(live, key=lambda one: (one.started_at, one.id)):
        other = first.setdefault(held.product_id, held)
        if other is not held:
            yield _drift(
                DriftKind.SUBSCRIPTION_DUPLICATE,
                held,
                {"product_id": held.product_id, "also": other.id},
                None,
                DriftAction.REPORTED,
            )
