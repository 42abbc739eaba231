"""Changing a running subscription: another plan, period, add-ons, quantities, coupon, metadata; now or later."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import ProviderSubscription
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.convergence import METADATA_COUPON
from chalicelib.domain.errors import SubscriptionEndedError, WrongStateError, invalid
from chalicelib.domain.ids import SubscriptionId, derived_id
from chalicelib.domain.plans import Package, PackageKind
from chalicelib.domain.price_moves import Proration
from chalicelib.domain.subscription_changes import (
    Change,
    ChangeTime,
    Way,
    changed,
    refuse_change_after_the_end,
    scheduled,
)
from chalicelib.domain.subscriptions import ENDED, Subscription
from chalicelib.ports import (
    Ports,
    ScheduledChanges,
    SubscriptionChanges,
    SubscriptionDiscounts,
    SubscriptionEnding,
)
from chalicelib.services.alter_subscription import (
    Standing,
    begin,
    biller,
    commit_change,
    finish,
    refuse_ended,
    standing,
    truth_of,
    unable,
    under_key,
)
from chalicelib.services.charge_once import refuse_charged_twice
from chalicelib.services.merge_metadata import merged_metadata
from chalicelib.services.optimistic import retried
from chalicelib.services.order_coupon import discount_at
from chalicelib.services.plan_change import PlannedChange, item_moves, plan_change, stated
from chalicelib.services.provision_subscription import provision_subscription, provisioned_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The subscription as it is now, or the checkout that has to be paid before it gives way to what is wished."""

    subscription: Subscription | None = None
    checkout: CheckoutSession | None = None


def change_subscription(
    ports: Ports,
    cause: Cause,
    subscription_id: str,
    change: Change,
    expected_version: int | None = None,
) -> Changed:
    """The subscription is as wished, or will be with its next period, or after a payment.

    A change that waited for later is replaced. What is given up at once for a plan nobody bills is followed by
    another subscription, which is returned. A repeated operation finds its own result.
    """

    def attempt() -> Changed:
        now = standing(ports, cause, subscription_id, expected_version)
        mine = next((one for one in now.beside if one.id == provisioned_id(cause)), None)
        if mine is not None:
            return Changed(subscription=mine)
        if now.begun and now.held.status in ENDED:
            return Changed(subscription=_followed(now))
        refuse_ended(now.held)
        if now.held.provider is None and now.begun:
            return Changed(subscription=now.held)
        try:
            truth = truth_of(ports, cause, now) if now.held.provider is not None else None
        except SubscriptionEndedError:
            if not now.begun:
                raise
            return Changed(subscription=_followed(standing(ports, cause, subscription_id)))
        plan = plan_change(ports, now.held, now.customer.country, change, truth)
        refuse_charged_twice(ports, now.others, plan.added_lines)
        return _carry_out(ports, cause, now, change, plan)

    return retried(attempt)


def migrate_subscription(
    ports: Ports,
    cause: Cause,
    subscription_id: str,
    version: int | None,
    change: Change,
    expected_version: int | None = None,
) -> Subscription:
    """The subscription is on that version of its plan, or will be (None: the one that is sold); what it pays follows.

    Raises `InvalidError` for a version that costs something where the held one does not, or the other way round.
    """
    held = standing(ports, cause, subscription_id).held
    package = ports.store.get(Package, PackageKind.PLAN, held.plan_id)
    number = version or (package.published_version if package is not None else None)
    wish = replace(change, plan_version=number or held.plan_version)
    if held.status not in ENDED:
        _refuse_other_way(ports, held, wish)
    done = change_subscription(ports, cause, subscription_id, wish, expected_version)
    return done.subscription or held


def _refuse_other_way(ports: Ports, held: Subscription, wish: Change) -> None:
    plan = plan_change(ports, held, None, replace(wish, effective=ChangeTime.IMMEDIATE), None)
    if plan.way is Way.CHECKOUT:
        detail = "The version costs something, and the held one does not: change the plan instead."
        raise invalid("version", "payment_required", detail)
    if plan.way is Way.GIVE_UP:
        raise invalid("version", "nothing_to_charge", "The version charges nothing on these terms.")


def _followed(now: Standing) -> Subscription:
    """What came in the place of the subscription that was given up, or it itself if nothing did."""
    wanted = SubscriptionId(derived_id("subs_", "successor", now.held.id))
    return next((one for one in now.beside if one.id == wanted), now.held)


def _carry_out(
    ports: Ports, cause: Cause, now: Standing, change: Change, plan: PlannedChange
) -> Changed:
    if plan.way is Way.CHECKOUT:
        return _check_out(ports, cause, now, change, plan)
    if plan.way is Way.GIVE_UP and change.gives_coupon:
        raise invalid("coupon", "nothing_to_pay", "The plan costs nothing to take a coupon off.")
    metadata = merged_metadata(now.stored.metadata, change.metadata)
    if plan.way is Way.IN_PLACE:
        return Changed(subscription=_change_ours(ports, cause, now, change, plan, metadata))
    if plan.truth is None:
        raise WrongStateError("The subscription has no counterpart at its provider.")
    if plan.way is Way.GIVE_UP:
        return Changed(subscription=_give_up(ports, cause, now, change, plan, plan.truth, metadata))
    return Changed(subscription=_move(ports, cause, now, change, plan, plan.truth, metadata))


def _check_out(
    ports: Ports, cause: Cause, now: Standing, change: Change, plan: PlannedChange
) -> Changed:
    """What is to be paid comes by a checkout, or at once from whoever needs none, and ends what nobody bills."""
    order = replace(
        plan.order,
        trial=False,
        success_url=change.success_url,
        cancel_url=change.cancel_url,
        metadata=merged_metadata(now.held.metadata, change.metadata),
        replaces=now.held.id,
    )
    result = provision_subscription(ports, cause, order)
    return Changed(subscription=result.subscription, checkout=result.checkout)


def _change_ours(
    ports: Ports,
    cause: Cause,
    now: Standing,
    change: Change,
    plan: PlannedChange,
    metadata: Mapping[str, str],
) -> Subscription:
    if change.gives_coupon:
        raise invalid("coupon", "nothing_to_pay", "Nothing is paid to take a coupon off.")
    after = replace(now.held, metadata=metadata)
    if change.effective is ChangeTime.END_OF_PERIOD and now.held.current_period_end is not None:
        waiting = scheduled(plan.priced, now.held.current_period_end)
        after = replace(after, scheduled_change=waiting)
    elif change.is_of_packages:
        after = replace(changed(after, plan.priced), scheduled_change=None)
    if after == now.held:
        return now.held
    return commit_change(ports, cause, now, "subscription.changed", after)


def _give_up(
    ports: Ports,
    cause: Cause,
    now: Standing,
    change: Change,
    plan: PlannedChange,
    truth: ProviderSubscription,
    metadata: Mapping[str, str],
) -> Subscription:
    """The provider ends it. What follows is written down before: whoever notices the end stores both together."""
    provider, billing_id = biller(ports, now.held)
    if not isinstance(provider, SubscriptionEnding):
        raise unable(now.held, "end a subscription")
    at = None
    if change.effective is ChangeTime.END_OF_PERIOD:
        refuse_change_after_the_end(truth, gives_way=True)
        at = truth.current_period_end
    begin(
        ports,
        cause,
        now,
        "subscription.change_requested",
        _wish(change, plan),
        successor=plan.successor,
        metadata=metadata,
    )
    if truth.scheduled is not None:
        _drop_scheduled(ports, cause, now)
    provider.end_subscription(billing_id, at=at)
    held = finish(ports, cause, now)
    if held.status not in ENDED:
        return held
    return _followed(standing(ports, cause, held.id))


def _move(
    ports: Ports,
    cause: Cause,
    now: Standing,
    change: Change,
    plan: PlannedChange,
    truth: ProviderSubscription,
    metadata: Mapping[str, str],
) -> Subscription:
    provider, billing_id = biller(ports, now.held)
    later = change.effective is ChangeTime.END_OF_PERIOD
    gives_way = now.held.successor is not None and truth.cancel_at is not None
    if later and change.is_of_packages:
        refuse_change_after_the_end(truth, gives_way=gives_way)
    marks = stated(plan.priced, truth.metadata)
    differs = any(move.changes for move in plan.moves) or any(
        truth.metadata.get(key, "") != value for key, value in marks.items()
    )
    is_moved = change.is_of_packages and differs
    # Whoever wishes for later what is held now wishes that nothing comes.
    drops = change.is_of_packages and truth.scheduled is not None and not (later and differs)
    keeps = change.is_of_packages and gives_way
    if is_moved and not isinstance(provider, SubscriptionChanges):
        raise unable(now.held, "change what a subscription charges")
    if change.sets_coupon and not isinstance(provider, SubscriptionDiscounts):
        raise unable(now.held, "take a discount off a running subscription")
    items = item_moves(ports, provider.name, plan.moves) if is_moved else ()
    discount = discount_at(ports, provider.name, plan.order, plan.coupon)
    if is_moved or drops or keeps or change.sets_coupon or metadata != now.stored.metadata:
        begin(
            ports,
            cause,
            now,
            "subscription.change_requested",
            _wish(change, plan),
            metadata=metadata,
        )
    if keeps and isinstance(provider, SubscriptionEnding):
        provider.keep_subscription(billing_id)
    if drops:
        _drop_scheduled(ports, cause, now)
    if is_moved and isinstance(provider, SubscriptionChanges):
        # The key is that of the very lines: what a repetition finds changed since is another request.
        step = derived_id("move:", repr(items), repr(sorted(marks.items())))
        under_key(
            ports,
            cause,
            now.held,
            step,
            lambda key: provider.move_prices(
                billing_id,
                items,
                proration=Proration.NONE if later else change.proration,
                at_period_end=later,
                metadata=marks,
                idempotency_key=key,
            ),
        )
    if change.sets_coupon and isinstance(provider, SubscriptionDiscounts):
        coupon_mark = {METADATA_COUPON: plan.coupon.id if plan.coupon is not None else ""}
        under_key(
            ports,
            cause,
            now.held,
            "discount",
            lambda key: provider.set_discount(
                billing_id, discount, metadata=coupon_mark, idempotency_key=key
            ),
        )
    return finish(ports, cause, now)


def _drop_scheduled(ports: Ports, cause: Cause, now: Standing) -> None:
    provider, billing_id = biller(ports, now.held)
    if not isinstance(provider, ScheduledChanges):
        raise unable(now.held, "drop a scheduled change")
    under_key(ports, cause, now.held, "drop", lambda key: provider.drop_scheduled(billing_id, key))


def _wish(change: Change, plan: PlannedChange) -> dict[str, object]:
    return {
        "effective": change.effective,
        "proration": change.proration,
        "plan_id": plan.priced.plan.id,
        "plan_version": plan.priced.plan.number,
        "addons": plan.priced.addons,
        "quantities": plan.priced.quantities,
        "billing_period": plan.priced.billing_period,
        "coupon": change.coupon,
        "promotion_code": change.promotion_code,
    }
