"""A provider in memory that can end what it bills, and pay back."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from chalicelib.domain.billing import ProviderSubscription, RefundedPayment
from chalicelib.domain.errors import ProviderRefusedError
from chalicelib.domain.subscriptions import ENDED
from chalicelib.ports import Refunding, SubscriptionEnding
from tests.fakes.billing import Call, FakeBillingProvider


@dataclass(slots=True)
class RefundingProvider(FakeBillingProvider, Refunding, SubscriptionEnding):
    """`taken` is what each subscription's latest invoice took, 1000 if it is not said; `refunds` what went back."""

    taken: dict[str, int] = field(default_factory=dict)
    refunds: list[tuple[str, int]] = field(default_factory=list)

    def refund_last_payment(self, billing_id: str, idempotency_key: str) -> RefundedPayment:
        def refund() -> RefundedPayment:
            amount = self.taken.get(billing_id, 1000)
            if amount and (billing_id, amount) not in self.refunds:
                self.refunds.append((billing_id, amount))
            return RefundedPayment(amount=amount, currency=self._known(billing_id).currency)

        call = Call("refund_last_payment", (billing_id,), idempotency_key)
        answer: RefundedPayment = self._set(call, refund)
        return answer

    def end_subscription(
        self, billing_id: str, *, at: datetime | None = None
    ) -> ProviderSubscription:
        def end() -> ProviderSubscription:
            held = self._known(billing_id)
            return held if held.status in ENDED else self.cancel(billing_id, at=at)

        answer: ProviderSubscription = self._set(Call("end_subscription", (billing_id, at)), end)
        return answer

    def keep_subscription(self, billing_id: str) -> ProviderSubscription:
        def keep() -> ProviderSubscription:
            kept = replace(self._known(billing_id), cancel_at=None)
            self.subscriptions[billing_id] = kept
            return kept

        answer: ProviderSubscription = self._set(Call("keep_subscription", (billing_id,)), keep)
        return answer

    def _known(self, billing_id: str) -> ProviderSubscription:
        held = self.subscriptions.get(billing_id)
        if held is None:
            raise ProviderRefusedError(
                f"No such subscription: {billing_id}", provider_code="resource_missing"
            )
        return held
