"""Drift of subscriptions: differences between our record and the provider's, named by what differs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from chalicelib.domain.billing import ProviderChange, ProviderSubscription
from chalicelib.domain.plain import plain
from chalicelib.domain.reconciliations import Drift, DriftAction, DriftKind
from chalicelib.domain.subscriptions import GIVING_ACCESS, Holding, Subscription, SubscriptionStatus

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


def foreign_lines(
    held: Subscription, truth: ProviderSubscription, owners: Mapping[str, object]
) -> Iterable[Drift]:
    """What a subscription of ours charges by prices that are none of ours."""
    prices = sorted(
        item.price_billing_id for item in truth.items if item.price_billing_id not in owners
    )
    if 0 < len(prices) < len(truth.items):
        theirs = {"billing_id": truth.billing_id, "prices": prices}
        yield _drift(DriftKind.SUBSCRIPTION_PRICE, held, None, theirs, DriftAction.REPORTED)


def foreign_coupons(held: Subscription, coupons: Iterable[str]) -> Drift:
    """The provider takes something off that the order had not."""
    return _drift(
        DriftKind.SUBSCRIPTION_COUPON,
        held,
        {"coupon_id": held.coupon_id},
        {"billing_id": held.billing_id, "coupons": list(coupons)},
        DriftAction.REPORTED,
    )


def foreign_schedule(held: Subscription, coming: ProviderChange) -> Drift:
    """Somebody at the provider has planned what is no plan of ours: with it this one would end."""
    prices = sorted(item.price_billing_id for item in coming.items)
    return _drift(
        DriftKind.SUBSCRIPTION_SCHEDULE,
        held,
        None,
        {"at": coming.at.isoformat(), "prices": prices},
        DriftAction.REPORTED,
    )


def unmarked(held: Subscription, marks: Mapping[str, str], theirs: Mapping[str, str]) -> Drift:
    """The provider's subscription does not say any more that it is this one of ours."""
    lost = {key: text for key, text in marks.items() if theirs.get(key) != text}
    return _drift(
        DriftKind.SUBSCRIPTION_METADATA,
        held,
        {"billing_id": held.billing_id, "metadata": lost},
        {"billing_id": held.billing_id, "metadata": {key: theirs.get(key) for key in lost}},
        DriftAction.REPORTED,
    )


def surplus(subscriptions: Iterable[Subscription]) -> Iterable[tuple[Subscription, Subscription]]:
    """Each live subscription beside one of the same that stays, after that one: what is paid for, then the oldest."""
    staying: dict[Holding, Subscription] = {}
    live = (held for held in subscriptions if held.is_live)
    for held in sorted(live, key=lambda one: (_rank(one), one.started_at, one.id)):
        kept = staying.setdefault(held.holding, held)
        if kept is not held:
            yield kept, held


def _rank(held: Subscription) -> int:
    if held.status in (SubscriptionStatus.ACTIVE, SubscriptionStatus.IN_TRIAL):
        return 0
    return 1 if held.status in GIVING_ACCESS else 2


def duplicates(subscriptions: Iterable[Subscription]) -> Iterable[Drift]:
    """Live subscriptions of a product beside another: the customer pays twice."""
    for kept, held in surplus(subscriptions):
        yield _drift(
            DriftKind.SUBSCRIPTION_DUPLICATE,
            held,
            {"product_id": held.product_id, "also": kept.id},
            None,
            DriftAction.REPORTED,
        )
