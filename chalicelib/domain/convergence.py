"""Convergence: a customer's subscriptions as they must be, given all that the provider holds now.

Only the provider's present truth and our own state go in, no event: order and repetition of notifications
can't matter. Running it again on its own result changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from chalicelib.domain.billing import PriceOwner, ProviderSubscription
from chalicelib.domain.coupons import COUPON_KEY_PREFIX
from chalicelib.domain.ids import (
    CustomerId,
    PackageId,
    SubscriptionId,
    derived_id,
    is_chosen_id,
)
from chalicelib.domain.provider_items import (
    OwnedItems,
    billed_addons,
    bought_units,
    charged_plan,
    owned_items,
    unbilled_addons,
)
from chalicelib.domain.reconciliations import Drift
from chalicelib.domain.subscription_drift import (
    changes,
    duplicates,
    foreign_coupons,
    foreign_lines,
    foreign_schedule,
    unmanaged,
    unmarked,
    vanished,
)
from chalicelib.domain.subscriptions import (
    ENDED,
    ScheduledChange,
    SubscribedAddon,
    Subscription,
    SubscriptionStatus,
    Successor,
    overtaken,
    succeeded,
)

# Our names for what we write to the provider's subscription and read back as a cross-check.
METADATA_PREFIX: Final = "paygrade_"
METADATA_ID: Final = "paygrade_entity_id"
METADATA_TYPE: Final = "paygrade_entity_type"
METADATA_ENVIRONMENT: Final = "paygrade_environment"
METADATA_CUSTOMER: Final = "paygrade_customer_id"
METADATA_PLAN_VERSION: Final = "paygrade_plan_version"
METADATA_ADDON_VERSIONS: Final = "paygrade_addon_versions"
METADATA_COUPON: Final = "paygrade_coupon_id"
METADATA_RESOURCE: Final = "paygrade_resource_id"
METADATA_UNBILLED_ADDONS: Final = "paygrade_unbilled_addons"


@dataclass(frozen=True, slots=True, kw_only=True)
class Convergence:
    """`subscriptions` are all of the customer's; `changed` those that differ from what was stored, with their past."""

    subscriptions: tuple[Subscription, ...]
    changed: tuple[tuple[Subscription | None, Subscription], ...]
    drifts: tuple[Drift, ...]


def converge(
    customer_id: CustomerId,
    provider: str,
    environment: str,
    ours: Sequence[Subscription],
    theirs: Sequence[ProviderSubscription],
    owners: Mapping[str, PriceOwner],
    now: datetime,
) -> Convergence:
    """Our subscriptions after taking over the provider's truth, and how each differed from it."""
    by_billing_id = {
        held.billing_id: held
        for held in ours
        if held.provider == provider and held.billing_id is not None
    }
    taken: dict[SubscriptionId, Subscription] = {held.id: held for held in ours}
    changed: list[tuple[Subscription | None, Subscription]] = []
    drifts: list[Drift] = []
    present = _distinct(theirs)
    for truth in present:
        before = by_billing_id.get(truth.billing_id)
        has_ended = truth.status in ENDED
        if before is None and has_ended and not _is_ours(truth, customer_id, environment):
            continue
        after = _translate(customer_id, provider, environment, before, truth, owners, taken)
        if after is None and not has_ended:
            drifts.append(unmanaged(truth))
        if after is None and before is not None:
            # Whatever it charges for now, what it gave before must end when it does.
            after = replace(_alive_as(before, truth), scheduled_change=None)
        if after is None:
            continue
        if after != before:
            after = replace(after, version=before.version + 1 if before else 1)
            changed.append((before, after))
            drifts += changes(before, after)
        taken[after.id] = after
        if not has_ended:
            drifts += _left_as_it_is(before, after, truth, environment)
            drifts += foreign_lines(after, truth, owners)
    seen = {truth.billing_id for truth in present}
    for held in by_billing_id.values():
        if held.billing_id not in seen and held.is_live:
            ended = replace(
                held,
                status=SubscriptionStatus.CANCELED,
                ended_at=now,
                scheduled_change=None,
                version=held.version + 1,
            )
            taken[held.id] = ended
            changed.append((held, ended))
            drifts.append(vanished(held))
    changed = _with_successors(changed, taken)
    changed += _giving_way(taken, now)
    subscriptions = tuple(taken[key] for key in sorted(taken))
    drifts += duplicates(subscriptions)
    return Convergence(subscriptions=subscriptions, changed=tuple(changed), drifts=tuple(drifts))


def _left_as_it_is(
    before: Subscription | None, after: Subscription, truth: ProviderSubscription, environment: str
) -> Iterable[Drift]:
    """What differs at the provider and changes nothing of ours."""
    if truth.scheduled is not None and after.scheduled_change is None:
        yield foreign_schedule(after, truth.scheduled)
    extra = [
        key
        for key in truth.coupons
        if after.coupon_id is None or not key.startswith(COUPON_KEY_PREFIX)
    ]
    if extra:
        yield foreign_coupons(after, extra)
    marks = {
        METADATA_ID: after.id,
        METADATA_TYPE: "subscription",
        METADATA_ENVIRONMENT: environment,
        METADATA_CUSTOMER: after.customer_id,
    }
    made_by_hand = after.id == derived_id("subs_", after.provider or "", truth.billing_id)
    if before is not None and not made_by_hand and not marks.items() <= truth.metadata.items():
        yield unmarked(after, marks, truth.metadata)


def _with_successors(
    changed: Sequence[tuple[Subscription | None, Subscription]],
    taken: dict[SubscriptionId, Subscription],
) -> list[tuple[Subscription | None, Subscription]]:
    """The changes, and before the end of each subscription what follows it; `taken` has both.

    Nothing follows where the customer has subscribed to the product anew. Whoever stores only the first of the
    changes stores no end without what follows.
    """
    found: list[tuple[Subscription | None, Subscription]] = []
    for before, after in changed:
        if after.status not in ENDED or after.successor is None:
            found.append((before, after))
            continue
        following = succeeded(after, after.ended_at or after.started_at)
        is_free = all(one.holding != after.holding for one in taken.values() if one.is_live)
        if following is not None and following.id not in taken and is_free:
            taken[following.id] = following
            found.append((None, following))
        taken[after.id] = replace(after, successor=None)
        found.append((before, taken[after.id]))
    return found


def _giving_way(
    taken: dict[SubscriptionId, Subscription], now: datetime
) -> list[tuple[Subscription | None, Subscription]]:
    """The ends of what nobody bills and the customer has from the provider by now; `taken` has them."""
    found: list[tuple[Subscription | None, Subscription]] = []
    for held in overtaken(taken.values()):
        status = SubscriptionStatus.CANCELED
        if held.is_unbilled_trial:
            status = SubscriptionStatus.EXPIRED
        taken[held.id] = replace(
            held, status=status, ended_at=now, scheduled_change=None, version=held.version + 1
        )
        found.append((held, taken[held.id]))
    return found


def _distinct(theirs: Iterable[ProviderSubscription]) -> list[ProviderSubscription]:
    """Each subscription once, the oldest first; one that ended while the list was read has ended."""
    found: dict[str, ProviderSubscription] = {}
    for truth in theirs:
        known = found.get(truth.billing_id)
        if known is None or known.status not in ENDED:
            found[truth.billing_id] = truth
    return sorted(found.values(), key=lambda held: (held.created_at, held.billing_id))


def _is_ours(truth: ProviderSubscription, customer_id: CustomerId, environment: str) -> bool:
    metadata = truth.metadata
    return (
        metadata.get(METADATA_TYPE) == "subscription"
        and metadata.get(METADATA_ENVIRONMENT) == environment
        and metadata.get(METADATA_CUSTOMER) == customer_id
    )


def is_made_for(truth: ProviderSubscription, held: Subscription, environment: str) -> bool:
    """Whether an order of ours made the provider's subscription as this one: nobody made or copied it by hand."""
    is_ours = _is_ours(truth, held.customer_id, environment)
    return is_ours and truth.metadata.get(METADATA_ID) == held.id


def _translate(
    customer_id: CustomerId,
    provider: str,
    environment: str,
    before: Subscription | None,
    truth: ProviderSubscription,
    owners: Mapping[str, PriceOwner],
    taken: Mapping[SubscriptionId, Subscription],
) -> Subscription | None:
    """Our subscription for the provider's, or None if no price of it is a plan's of ours.

    The plan follows from the prices that are charged. Metadata only chooses among the plan's versions that
    charge exactly these prices, and names our id.
    """
    owned = owned_items(truth.items, owners)
    charged = charged_plan(owned)
    if charged is None:
        return None
    plan, versions = charged
    addons = _addons(
        truth.metadata,
        owned,
        before.addons if before else (),
        with_unbilled=_is_ours(truth, customer_id, environment),
    )
    stated = _stated(truth.metadata, METADATA_PLAN_VERSION)
    held = before if before is not None and before.plan_id == plan.package_id else None
    number = _choose(versions, stated.get(plan.package_id), held.plan_version if held else None)
    taken_over = Subscription(
        id=_subscription_id(customer_id, provider, environment, before, truth, taken),
        customer_id=customer_id,
        product_id=plan.product_id,
        resource_id=_resource_id(customer_id, environment, before, truth),
        plan_id=plan.package_id,
        plan_version=number,
        addons=addons,
        quantities=bought_units(owned, plan.package_id),
        billing_period=plan.price.billing_period,
        interval_count=plan.price.interval_count,
        currency=truth.currency,
        coupon_id=truth.metadata.get(METADATA_COUPON) or None,
        status=truth.status,
        started_at=truth.started_at,
        scheduled_change=_scheduled(truth, owners, plan, addons),
        successor=_successor(before, truth),
        provider=provider,
        billing_id=truth.billing_id,
        metadata=before.metadata if before else _callers_metadata(truth),
        version=before.version if before else 1,
    )
    return _alive_as(taken_over, truth)


def _scheduled(
    truth: ProviderSubscription,
    owners: Mapping[str, PriceOwner],
    plan: PriceOwner,
    addons: Sequence[SubscribedAddon],
) -> ScheduledChange | None:
    """What the provider's coming lines stand for; None if nothing waits, or no plan of the product is among them.

    What will be charged for nothing of ours ends the plan: reconciliation reports that, it is no change of ours.
    """
    coming = truth.scheduled
    if coming is None or truth.status in ENDED:
        return None
    owned = owned_items(coming.items, owners)
    charged = charged_plan(owned, plan.product_id)
    if charged is None:
        return None
    following, versions = charged
    stated = _stated(coming.metadata, METADATA_PLAN_VERSION)
    return ScheduledChange(
        at=coming.at,
        plan_id=following.package_id,
        plan_version=_choose(versions, stated.get(following.package_id)),
        addons=_addons(coming.metadata, owned, addons, with_unbilled=True),
        quantities=bought_units(owned, following.package_id),
        billing_period=following.price.billing_period,
        interval_count=following.price.interval_count,
    )


def _successor(before: Subscription | None, truth: ProviderSubscription) -> Successor | None:
    """What follows the subscription; nothing any more once its coming end was taken back, whoever did that."""
    if before is None:
        return None
    is_kept = before.cancel_at is not None and truth.cancel_at is None
    return None if is_kept and truth.status not in ENDED else before.successor


def _addons(
    metadata: Mapping[str, str],
    owned: OwnedItems,
    held: Iterable[SubscribedAddon],
    *,
    with_unbilled: bool,
) -> tuple[SubscribedAddon, ...]:
    """The add-ons by the provider's lines, and those that the metadata says to be ordered and have none."""
    stated = _stated(metadata, METADATA_ADDON_VERSIONS)
    found = billed_addons(owned, stated, {addon.id: addon.version for addon in held})
    if with_unbilled:
        found |= unbilled_addons(_stated(metadata, METADATA_UNBILLED_ADDONS), stated, found)
    return tuple(found[key] for key in sorted(found))


def _alive_as(held: Subscription, truth: ProviderSubscription) -> Subscription:
    """The subscription with the provider's word on its life, whatever it is a subscription of."""
    return replace(
        held,
        status=truth.status,
        current_period_start=truth.current_period_start,
        current_period_end=truth.current_period_end,
        trial_end=truth.trial_end,
        cancel_at=truth.cancel_at,
        ended_at=truth.ended_at,
        past_due_since=truth.past_due_since,
        billing_url=truth.url,
    )


def _callers_metadata(truth: ProviderSubscription) -> dict[str, str]:
    """What the order carried: our own marks begin with a prefix that callers can't use."""
    return {
        key: value for key, value in truth.metadata.items() if not key.startswith(METADATA_PREFIX)
    }


def _resource_id(
    customer_id: CustomerId,
    environment: str,
    before: Subscription | None,
    truth: ProviderSubscription,
) -> str | None:
    """Whose it is; that never changes, and only an order of ours says so."""
    if before is not None:
        return before.resource_id
    stated = truth.metadata.get(METADATA_RESOURCE, "")
    is_told = _is_ours(truth, customer_id, environment) and is_chosen_id(stated)
    return stated if is_told else None


def _subscription_id(
    customer_id: CustomerId,
    provider: str,
    environment: str,
    before: Subscription | None,
    truth: ProviderSubscription,
    taken: Mapping[SubscriptionId, Subscription],
) -> SubscriptionId:
    if before is not None:
        return before.id
    if _is_ours(truth, customer_id, environment):
        stated = SubscriptionId(truth.metadata.get(METADATA_ID, ""))
        # Metadata can be copied by hand in the provider's dashboard: an id in use is never taken over.
        if stated.startswith("subs_") and is_chosen_id(stated) and stated not in taken:
            return stated
    return SubscriptionId(derived_id("subs_", provider, truth.billing_id))


def _stated(metadata: Mapping[str, str], name: str) -> dict[PackageId, int]:
    """`storage=2,seats=1` as numbers by id; anything else in it is passed over."""
    text = metadata.get(name, "")
    pairs = (part.rpartition("=") for part in text.split(",") if part)
    return {PackageId(key): int(number) for key, _, number in pairs if number.isdecimal()}


def format_versions(versions: Mapping[PackageId, int]) -> str:
    """What `METADATA_PLAN_VERSION` and `METADATA_ADDON_VERSIONS` hold at the provider: whose version is which."""
    return ",".join(f"{package_id}={number}" for package_id, number in versions.items())


def _choose(candidates: Sequence[int], *preferred: int | None) -> int:
    """The first preferred one that is possible, otherwise the newest."""
    possible = (number for number in preferred if number is not None and number in candidates)
    return next(possible, max(candidates))
