"""A provider in memory that can change what a subscription charges, now or with its next period."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from chalicelib.domain.billing import (
    ChangePreview,
    CheckoutDiscount,
    InvoicePreview,
    PreviewLine,
    ProviderChange,
    ProviderItem,
    ProviderSubscription,
)
from chalicelib.domain.errors import ProviderRefusedError
from chalicelib.domain.price_amounts import price_amount
from chalicelib.domain.price_moves import ItemMove, Proration
from chalicelib.domain.subscriptions import ENDED, SubscriptionStatus
from chalicelib.ports import (
    ChangePreviews,
    ScheduledChanges,
    SubscriptionChanges,
    SubscriptionDiscounts,
    SubscriptionEnding,
    SubscriptionPausing,
    TrialChanges,
)
from tests.fakes.billing import Call, FakeBillingProvider, period_end

PERCENT_OFF: Final = 20


@dataclass(slots=True)
class MovingProvider(
    FakeBillingProvider,
    ChangePreviews,
    SubscriptionChanges,
    ScheduledChanges,
    SubscriptionEnding,
    SubscriptionPausing,
    SubscriptionDiscounts,
    TrialChanges,
):
    """`changes` counts what was really changed; `later` is what waits for a subscription's next period.

    `coupons` are taken off once, or for ever; `codes` lead to them.
    """

    changes: list[str] = field(default_factory=list)
    later: dict[str, tuple[tuple[ItemMove, ...], dict[str, str]]] = field(default_factory=dict)
    discounts: dict[str, CheckoutDiscount | None] = field(default_factory=dict)
    coupons: dict[str, bool] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)

    # --- Ending, pausing, trials ------------------------------------------------------------------

    def end_subscription(
        self, billing_id: str, *, at: datetime | None = None
    ) -> ProviderSubscription:
        def end() -> ProviderSubscription:
            held = self._held(billing_id)
            if held.status in ENDED:
                return held
            self._forget_later(billing_id)
            return self.cancel(billing_id, at=at)

        return self._changed(Call("end_subscription", (billing_id, at)), end)

    def keep_subscription(self, billing_id: str) -> ProviderSubscription:
        def keep() -> ProviderSubscription:
            self._alive(billing_id)
            return self.edit_subscription(billing_id, cancel_at=None)

        return self._changed(Call("keep_subscription", (billing_id,)), keep)

    def pause_subscription(self, billing_id: str, idempotency_key: str) -> ProviderSubscription:
        def pause() -> ProviderSubscription:
            self._alive(billing_id)
            return self.edit_subscription(billing_id, status=SubscriptionStatus.PAUSED)

        return self._changed(Call("pause_subscription", (billing_id,), idempotency_key), pause)

    def unpause_subscription(self, billing_id: str, idempotency_key: str) -> ProviderSubscription:
        def unpause() -> ProviderSubscription:
            if self._alive(billing_id).status is not SubscriptionStatus.PAUSED:
                return self.subscriptions[billing_id]
            return self.edit_subscription(billing_id, status=SubscriptionStatus.ACTIVE)

        return self._changed(Call("unpause_subscription", (billing_id,), idempotency_key), unpause)

    def set_trial_end(
        self, billing_id: str, until: datetime, idempotency_key: str
    ) -> ProviderSubscription:
        def extend() -> ProviderSubscription:
            self._alive(billing_id)
            return self.edit_subscription(
                billing_id,
                status=SubscriptionStatus.IN_TRIAL,
                trial_end=until,
                current_period_end=until,
            )

        return self._changed(Call("set_trial_end", (billing_id, until), idempotency_key), extend)

    def set_discount(
        self,
        billing_id: str,
        discount: CheckoutDiscount | None,
        *,
        metadata: Mapping[str, str],
        idempotency_key: str,
    ) -> ProviderSubscription:
        def take_off() -> str:
            held = self._alive(billing_id)
            coupon = self._coupon(discount) if discount is not None else None
            if self.discounts.get(billing_id) != discount:
                self.discounts[billing_id] = discount
                self.changes.append(billing_id)
            after = self.edit_subscription(
                billing_id,
                coupons=() if coupon is None else (coupon,),
                metadata=_carried(held, metadata),
            )
            if billing_id in self.later:
                coming = _coming(after, *self.later[billing_id])
                self.edit_subscription(billing_id, scheduled=coming)
            return billing_id

        arguments = (billing_id, discount, dict(metadata))
        return self._held(self._create(Call("set_discount", arguments, idempotency_key), take_off))

    def give_coupon(self, billing_id: str | None = None, *, is_once: bool) -> CheckoutDiscount:
        """There is a coupon that takes `PERCENT_OFF` off the next invoice, or off all of them."""
        billing_id = billing_id or self._new_id("coupon")
        self.coupons[billing_id] = is_once
        return CheckoutDiscount(coupon_billing_id=billing_id)

    def give_code(self, *, is_once: bool) -> CheckoutDiscount:
        """There is a promotion code of such a coupon."""
        code = self._new_id("promo")
        self.codes[code] = self.give_coupon(is_once=is_once).coupon_billing_id or ""
        return CheckoutDiscount(code_billing_id=code)

    def _coupon(self, discount: CheckoutDiscount) -> str:
        code = discount.code_billing_id
        found = discount.coupon_billing_id if code is None else self.codes.get(code)
        if found is None or found not in self.coupons:
            raise ProviderRefusedError("No such coupon.", provider_code="resource_missing")
        return found

    def drop_scheduled(self, billing_id: str, idempotency_key: str) -> ProviderSubscription:
        def drop() -> ProviderSubscription:
            self._alive(billing_id)
            return self._forget_later(billing_id)

        return self._changed(Call("drop_scheduled", (billing_id,), idempotency_key), drop)

    def _forget_later(self, billing_id: str) -> ProviderSubscription:
        self.later.pop(billing_id, None)
        return self.edit_subscription(billing_id, scheduled=None)

    def _held(self, billing_id: str) -> ProviderSubscription:
        if billing_id not in self.subscriptions:
            raise ProviderRefusedError(
                f"No such subscription: {billing_id}", provider_code="resource_missing"
            )
        return self.subscriptions[billing_id]

    def _alive(self, billing_id: str) -> ProviderSubscription:
        held = self._held(billing_id)
        if held.status in ENDED:
            raise ProviderRefusedError("A canceled subscription takes no change.")
        return held

    def _changed(
        self, call: Call, effect: Callable[[], ProviderSubscription]
    ) -> ProviderSubscription:
        answer: ProviderSubscription = self._set(call, effect)
        return answer

    # --- What it charges --------------------------------------------------------------------------

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
            held = self._alive(billing_id)
            wanted = (tuple(items), dict(metadata))
            if at_period_end:
                if self.later.get(billing_id) != wanted:
                    self.later[billing_id] = wanted
                    self.changes.append(billing_id)
                    self.edit_subscription(billing_id, scheduled=_coming(held, items, metadata))
                return self.subscriptions[billing_id]
            self.later.pop(billing_id, None)
            after = replace(_moved(held, items, metadata), scheduled=None)
            if after != held:
                self.subscriptions[billing_id] = after
                self.changes.append(billing_id)
            return after

        call = Call("move_prices", (billing_id, tuple(items), proration), idempotency_key)
        answer: ProviderSubscription = self._set(call, move)
        return answer

    def preview_moves(
        self,
        billing_id: str,
        items: Sequence[ItemMove],
        *,
        proration: Proration,
        at_period_end: bool,
    ) -> ChangePreview:
        """Half of the difference settles the running period, as if half of it were over."""
        self._read("preview_moves", billing_id, tuple(items), proration, at_period_end)
        held = self._alive(billing_id)
        after = self._invoice(_moved(held, items, {}))
        settled = (after.total - self._invoice(held).total) // 2
        if at_period_end or proration is Proration.NONE or settled == 0:
            return ChangePreview(now=None, following=after)
        settling = replace(after.lines[0], amount=settled, is_proration=True)
        if proration is Proration.INVOICE_NOW:
            at = self.clock.now().replace(microsecond=0)
            now = replace(_invoice_of((settling,), at, held.currency), at=at)
            return ChangePreview(now=now, following=after)
        lines = (settling, *after.lines)
        return ChangePreview(now=None, following=_invoice_of(lines, after.at, held.currency))

    def _invoice(self, held: ProviderSubscription) -> InvoicePreview:
        start = held.current_period_end or held.started_at
        lines = tuple(
            PreviewLine(
                description=item.price_billing_id,
                amount=int(
                    price_amount(self._price(item.price_billing_id).price, item.quantity or 0)
                ),
                quantity=item.quantity,
                price_billing_id=item.price_billing_id,
                is_proration=False,
                period_start=start,
                period_end=start,
            )
            for item in held.items
        )
        percent_off = PERCENT_OFF if held.coupons else 0
        return _invoice_of(lines, start, held.currency, percent_off)

    def renew(self, billing_id: str) -> None:
        """The next period begins, with whatever waited for it; what was to be taken off once was."""
        items, metadata = self.later.pop(billing_id, ((), {}))
        held = self.subscriptions[billing_id]
        after = _moved(held, items, metadata)
        start = held.current_period_end or held.started_at
        price = self._price(after.items[0].price_billing_id).price
        lasting = tuple(one for one in held.coupons if not self.coupons.get(one))
        if lasting != held.coupons:
            self.discounts.pop(billing_id, None)
        self.subscriptions[billing_id] = replace(
            after,
            scheduled=None,
            coupons=lasting,
            current_period_start=start,
            current_period_end=period_end(start, price),
        )


def _invoice_of(
    lines: tuple[PreviewLine, ...], at: datetime, currency: str, percent_off: int = 0
) -> InvoicePreview:
    subtotal = sum(line.amount for line in lines)
    discount = subtotal * percent_off // 100
    total = subtotal - discount
    return InvoicePreview(
        at=at,
        currency=currency,
        lines=lines,
        subtotal=subtotal,
        discount=discount,
        tax=0,
        total=total,
        due=max(0, total),
    )


def _coming(
    held: ProviderSubscription, items: Sequence[ItemMove], metadata: Mapping[str, str]
) -> ProviderChange | None:
    if held.current_period_end is None:
        return None
    moved = _moved(held, items, metadata)
    return ProviderChange(at=held.current_period_end, items=moved.items, metadata=moved.metadata)


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
    return replace(held, items=ordered, metadata=_carried(held, metadata))


def _carried(held: ProviderSubscription, metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in {**held.metadata, **metadata}.items() if value}
