"""What Stripe remembers of its events: 30 days (https://docs.stripe.com/api/events/list), delivered or not.

Not by `delivery_success`: an endpoint that was disabled, or never made, has no failed deliveries.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Final

from chalicelib.adapters.billing.stripe.connection import PAGE_SIZE, Connection
from chalicelib.adapters.billing.stripe.errors import Effect
from chalicelib.adapters.billing.stripe.events import event_of
from chalicelib.domain.billing import ProviderEvent, ProviderEvents
from chalicelib.domain.errors import MalformedEventError

if TYPE_CHECKING:
    from stripe.params import EventListParams

# As many as Stripe takes in one question. What a customer holds follows from any of them.
_TYPES: Final = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "customer.updated",
    "customer.deleted",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.finalization_failed",
    "charge.refunded",
    "charge.dispute.created",
)


class StripeHistory:
    """The events of one account."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    def past(self, since: datetime, cursor: str | None) -> ProviderEvents:
        """See `EventHistory`; newest first."""
        params: EventListParams = {
            "created": {"gte": int(since.timestamp())},
            "types": list(_TYPES),
            "limit": PAGE_SIZE,
        }
        if cursor is not None:
            params["starting_after"] = cursor
        page = self._at.run("events", Effect.READ, lambda: self._at.v1.events.list(params))
        found: list[ProviderEvent] = []
        for one in page.data:
            try:
                found.append(event_of(one.to_dict(for_json=True)))
            except MalformedEventError:
                continue
        return ProviderEvents(
            events=tuple(found),
            next_cursor=str(page.data[-1].id) if page.has_more and page.data else None,
            unreadable=len(page.data) - len(found),
        )
