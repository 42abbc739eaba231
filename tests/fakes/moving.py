"""A provider in memory that can change what a subscription charges, now or with its next period."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from chalicelib.domain.billing import ProviderItem, ProviderSubscription
from chalicelib.domain.errors import ProviderRefusedError
from chalicelib.domain.price_moves import ItemMove, Proration
from chalicelib.domain.subscriptions import ENDED
from chalicelib.ports import SubscriptionChanges
from tests.fakes.billing import Call, FakeBillingProvider


@dataclass(slots=True)
class MovingProvider(FakeBillingProvider, SubscriptionChanges):
    """`changes` counts what was really changed; `later` is what waits for a subscription's next period."""

    changes: list[str] = field(default_factory=list)
    later: dict[str, tuple[tuple[ItemMove, ...], dict[str, str]]] = field(default_factory=dict)

    def move_prices(
        self,
        billing_id: str,
        items: Sequence[ItemMove],
        *,
        proration: Proration,
        at_period_end: bool,
        metadata: Mapping[str, str],
        idempotency_key: str,
    ) -> ProviderSubscription:
        def move() -> ProviderSubscription:
            held = self.subscriptions[billing_id]
            if held.status in ENDED:
                raise ProviderRefusedError("A canceled subscription takes no change.")
            wanted = (tuple(items), dict(metadata))
            if at_period_end:
                if self.later.get(billing_id) != wanted:
                    self.later[billing_id] = wanted
                    self.changes.append(billing_id)
                return held
            after = _moved(held, items, metadata)
            if after != held:
                self.subscriptions[billing_id] = after
                self.changes.append(billing_id)
            return after

        call = Call("move_prices", (billing_id, tuple(items), proration), idempotency_key)
        answer: ProviderSubscription = self._set(call, move)
        return answer

    def renew(self, billing_id: str) -> None:
        """The next period begins, with whatever waited for it."""
        items, metadata = self.later.pop(billing_id, ((), {}))
        held = self.subscriptions[billing_id]
        self.subscriptions[billing_id] = _moved(held, items, metadata)


def _moved(
    held: ProviderSubscription, items: Sequence[ItemMove], metadata: Mapping[str, str]
) -> ProviderSubscription:
    lines = {item.price_billing_id: item for item in held.items}
    for move in items:
        if move.from_price is not None:
            lines.pop(move.from_price, None)
        if move.to_price is not None:
            lines[move.to_price] = ProviderItem(
                price_billing_id=move.to_price, quantity=move.quantity
            )
    ordered = tuple(lines[price] for price in sorted(lines))
    return replace(held, items=ordered, metadata={**held.metadata, **metadata})
