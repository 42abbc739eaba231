"""From Stripe's JSON of a subscription, of any API version, to a `ProviderSubscription`.

Its schedule, latest invoice and discounts are told where they are expanded (`EXPANSIONS`), as every read of ours does.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from chalicelib.domain.billing import ProviderChange, ProviderItem, ProviderSubscription
from chalicelib.domain.subscriptions import SubscriptionStatus

Json = Mapping[str, Any]

EXPANSIONS: Final = ("schedule", "latest_invoice", "discounts")

# https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses. `unpaid` stopped
# collecting and waits for the customer; a paused *collection* (`pause_collection`) leaves the
# subscription active.
_STATUS: Final = {
    "incomplete": SubscriptionStatus.PAYMENT_PENDING,
    "incomplete_expired": SubscriptionStatus.EXPIRED,
    "trialing": SubscriptionStatus.IN_TRIAL,
    "active": SubscriptionStatus.ACTIVE,
    "past_due": SubscriptionStatus.PAST_DUE,
    "unpaid": SubscriptionStatus.PAYMENT_PENDING,
    "canceled": SubscriptionStatus.CANCELED,
    "paused": SubscriptionStatus.PAUSED,
}


def status_of(text: object) -> SubscriptionStatus:
    """Our word for it; an unknown one gives no access, nor room for a second subscription."""
    return _STATUS.get(str(text), SubscriptionStatus.PAYMENT_PENDING)


def subscription_of(value: Json, items: Sequence[Json], url: str | None) -> ProviderSubscription:
    """The subscription in our words; `items` are all its items, which the JSON need not hold."""
    start, end = _current_period(value, items)
    cancel_at = instant(value.get("cancel_at"))
    if cancel_at is None and value.get("cancel_at_period_end"):
        cancel_at = end
    return ProviderSubscription(
        billing_id=value["id"],
        customer_billing_id=id_of(value["customer"]),
        status=status_of(value.get("status")),
        items=tuple(_item(item) for item in items),
        currency=value["currency"],
        started_at=moment(value.get("start_date") or value["created"]),
        created_at=moment(value["created"]),
        current_period_start=start,
        current_period_end=end,
        trial_end=instant(value.get("trial_end")),
        cancel_at=cancel_at,
        ended_at=instant(value.get("ended_at")),
        past_due_since=_past_due_since(value),
        scheduled=_scheduled(value.get("schedule")),
        url=url,
        metadata=dict(value.get("metadata") or {}),
        live=value.get("livemode"),
        coupons=_coupons(value.get("discounts") or ()),
    )


def _coupons(discounts: Iterable[object]) -> tuple[str, ...]:
    """The coupons taken off every invoice."""
    found = (coupon_of(one) for one in discounts if isinstance(one, Mapping))
    return tuple(sorted(one for one in found if one is not None))


def coupon_of(discount: Json) -> str | None:
    """The discount's coupon, which up to clover (2025-09-30) it held itself."""
    coupon = (discount.get("source") or discount).get("coupon")
    return id_of(coupon) if coupon else None


def _past_due_since(value: Json) -> datetime | None:
    """When the invoice that is not paid was due: a card is charged as soon as its invoice is final."""
    invoice = value.get("latest_invoice")
    if value.get("status") != "past_due" or not isinstance(invoice, Mapping):
        return None
    final = (invoice.get("status_transitions") or {}).get("finalized_at")
    return instant(invoice.get("due_date") or final or invoice.get("created"))


def _scheduled(schedule: object) -> ProviderChange | None:
    """The schedule's next phase: https://docs.stripe.com/api/subscription_schedules/object."""
    if not isinstance(schedule, Mapping) or schedule.get("status") != "active":
        return None
    current = schedule.get("current_phase") or {}
    coming = [
        phase
        for phase in schedule.get("phases") or []
        if phase["start_date"] >= (current.get("end_date") or phase["start_date"] + 1)
    ]
    if not coming:
        return None
    phase = min(coming, key=lambda one: int(one["start_date"]))
    return ProviderChange(
        at=moment(phase["start_date"]),
        items=tuple(sorted((_item(item) for item in phase["items"]), key=_line)),
        # An empty value takes the key off the subscription when the phase begins.
        metadata={key: value for key, value in (phase.get("metadata") or {}).items() if value},
    )


def _line(item: ProviderItem) -> str:
    return item.price_billing_id


def _current_period(value: Json, items: Sequence[Json]) -> tuple[datetime | None, datetime | None]:
    """The time in which nothing renews: from the last item's start to the first item's end.

    Up to acacia the period stood on the subscription, since basil (2025-03-31) on each item. Ours
    renew all items together; for mixed intervals this is Stripe's own reading (the list filters
    `current_period_start` and `current_period_end`: "maximum item" start, "minimum item" end).
    """
    holders = [item for item in items if item.get("current_period_end")] or [value]
    starts = [holder.get("current_period_start") for holder in holders]
    ends = [holder.get("current_period_end") for holder in holders]
    return (
        instant(max((start for start in starts if start), default=None)),
        instant(min((end for end in ends if end), default=None)),
    )


def _item(item: Json) -> ProviderItem:
    """A line; a very old one has a `plan`, with its price's id. Metered ones have no quantity."""
    return ProviderItem(
        price_billing_id=id_of(item.get("price") or item["plan"]), quantity=item.get("quantity")
    )


def id_of(reference: str | Json) -> str:
    """The id of an object that may be expanded."""
    return reference if isinstance(reference, str) else str(reference["id"])


def moment(seconds: int) -> datetime:
    """Aware UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def instant(seconds: int | None) -> datetime | None:
    """Aware UTC, or None."""
    return None if seconds is None else moment(seconds)
