"""Taking a discount off a running subscription's invoices, for those who can."""

import pytest

from chalicelib.domain.billing import CheckoutDiscount, ProviderSubscription
from chalicelib.domain.errors import ProviderRefusedError
from chalicelib.domain.price_moves import ItemMove, Proration
from chalicelib.ports import ChangePreviews, SubscriptionChanges, SubscriptionDiscounts
from tests.contract.billing_provider.samples import subscribed
from tests.contract.billing_provider.worlds import DiscountingWorld

FULL = 1000 + 3 * 700
REDUCED = FULL * 80 // 100
MARK = {"paygrade_coupon_id": "ten"}


class Discounted:
    """A subscription whose discount is changed."""

    def __init__(self, world: DiscountingWorld) -> None:
        assert isinstance(world.provider, SubscriptionDiscounts)
        self.world = world
        self.discounts: SubscriptionDiscounts = world.provider
        self.held = subscribed(world)

    def set(
        self, discount: CheckoutDiscount | None, mark: str = "ten", key: str = "discount"
    ) -> ProviderSubscription:
        return self.discounts.set_discount(
            self.held.billing_id,
            discount,
            metadata={"paygrade_coupon_id": mark},
            idempotency_key=key,
        )

    def move_later(self) -> None:
        """With the next period, the three seats become five."""
        assert isinstance(self.world.provider, SubscriptionChanges)
        [seats] = [one.price_billing_id for one in self.held.items if one.quantity == 3]
        self.world.provider.move_prices(
            self.held.billing_id,
            [ItemMove(from_price=seats, to_price=seats, quantity=5)],
            proration=Proration.NONE,
            at_period_end=True,
            metadata={"moved": "yes"},
            idempotency_key="move",
        )

    def now(self) -> ProviderSubscription:
        found = self.world.provider.get_subscription(self.held.billing_id)
        assert found is not None
        return found

    def next_total(self) -> int:
        """What the next invoice comes to."""
        assert isinstance(self.world.provider, ChangePreviews)
        told = self.world.provider.preview_moves(
            self.held.billing_id, (), proration=Proration.NONE, at_period_end=True
        )
        assert told.following is not None
        return told.following.total


@pytest.fixture
def discounted(discounting_world: DiscountingWorld) -> Discounted:
    return Discounted(discounting_world)


def test_discount_set_is_taken_off_what_comes(discounted: Discounted) -> None:
    assert discounted.next_total() == FULL
    coupon = discounted.world.give_coupon("forever")
    now = discounted.set(coupon)
    assert now.coupons == (coupon.coupon_billing_id,)
    assert now.metadata == {**discounted.held.metadata, **MARK}
    assert now.items == discounted.held.items
    assert discounted.next_total() == REDUCED
    assert discounted.set(coupon) == now
    assert discounted.set(coupon, key="another wish") == now
    assert discounted.world.provider.get_subscription(now.billing_id) == now


def test_discount_by_code_is_taken_off_what_comes(discounted: Discounted) -> None:
    code = discounted.world.give_code("forever")
    now = discounted.set(code)
    assert len(now.coupons) == 1
    assert discounted.next_total() == REDUCED
    assert discounted.set(code, key="another wish") == now


def test_discount_set_takes_the_place_of_another(discounted: Discounted) -> None:
    discounted.set(discounted.world.give_coupon("forever"))
    other = discounted.world.give_coupon("forever")
    now = discounted.set(other, mark="other", key="other")
    assert now.coupons == (other.coupon_billing_id,)
    assert now.metadata["paygrade_coupon_id"] == "other"
    assert discounted.next_total() == REDUCED


def test_discount_removed_is_gone_with_its_mark(discounted: Discounted) -> None:
    discounted.set(discounted.world.give_coupon("forever"))
    now = discounted.set(None, mark="", key="none")
    assert now.coupons == ()
    assert now.metadata == discounted.held.metadata
    assert discounted.next_total() == FULL
    assert discounted.set(None, mark="", key="none") == now
    assert discounted.set(None, mark="", key="once more") == now


def test_discount_used_up_does_not_come_back_with_a_repetition(discounted: Discounted) -> None:
    once = discounted.world.give_coupon("once")
    end = discounted.held.current_period_end
    assert end is not None
    discounted.world.clock.sleep((end - discounted.world.clock.now()).total_seconds() - 3600)
    discounted.set(once)
    assert discounted.next_total() == REDUCED
    discounted.world.pass_period(discounted.held.billing_id)
    assert discounted.next_total() == FULL
    discounted.set(once)
    assert discounted.next_total() == FULL
    discounted.set(once, key="another wish")
    assert discounted.next_total() == REDUCED


MOVED = 1000 + 5 * 700


def test_discount_stays_as_a_scheduled_move_comes(discounted: Discounted) -> None:
    coupon = discounted.world.give_coupon("forever")
    discounted.set(coupon)
    discounted.move_later()
    discounted.world.pass_period(discounted.held.billing_id)
    now = discounted.now()
    assert now.metadata == {**discounted.held.metadata, **MARK, "moved": "yes"}
    assert now.coupons == (coupon.coupon_billing_id,)
    assert discounted.next_total() == MOVED * 80 // 100


def test_discount_set_while_a_move_waits_outlasts_it(discounted: Discounted) -> None:
    discounted.set(discounted.world.give_coupon("forever"), mark="former", key="former")
    discounted.move_later()
    coupon = discounted.world.give_coupon("forever")
    now = discounted.set(coupon)
    assert now.scheduled is not None
    assert now.scheduled.metadata == {**discounted.held.metadata, **MARK, "moved": "yes"}
    assert sorted(one.quantity or 0 for one in now.scheduled.items) == [1, 5]
    assert discounted.set(coupon) == now
    discounted.move_later()
    assert discounted.now() == now
    discounted.world.pass_period(discounted.held.billing_id)
    now = discounted.now()
    assert (now.coupons, now.scheduled) == ((coupon.coupon_billing_id,), None)
    assert now.metadata == {**discounted.held.metadata, **MARK, "moved": "yes"}
    assert discounted.next_total() == MOVED * 80 // 100


def test_discount_removed_while_a_move_waits_does_not_come_back(discounted: Discounted) -> None:
    discounted.set(discounted.world.give_coupon("forever"))
    discounted.move_later()
    now = discounted.set(None, mark="", key="none")
    assert now.scheduled is not None
    assert discounted.set(None, mark="", key="none") == now
    discounted.world.pass_period(discounted.held.billing_id)
    now = discounted.now()
    assert (now.coupons, now.scheduled) == ((), None)
    assert now.metadata == {**discounted.held.metadata, "moved": "yes"}
    assert discounted.next_total() == MOVED


def test_discount_for_once_is_taken_off_what_a_scheduled_move_begins_with(
    discounted: Discounted,
) -> None:
    discounted.set(discounted.world.give_coupon("once"))
    discounted.move_later()
    discounted.world.pass_period(discounted.held.billing_id)
    assert discounted.now().coupons == ()
    assert discounted.next_total() == MOVED


def test_discount_of_nobody_is_refused(discounted: Discounted) -> None:
    with pytest.raises(ProviderRefusedError):
        discounted.set(CheckoutDiscount(coupon_billing_id="coupon_none"))
    with pytest.raises(ProviderRefusedError):
        discounted.set(CheckoutDiscount(code_billing_id="promo_none"))
    assert discounted.next_total() == FULL


def test_discount_of_an_ended_subscription_is_refused(discounted: Discounted) -> None:
    coupon = discounted.world.give_coupon("forever")
    discounted.world.cancel(discounted.held.billing_id)
    with pytest.raises(ProviderRefusedError):
        discounted.set(coupon)
