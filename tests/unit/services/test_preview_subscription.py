"""Previews: the plan of the order or change, told and not done."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.coupons import AmountOff, Coupon, CouponDuration, CouponId
from chalicelib.domain.errors import (
    InvalidError,
    SubscriptionEndedError,
    SubscriptionExistsError,
)
from chalicelib.domain.ids import FeatureId, PackageId
from chalicelib.domain.impacts import Effect
from chalicelib.domain.orders import AddonOrder
from chalicelib.domain.plans import Trial, TrialUnit
from chalicelib.domain.previews import Preview
from chalicelib.domain.price_moves import Proration
from chalicelib.domain.subscription_changes import Change, ChangeTime, Way
from chalicelib.domain.subscription_ends import Ending, When
from chalicelib.domain.usage import Counter
from chalicelib.services.cancel_subscription import cancel_subscription
from chalicelib.services.preview_subscription import preview_change, preview_order
from tests.factories import ACME, a_price, later
from tests.fakes.changing import ChangeShop, a_shop_with, with_less_able_provider
from tests.fakes.world import a_cause, an_order

SEATS = FeatureId("seats")


def preview(shop: ChangeShop, wish: Change) -> Preview:
    before = (shop.subscriptions(), shop.snapshot(), len(shop.store.commits))
    found = preview_change(shop.ports, a_cause("look"), shop.subscriptions()[0].id, wish)
    assert (shop.subscriptions(), shop.snapshot(), len(shop.store.commits)) == before
    assert shop.moving.changes == []
    return found


def to_plan(plan_id: str, **fields: Any) -> Change:
    return Change(plan_id=PackageId(plan_id), **fields)


def test_preview_order_tells_what_is_due_now_and_next() -> None:
    shop = ChangeShop()
    addons = (AddonOrder(id=PackageId("storage"), quantity=2),)
    found = preview_order(shop.ports, an_order("team", quantities={"seats": 3}, addons=addons))
    assert found.now is not None
    assert found.following is not None
    assert (found.now.due, found.now.at) == (2000 + 1500 + 600, shop.clock.now())
    assert (found.following.due, found.following.at) == (4100, later(days=31))
    assert (found.currency, found.is_estimate, found.is_downgrade) == ("usd", True, False)
    assert dict(found.differences.gained) == dict.fromkeys(
        ("calls", "gigabytes", "seats", "sso"), Effect.GAINED
    )
    assert shop.subscriptions() == ()


def test_preview_order_of_what_is_free_costs_nothing() -> None:
    found = preview_order(ChangeShop().ports, an_order("free"))
    assert (found.now, found.following, found.lines) == (None, None, ())
    assert found.differences.gained == (("calls", Effect.GAINED),)


def test_preview_order_with_a_trial_is_due_when_that_is_over() -> None:
    shop = ChangeShop()
    trial = Trial(duration=7, unit=TrialUnit.DAY, payment_method_required=True)
    shop.sell("carded", a_price(), trial=trial)
    found = preview_order(shop.ports, an_order("carded"))
    assert (found.way, found.now) == (Way.CHECKOUT, None)
    assert found.following is not None
    assert (found.following.at, found.following.due) == (later(days=7), 1000)


def test_preview_order_with_a_trial_that_needs_no_card_costs_nothing_and_leads_to_nothing() -> None:
    found = preview_order(ChangeShop().ports, an_order("tried"))
    assert (found.way, found.now, found.following) == (Way.IN_PLACE, None, None)


def test_preview_order_beside_a_live_subscription_is_refused() -> None:
    with pytest.raises(SubscriptionExistsError):
        preview_order(a_shop_with("pro").ports, an_order("team"))


def test_preview_change_is_reckoned_by_the_provider() -> None:
    shop = a_shop_with("pro")
    found = preview(shop, to_plan("team", quantities={SEATS: 4}, proration=Proration.INVOICE_NOW))
    assert found.way is Way.MOVE
    assert found.now is not None
    assert found.following is not None
    assert (found.now.due, found.proration, found.following.total) == (1500, 1500, 4000)
    assert not found.is_estimate
    assert not found.is_downgrade
    assert ("sso", Effect.GAINED) in found.differences.gained
    assert ("calls", Effect.RAISED) in found.differences.gained


@pytest.mark.parametrize(("proration", "settled"), [(Proration.CREATE, 1000), (Proration.NONE, 0)])
def test_preview_change_settles_with_the_next_invoice_or_not(
    proration: Proration, settled: int
) -> None:
    found = preview(a_shop_with("pro"), to_plan("team", proration=proration))
    assert (found.now, found.proration) == (None, settled)


def test_preview_change_with_the_period_begins_with_it() -> None:
    shop = a_shop_with("pro")
    found = preview(shop, to_plan("team", effective=ChangeTime.END_OF_PERIOD))
    assert found.effective_at == shop.live().current_period_end
    assert (found.now, found.proration) == (None, 0)


def test_preview_downgrade_tells_what_is_lost_and_exceeded() -> None:
    shop = a_shop_with("team", quantities={"seats": 7})
    shop.reader.usage = {ACME: {"calls": Counter(50, 0)}}
    found = preview(shop, to_plan("free"))
    assert (found.way, found.is_downgrade) == (Way.GIVE_UP, True)
    assert set(found.differences.lost) == {
        ("calls", Effect.LOWERED),
        ("seats", Effect.LOST),
        ("sso", Effect.LOST),
    }
    [exceeded] = found.differences.exceeded
    assert (exceeded.feature_id, exceeded.current_usage, exceeded.usage_limit) == ("calls", 50, 10)


def test_preview_fewer_units_is_a_downgrade() -> None:
    shop = a_shop_with("team", quantities={"seats": 7})
    found = preview(shop, Change(quantities={SEATS: 5}))
    assert found.is_downgrade
    assert found.differences.lost == (("seats", Effect.LOWERED),)


def test_preview_from_free_to_paid_is_that_of_the_order() -> None:
    found = preview(a_shop_with("free"), to_plan("pro"))
    assert found.way is Way.CHECKOUT
    assert found.now is not None
    assert (found.now.due, found.is_downgrade) == (1000, False)
    assert found.differences.gained == (("calls", Effect.RAISED),)


def test_preview_between_plans_nobody_bills_compares_what_they_give() -> None:
    assert preview(a_shop_with("custom"), to_plan("free")).is_downgrade
    assert not preview(a_shop_with("free"), to_plan("custom")).is_downgrade


def test_preview_where_the_provider_can_not_reckon_is_an_estimate() -> None:
    shop = a_shop_with("pro")
    with_less_able_provider(shop)
    found = preview(shop, to_plan("tried"))
    assert found.is_estimate
    assert found.following is not None
    assert (found.following.total, found.now) == (900, None)


def test_preview_what_can_not_be_is_refused() -> None:
    shop = a_shop_with("pro")
    with pytest.raises(InvalidError):
        preview(shop, to_plan("team", quantities={SEATS: 1}))
    cancel_subscription(shop.ports, a_cause("e"), shop.live().id, Ending(when=When.IMMEDIATE))
    with pytest.raises(SubscriptionEndedError):
        preview_change(shop.ports, a_cause(), shop.subscriptions()[0].id, to_plan("team"))


COUPON = Coupon(
    id=CouponId("c"),
    name="c",
    percent_off=Decimal("12.5"),
    created_at=later(),
    duration=CouponDuration.FOREVER,
)
OFF = replace(
    COUPON,
    percent_off=None,
    amounts_off=(AmountOff(amount=300, currency="usd"), AmountOff(amount=9999, currency="eur")),
)


@pytest.mark.parametrize(
    ("coupon", "discount", "again"),
    [
        (None, 0, 0),
        (COUPON, 125, 125),
        (OFF, 300, 300),
        (replace(OFF, amounts_off=(AmountOff(amount=9999, currency="usd"),)), 1000, 1000),
        (replace(COUPON, duration=CouponDuration.ONCE), 125, 0),
        (replace(COUPON, duration=CouponDuration.REPEATING, duration_months=1), 125, 0),
        (replace(COUPON, duration=CouponDuration.REPEATING, duration_months=2), 125, 125),
    ],
)
def test_preview_order_takes_the_coupon_off_as_long_as_it_lasts(
    coupon: Coupon | None, discount: int, again: int
) -> None:
    shop = ChangeShop()
    if coupon is not None:
        shop.put(coupon)
    found = preview_order(shop.ports, an_order("pro", coupon=coupon.id if coupon else None))
    assert found.now is not None
    assert found.following is not None
    assert (found.now.discount, found.now.due) == (discount, 1000 - discount)
    assert found.following.due == 1000 - again
