"""Convergence: a customer's subscriptions as they must be, given all that the provider holds now.

Only the provider's present truth and our own state go in, no event: order and repetition of notifications
can't matter. Running it again on its own result changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from chalicelib.domain.billing import PriceOwner, ProviderSubscription
from chalicelib.domain.ids import CustomerId, FeatureId, SubscriptionId, derived_id
from chalicelib.domain.plain import plain
from chalicelib.domain.plans import PackageKind
from chalicelib.domain.prices import PriceModel
from chalicelib.domain.reconciliations import Drift, DriftAction, DriftKind
from chalicelib.domain.subscriptions import (
    ENDED,
    SubscribedAddon,
    Subscription,
    SubscriptionStatus,
)

# Our names for what we write to the provider's subscription and read back as a cross-check.
METADATA_ID: Final = "paygrade_entity_id"
METADATA_TYPE: Final = "paygrade_entity_type"
METADATA_ENVIRONMENT: Final = "paygrade_environment"
METADATA_CUSTOMER: Final = "paygrade_customer_id"
METADATA_PLAN_VERSION: Final = "paygrade_plan_version"
METADATA_ADDON_VERSIONS: Final = "paygrade_addon_versions"


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
    by_billing_id = {held.billing_id: held for held in ours if held.provider == provider}
    taken: dict[SubscriptionId, Subscription] = {held.id: held for held in ours}
    changed: list[tuple[Subscription | None, Subscription]] = []
    drifts: list[Drift] = []
    for truth in sorted(theirs, key=lambda held: (held.created_at, held.billing_id)):
        before = by_billing_id.get(truth.billing_id)
        if (
            before is None
            and truth.status in ENDED
            and not _is_ours(truth, customer_id, environment)
        ):
            continue
        after = _translate(customer_id, provider, environment, before, truth, owners, taken)
        if after is None:
            drifts.append(_unmanaged(truth))
            continue
        if before is None or after != before:
            after = replace(after, version=before.version + 1 if before else 1)
            changed.append((before, after))
            drifts += _drifts(before, after)
        taken[after.id] = after
    seen = {truth.billing_id for truth in theirs}
    for held in by_billing_id.values():
        if held.billing_id not in seen and held.is_live:
            ended = replace(
                held, status=SubscriptionStatus.CANCELED, ended_at=now, version=held.version + 1
            )
            taken[held.id] = ended
            changed.append((held, ended))
            drifts.append(
                _drift(DriftKind.SUBSCRIPTION_VANISHED, held, {"status": held.status}, None)
            )
    subscriptions = tuple(taken[key] for key in sorted(taken))
    drifts += _duplicates(subscriptions)
    return Convergence(subscriptions=subscriptions, changed=tuple(changed), drifts=tuple(drifts))


def _is_ours(truth: ProviderSubscription, customer_id: CustomerId, environment: str) -> bool:
    metadata = truth.metadata
    return (
        metadata.get(METADATA_TYPE) == "subscription"
        and metadata.get(METADATA_ENVIRONMENT) == environment
        and metadata.get(METADATA_CUSTOMER) == customer_id
    )


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
    owned = [
        (item, owners[item.price_billing_id])
        for item in truth.items
        if item.price_billing_id in owners
    ]
    plans = [owner for _, owner in owned if owner.kind is PackageKind.PLAN]
    if not plans:
        return None
    plan = plans[0]
    quantities: dict[FeatureId, int] = {}
    addons: dict[str, SubscribedAddon] = {}
    stated_addons = _stated_versions(truth.metadata.get(METADATA_ADDON_VERSIONS, ""))
    for item, owner in owned:
        price = owner.price
        quantity = item.quantity if item.quantity is not None else 1
        if owner.kind is PackageKind.ADDON:
            number = _choose(owner.versions, stated_addons.get(owner.package_id))
            addons[owner.package_id] = SubscribedAddon(
                id=owner.package_id, version=number, quantity=quantity
            )
        elif price.model is PriceModel.PER_UNIT and price.feature_id is not None:
            quantities[price.feature_id] = quantity
    versions = set(plan.versions).intersection(
        *(owner.versions for owner in plans if owner.package_id == plan.package_id)
    )
    stated = truth.metadata.get(METADATA_PLAN_VERSION, "")
    number = _choose(sorted(versions) or plan.versions, int(stated) if stated.isdecimal() else None)
    return Subscription(
        id=_subscription_id(customer_id, provider, environment, before, truth, taken),
        customer_id=customer_id,
        product_id=plan.product_id,
        plan_id=plan.package_id,
        plan_version=number,
        addons=tuple(addons[key] for key in sorted(addons)),
        quantities=quantities,
        billing_period=plan.price.billing_period,
        currency=truth.currency,
        status=truth.status,
        started_at=truth.started_at,
        current_period_start=truth.current_period_start,
        current_period_end=truth.current_period_end,
        trial_end=truth.trial_end,
        cancel_at=truth.cancel_at,
        ended_at=truth.ended_at,
        provider=provider,
        billing_id=truth.billing_id,
        billing_url=truth.url,
        metadata=before.metadata if before else {},
        version=before.version if before else 1,
    )


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
        if stated.startswith("subs_") and stated not in taken:
            return stated
    return SubscriptionId(derived_id("subs_", provider, truth.billing_id))


def _stated_versions(text: str) -> dict[str, int]:
    """`storage=2,seats=1` as numbers by id; anything else in it is passed over."""
    pairs = (part.rpartition("=") for part in text.split(",") if part)
    return {key: int(number) for key, _, number in pairs if number.isdecimal()}


def format_addon_versions(addons: Iterable[SubscribedAddon]) -> str:
    """What `METADATA_ADDON_VERSIONS` holds at the provider."""
    return ",".join(f"{addon.id}={addon.version}" for addon in addons)


def _choose(candidates: Sequence[int], stated: int | None) -> int:
    return stated if stated is not None and stated in candidates else max(candidates)


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


def _unmanaged(truth: ProviderSubscription) -> Drift:
    return Drift(
        kind=DriftKind.SUBSCRIPTION_UNMANAGED,
        entity=f"customer_subscription:{truth.billing_id}",
        ours=None,
        theirs={"billing_id": truth.billing_id, "status": truth.status},
        action=DriftAction.REPORTED,
    )


# The fields in which a difference is named by kind; any other difference is SUBSCRIPTION_DETAILS.
_KINDS: Final[Sequence[tuple[DriftKind, tuple[str, ...]]]] = (
    (DriftKind.SUBSCRIPTION_STATUS, ("status",)),
    (DriftKind.SUBSCRIPTION_PLAN, ("plan_id", "plan_version", "billing_period", "currency")),
    (DriftKind.SUBSCRIPTION_QUANTITY, ("quantities", "addons")),
    (DriftKind.SUBSCRIPTION_CANCELLATION, ("cancel_at",)),
    (DriftKind.SUBSCRIPTION_PERIOD, ("current_period_start", "current_period_end")),
)


def _drifts(before: Subscription | None, after: Subscription) -> Iterable[Drift]:
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


def _duplicates(subscriptions: Iterable[Subscription]) -> Iterable[Drift]:
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
