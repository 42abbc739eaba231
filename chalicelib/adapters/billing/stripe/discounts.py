"""What is taken off a running subscription at Stripe (https://docs.stripe.com/billing/subscriptions/discounts).

To redeem is no setting: a second time counts again, and what lasts for months begins anew. So each call looks first,
and the key keeps the redemption single where the discount is used up by the time of a repetition.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

from chalicelib.adapters.billing.stripe.connection import Connection
from chalicelib.adapters.billing.stripe.customers import StripeCustomers
from chalicelib.adapters.billing.stripe.errors import Effect
from chalicelib.adapters.billing.stripe.move_params import tells
from chalicelib.adapters.billing.stripe.moves import StripeMoves
from chalicelib.adapters.billing.stripe.subscriptions import Json, coupon_of, id_of
from chalicelib.domain.billing import CheckoutDiscount, ProviderSubscription

if TYPE_CHECKING:
    from stripe.params import SubscriptionUpdateParams, SubscriptionUpdateParamsDiscount

_SUBSCRIPTIONS: Final = "subscriptions"


class StripeDiscounts:
    """The discounts of one account's subscriptions."""

    def __init__(
        self, connection: Connection, customers: StripeCustomers, moves: StripeMoves
    ) -> None:
        self._at = connection
        self._customers = customers
        self._moves = moves

    def set(
        self,
        billing_id: str,
        discount: CheckoutDiscount | None,
        metadata: Mapping[str, str],
        idempotency_key: str,
    ) -> ProviderSubscription:
        """See `SubscriptionDiscounts`."""
        held, _ = self._customers.subscription_with_items(billing_id)
        if not _has(held, discount):
            params: SubscriptionUpdateParams = {
                "discounts": _given(discount),
                "metadata": dict(metadata),
            }
            self._at.run(
                _SUBSCRIPTIONS,
                Effect.CREATE,
                lambda: self._at.v1.subscriptions.update(
                    billing_id, params, {"idempotency_key": idempotency_key}
                ),
            )
        elif not tells(held, metadata):
            self._customers.mark_subscription(billing_id, metadata)
        now, items = self._customers.subscription_with_items(billing_id)
        self._moves.carry(now, items, metadata, idempotency_key)
        return self._customers.translated(*self._customers.subscription_with_items(billing_id))


def _given(
    discount: CheckoutDiscount | None,
) -> "Literal[''] | list[SubscriptionUpdateParamsDiscount]":
    """In Stripe's words; an empty list would leave the discounts as they are."""
    if discount is None:
        return ""
    if discount.code_billing_id is not None:
        return [{"promotion_code": discount.code_billing_id}]
    return [{"coupon": discount.coupon_billing_id or ""}]


def _has(held: Json, discount: CheckoutDiscount | None) -> bool:
    """Whether this one is all that is taken off."""
    present = held.get("discounts") or []
    if discount is None:
        return not present
    return len(present) == 1 and _is(present[0], discount)


def _is(present: Json, discount: CheckoutDiscount) -> bool:
    """Whether it came of the same coupon, or of the very code if there is one."""
    if discount.code_billing_id is not None:
        code = present.get("promotion_code")
        return code is not None and id_of(code) == discount.code_billing_id
    return coupon_of(present) == discount.coupon_billing_id
