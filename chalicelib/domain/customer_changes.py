"""What a change of a customer's subscriptions and snapshot is to the operator's application: which events, saying what.

Pure: from the snapshot and the subscriptions before and after, so that whoever makes a change tells the same of it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from chalicelib.domain.decisions import Decision, Question, decide
from chalicelib.domain.outbound_events import OutboundType
from chalicelib.domain.plain import plain
from chalicelib.domain.snapshot_documents import SnapshotDocument, document_of, epoch_ms
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.subscriptions import (
    ENDED,
    GIVING_ACCESS,
    Subscription,
    SubscriptionStatus,
)

SubscriptionChange = tuple[Subscription | None, Subscription]
Happened = tuple[OutboundType, dict[str, object]]
_Had = tuple[str, str]

# As Stripe reminds (customer.subscription.trial_will_end).
TRIAL_REMINDER: Final = timedelta(days=3)

# A message is small, and a record has to fit into the database (400 KB): what is larger is asked for.
MAX_DATA_BYTES: Final = 100_000

_BY_STATUS: Final[Mapping[SubscriptionStatus, OutboundType]] = {
    SubscriptionStatus.ACTIVE: OutboundType.SUBSCRIPTION_ACTIVATED,
    SubscriptionStatus.PAST_DUE: OutboundType.SUBSCRIPTION_PAST_DUE,
    SubscriptionStatus.PAUSED: OutboundType.SUBSCRIPTION_PAUSED,
    SubscriptionStatus.CANCELED: OutboundType.SUBSCRIPTION_CANCELED,
    SubscriptionStatus.EXPIRED: OutboundType.SUBSCRIPTION_EXPIRED,
}
_TOLD_OF_SUBSCRIPTIONS: Final = (
    "id",
    "customer_id",
    "product_id",
    "plan_id",
    "plan_version",
    "addons",
    "quantities",
    "billing_period",
    "interval_count",
    "currency",
    "status",
    "started_at",
    "current_period_start",
    "current_period_end",
    "trial_end",
    "cancel_at",
    "ended_at",
    "metadata",
    "version",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerChange:
    """One commit's change: the snapshot it replaces, the new one, and all that is held after it.

    `changed` has the subscriptions that the commit writes, each with what it was before (None: it is new).
    """

    before: Snapshot
    after: Snapshot
    held: Sequence[Subscription]
    changed: Sequence[SubscriptionChange] = ()


def events_of(change: CustomerChange, since: datetime, now: datetime) -> Iterator[Happened]:
    """The events, the most particular first; `customer.state_changed` is always there, and the last.

    What was before is looked at as it was when it was last told (`since`): what time alone has brought about in
    between is told, too, whoever comes first to tell it.
    """
    written = {after.id: before for before, after in change.changed}
    for after in change.held:
        before = written.get(after.id, after)
        yield from _of_one(before, after, change.held, since, now)
    document = document_of(change.after.document)
    earlier = _entitlements(document_of(change.before.document), since)
    present = _entitlements(document, now)
    names = [
        name
        for name in sorted({*earlier, *present})
        if _told(earlier.get(name)) != _told(present.get(name))
    ]
    about = {"customer_id": change.after.customer_id, "version": change.after.version}
    if names:
        differing = [present.get(name) or _lost(*name) for name in names]
        yield OutboundType.ENTITLEMENTS_UPDATED, _bounded({**about, "entitlements": differing})
    views = [one.at(now) for one in change.held]
    yield (
        OutboundType.CUSTOMER_STATE_CHANGED,
        _bounded(
            {
                **about,
                "status": document["customer_status"],
                "subscriptions": [_plain_subscription(view) for view in views if view.is_live],
                "entitlements": list(present.values()),
            }
        ),
    )


def next_change(after: Snapshot, held: Iterable[Subscription], now: datetime) -> datetime | None:
    """When time alone next brings about something to tell; None if it never will."""
    moments: list[datetime | None] = []
    for one in held:
        if one.is_live:
            change = one.scheduled_change
            moments += [one.started_at, one.trial_end, one.cancel_at, will_end_at(one)]
            moments.append(change.at if change is not None else None)
    for source in document_of(after.document)["sources"]:
        moments.append(_from_ms(source["start"]))
        moments.append(_from_ms(source["end"]) if "end" in source else None)
    return min((moment for moment in moments if moment is not None and moment > now), default=None)


# --- Subscriptions ------------------------------------------------------------------------------------------------


def will_end_at(subscription: Subscription) -> datetime | None:
    """When the application is reminded that the trial will end; None without a trial."""
    if subscription.status is not SubscriptionStatus.IN_TRIAL or subscription.trial_end is None:
        return None
    return subscription.trial_end - TRIAL_REMINDER


def _of_one(
    stored: Subscription | None,
    after: Subscription,
    held: Sequence[Subscription],
    since: datetime,
    now: datetime,
) -> Iterator[Happened]:
    before = stored.at(since) if stored is not None else None
    view = after.at(now)
    told = _plain_subscription(view)
    old = _plain_subscription(before) if before is not None else {}
    previous = {name: old[name] for name in old if old[name] != told[name] and name != "version"}
    data: dict[str, object] = {"subscription": told}
    if before is None:
        yield OutboundType.SUBSCRIPTION_CREATED, data
    elif previous:
        kind = _kind_of(before, view)
        yield kind, {**data, "previous_attributes": previous}
    for event in _trial_events(before, view, held):
        yield event, data
    if _is_due(will_end_at(view), now) and not (
        before is not None and _is_due(will_end_at(before), since)
    ):
        yield OutboundType.TRIAL_WILL_END, data


def _is_due(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def _kind_of(before: Subscription, after: Subscription) -> OutboundType:
    if before.status is after.status:
        return OutboundType.SUBSCRIPTION_UPDATED
    return _BY_STATUS.get(after.status, OutboundType.SUBSCRIPTION_UPDATED)


def _trial_events(
    before: Subscription | None, after: Subscription, held: Iterable[Subscription]
) -> Iterator[OutboundType]:
    was = before is not None and before.status is SubscriptionStatus.IN_TRIAL
    is_now = after.status is SubscriptionStatus.IN_TRIAL
    if is_now and not was:
        yield OutboundType.TRIAL_STARTED
    if not was or is_now:
        return
    # A trial that nobody bills ends when what was paid takes its place.
    paid = after.status not in ENDED or any(
        one.product_id == after.product_id and one.id != after.id and one.status in GIVING_ACCESS
        for one in held
    )
    yield OutboundType.TRIAL_CONVERTED if paid else OutboundType.TRIAL_ENDED


def _plain_subscription(subscription: Subscription) -> dict[str, object]:
    told = {name: getattr(subscription, name) for name in _TOLD_OF_SUBSCRIPTIONS}
    return {"object": "subscription"} | {name: _value(item) for name, item in told.items()}


def _value(item: object) -> object:
    return _instant(item) if isinstance(item, datetime) else plain(item)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


# --- Entitlements ------------------------------------------------------------------------------------------------


def _entitlements(document: SnapshotDocument, now: datetime) -> dict[_Had, dict[str, object]]:
    """By feature and resource, what a check would answer, but for usage."""
    found: dict[_Had, dict[str, object]] = {}
    for feature_id, entry in sorted(document["features"].items()):
        sources = [document["sources"][share["source"]] for share in entry["shares"]]
        usage = 0 if entry["type"] == "metered" else None
        # "": the customer as a whole.
        for resource_id in sorted({"", *(source.get("resource", "") for source in sources)}):
            question = Question(usage=usage, resource_id=resource_id or None)
            decision = decide(document, {}, feature_id, question, epoch_ms(now))
            if resource_id and not decision.sources:
                continue
            found[feature_id, resource_id] = _plain_entitlement(
                feature_id, resource_id or None, entry["type"], decision
            )
    return found


def _plain_entitlement(
    feature_id: str, resource_id: str | None, kind: str, decision: Decision
) -> dict[str, object]:
    # The end of a usage period changes the counter, not what the customer is entitled to.
    end = decision.valid_until_ms
    if end is not None and end == decision.period_end_ms:
        end = None
    return {
        "feature_id": feature_id,
        "resource_id": resource_id,
        "feature_type": kind,
        "has_access": decision.has_access,
        "usage_limit": decision.usage_limit,
        "is_unlimited": decision.is_unlimited,
        "has_soft_limit": decision.has_soft_limit,
        "value": decision.value,
        "values": list(decision.values) if decision.values is not None else None,
        "reset_period": decision.reset_period,
        "valid_until": _instant(_from_ms(end)) if end is not None else None,
        "sources": [
            {
                "type": source["type"],
                "id": source["id"],
                "version": source.get("version"),
                "subscription_id": source.get("subscription_id"),
                "quantity": source.get("quantity", 1),
            }
            for source in decision.sources
        ],
    }


def _lost(feature_id: str, resource_id: str) -> dict[str, object]:
    return {"feature_id": feature_id, "resource_id": resource_id or None, "has_access": False}


def _told(entitlement: Mapping[str, object] | None) -> object:
    """What makes it another entitlement: not where it comes from. None is as good as no access."""
    if entitlement is None or entitlement["has_access"] is False:
        return None
    return {name: item for name, item in entitlement.items() if name != "sources"}


def _from_ms(moment: int) -> datetime:
    return datetime.fromtimestamp(0, tz=UTC) + timedelta(milliseconds=moment)


def _bounded(data: dict[str, object]) -> dict[str, object]:
    """The data, or what is left of it without its lists, marked as such."""
    if len(json.dumps(data)) <= MAX_DATA_BYTES:
        return data
    short = {name: None if isinstance(item, list) else item for name, item in data.items()}
    return {**short, "truncated": True}
