"""Ending, keeping, pausing and prolonging a subscription at Stripe: each looks first, and does what is missing.

https://docs.stripe.com/billing/subscriptions/cancel, /pause and /trials. All set absolute values, so a repetition
after a lost answer finds it done; the keys of pause and resume, which are no settings, keep those single.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Final

from chalicelib.adapters.billing.stripe.connection import Connection
from chalicelib.adapters.billing.stripe.customers import StripeCustomers
from chalicelib.adapters.billing.stripe.errors import Benign, Effect, is_benign
from chalicelib.adapters.billing.stripe.moves import StripeMoves
from chalicelib.domain.billing import ProviderSubscription
from chalicelib.domain.errors import ProviderRefusedError
from chalicelib.domain.ids import derived_id
from chalicelib.domain.subscriptions import ENDED, SubscriptionStatus

if TYPE_CHECKING:
    from stripe.params import SubscriptionUpdateParams

_SUBSCRIPTIONS: Final = "subscriptions"


class StripeLifecycle:
    """The lives of one account's subscriptions."""

    def __init__(
        self, connection: Connection, customers: StripeCustomers, moves: StripeMoves
    ) -> None:
        self._at = connection
        self._customers = customers
        self._moves = moves

    def end(self, billing_id: str, at: datetime | None) -> ProviderSubscription:
        """See `SubscriptionEnding`."""
        held = self._held(billing_id)
        if held.status in ENDED:
            return held
        if at is None or at <= self._at.clock.now():
            self._at.attempt(
                _SUBSCRIPTIONS,
                Effect.SET,
                lambda: self._at.v1.subscriptions.cancel(billing_id),
                lambda error: is_benign(error, Benign.MISSING),
            )
            return self._held(billing_id)
        if held.cancel_at == at:
            return held
        # What a schedule changes later would not be reached, and Stripe takes no end of what a schedule holds.
        self._moves.drop_scheduled(billing_id, derived_id("end_", billing_id, at.isoformat()))
        if at == held.current_period_end:
            self._set(billing_id, {"cancel_at_period_end": True})
        else:
            self._set(billing_id, {"cancel_at": int(at.timestamp()), "proration_behavior": "none"})
        return self._held(billing_id)

    def keep(self, billing_id: str) -> ProviderSubscription:
        """See `SubscriptionEnding`."""
        value, items = self._customers.subscription_with_items(billing_id)
        held = self._customers.translated(value, items)
        if held.status in ENDED:
            raise ProviderRefusedError("A subscription that has ended can't go on.")
        if held.cancel_at is None:
            return held
        if value.get("cancel_at_period_end"):
            self._set(billing_id, {"cancel_at_period_end": False})
        else:
            self._set(billing_id, {"cancel_at": ""})
        return self._held(billing_id)

    def pause(self, billing_id: str, idempotency_key: str) -> ProviderSubscription:
        """See `SubscriptionPausing`. What is left of the paid period is credited with the next invoice."""
        held = self._held(billing_id)
        if held.status is SubscriptionStatus.PAUSED:
            return held
        if held.scheduled is not None:
            self._moves.drop_scheduled(billing_id, idempotency_key)
        self._at.run(
            _SUBSCRIPTIONS,
            Effect.CREATE,
            lambda: self._at.v1.subscriptions.pause(
                billing_id,
                {"type": "subscription", "invoicing_behavior": "pending_invoice_item"},
                {"idempotency_key": f"{idempotency_key}:pause"},
            ),
        )
        return self._held(billing_id)

    def unpause(self, billing_id: str, idempotency_key: str) -> ProviderSubscription:
        """See `SubscriptionPausing`. A new period begins and is invoiced."""
        held = self._held(billing_id)
        if held.status is not SubscriptionStatus.PAUSED:
            return held
        self._at.run(
            _SUBSCRIPTIONS,
            Effect.CREATE,
            lambda: self._at.v1.subscriptions.resume(
                billing_id,
                {"billing_cycle_anchor": {"type": "now"}},
                {"idempotency_key": f"{idempotency_key}:resume"},
            ),
        )
        return self._held(billing_id)

    def set_trial_end(self, billing_id: str, until: datetime) -> ProviderSubscription:
        """See `TrialChanges`."""
        held = self._held(billing_id)
        if held.trial_end == until:
            return held
        self._set(billing_id, {"trial_end": int(until.timestamp()), "proration_behavior": "none"})
        return self._held(billing_id)

    def _set(self, billing_id: str, params: "SubscriptionUpdateParams") -> None:
        self._at.run(
            _SUBSCRIPTIONS,
            Effect.SET,
            lambda: self._at.v1.subscriptions.update(billing_id, params),
        )

    def _held(self, billing_id: str) -> ProviderSubscription:
        held = self._customers.subscription(billing_id)
        if held is None:
            raise ProviderRefusedError(
                f"No such subscription: {billing_id}", provider_code="resource_missing"
            )
        return held
