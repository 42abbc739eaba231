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
    """One commit's change: the snapshot it replaces (None: there was none), the new one, and what is held now."""

    before: Snapshot | None
    after: Snapshot
    held: Sequence[Subscription]
    changed: Sequence[SubscriptionChange] = ()


def events_of(change: CustomerChange, now: datetime) -> Iterator[Happened]:
    """The events, the most particular first; `customer.state_changed` is always the last, and there."""
    for before, after in change.changed:
        yield _subscription_event(before, after), _of_subscription(before, after)
        for kind in _trial_events(before, after, change.held):
            yield kind, {"subscription": _plain_subscription(after)}
    document = document_of(change.after.document)
    entitlements = _entitlements(document, now)
    earlier = (
        _entitlements(document_of(change.before.document), now) if change.before is not None else {}
    )
    names = sorted(
        name
        for name in {*earlier, *entitlements}
        if _told(earlier.get(name)) != _told(entitlements.get(name))
    )
    if names:
        lost = {"has_access": False}
        yield (
            OutboundType.ENTITLEMENTS_UPDATED,
            _bounded(
                {
                    "customer_id": change.after.customer_id,
                    "version": change.after.version,
                    "entitlements": [
                        entitlements.get(name, {"feature_id": name, **lost}) for name in names
                    ],
                }
            ),
        )
    yield (
        OutboundType.CUSTOMER_STATE_CHANGED,
        _bounded(
            {
                "customer_id": change.after.customer_id,
                "version": change.after.version,
                "status": document["customer_status"],
                "subscriptions": [
                    _plain_subscription(one.at(now)) for one in change.held if one.at(now).is_live
                ],
                "entitlements": list(entitlements.values()),
            }
        ),
    )


def trial_data(subscription: Subscription) -> dict[str, object]:
    """What an event tells that time alone brings about."""
    return {"subscription": _plain_subscription(subscription)}


# --- Subscriptions ------------------------------------------------------------------------------------------------


def _subscription_event(before: Subscription | None, after: Subscription) -> OutboundType:
    if before is None:
        return OutboundType.SUBSCRIPTION_CREATED
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
    if after.status not in ENDED:
        yield OutboundType.TRIAL_CONVERTED
        return
    # A trial that nobody bills ends when what was paid takes its place.
    paid = any(
        one.product_id == after.product_id and one.id != after.id and one.status in GIVING_ACCESS
        for one in held
    )
    yield OutboundType.TRIAL_CONVERTED if paid else OutboundType.TRIAL_ENDED


def _of_subscription(before: Subscription | None, after: Subscription) -> dict[str, object]:
    now = _plain_subscription(after)
    if before is None:
        return {"subscription": now}
    old = _plain_subscription(before)
    previous = {name: old[name] for name in old if old[name] != now[name] and name != "version"}
    return {"subscription": now, "previous_attributes": previous}


def _plain_subscription(subscription: Subscription) -> dict[str, object]:
    told = {name: getattr(subscription, name) for name in _TOLD_OF_SUBSCRIPTIONS}
    return {"object": "subscription"} | {name: _value(item) for name, item in told.items()}


def _value(item: object) -> object:
    return _instant(item) if isinstance(item, datetime) else plain(item)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


# --- Entitlements ------------------------------------------------------------------------------------------------


def _entitlements(document: SnapshotDocument, now: datetime) -> dict[str, dict[str, object]]:
    """By feature, what a check would answer, but for usage."""
    found: dict[str, dict[str, object]] = {}
    for name, entry in sorted(document["features"].items()):
        question = Question(usage=0) if entry["type"] == "metered" else Question()
        found[name] = _plain_entitlement(
            name, entry["type"], decide(document, {}, name, question, epoch_ms(now))
        )
    return found


def _plain_entitlement(name: str, kind: str, decision: Decision) -> dict[str, object]:
    # The end of a usage period changes the counter, not what the customer is entitled to.
    end = decision.valid_until_ms
    if end is not None and end == decision.period_end_ms:
        end = None
    return {
        "feature_id": name,
        "feature_type": kind,
        "has_access": decision.has_access,
        "usage_limit": decision.usage_limit,
        "is_unlimited": decision.is_unlimited,
        "has_soft_limit": decision.has_soft_limit,
        "value": decision.value,
        "values": list(decision.values) if decision.values is not None else None,
        "reset_period": decision.reset_period,
        "valid_until": _from_ms(end),
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


def _told(entitlement: Mapping[str, object] | None) -> object:
    """What makes it another entitlement: not where it comes from. None is as good as no access."""
    if entitlement is None or entitlement["has_access"] is False:
        return None
    return {name: item for name, item in entitlement.items() if name != "sources"}


def _from_ms(moment: int | None) -> str | None:
    if moment is None:
        return None
    return _instant(datetime.fromtimestamp(0, tz=UTC) + timedelta(milliseconds=moment))


def _bounded(data: dict[str, object]) -> dict[str, object]:
    """The data, or what is left of it without its lists, marked as such."""
    if len(json.dumps(data)) <= MAX_DATA_BYTES:
        return data
    short = {name: None if isinstance(item, list) else item for name, item in data.items()}
    return {**short, "truncated": True}
