"""Operations on running subscriptions over the real adapters: Stripe with the stand-in behind it, and by hand."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from chalicelib.adapters.billing.manual.provider import ManualProvider
from chalicelib.domain.coupons import Coupon, CouponDuration, CouponId
from chalicelib.domain.errors import InvalidError, NotSupportedError
from chalicelib.domain.ids import FeatureId, PackageId
from chalicelib.domain.orders import AddonOrder
from chalicelib.domain.plans import PackageKind, Trial, TrialUnit
from chalicelib.domain.price_moves import Proration
from chalicelib.domain.prices import BillingPeriod
from chalicelib.domain.subscription_changes import Change, ChangeTime
from chalicelib.domain.subscription_ends import Ending, When
from chalicelib.domain.subscriptions import Subscription, SubscriptionStatus
from chalicelib.ports import Providers
from chalicelib.services.cancel_subscription import cancel_subscription
from chalicelib.services.change_subscription import change_subscription, migrate_subscription
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.drop_scheduled_change import drop_scheduled_change
from chalicelib.services.extend_trial import extend_trial
from chalicelib.services.manage_coupons import create_coupon
from chalicelib.services.pause_subscription import pause_subscription
from chalicelib.services.preview_subscription import preview_change
from chalicelib.services.provision_subscription import provision_subscription
from chalicelib.services.resume_subscription import resume_subscription
from tests.factories import ACME, a_limit, a_price, a_product, a_seat_price
from tests.fakes.billing import FakeProviders
from tests.fakes.stripe_shop import StripeShop
from tests.fakes.world import World, a_cause, an_order

LATER = ChangeTime.END_OF_PERIOD
SEATS = FeatureId("seats")
CARDED = Trial(duration=14, unit=TrialUnit.DAY, payment_method_required=True)


def stock(world: World) -> None:
    world.put(a_product())
    world.publish("free", entitlements=[a_limit("calls", 10)])
    world.sell("storage", a_price("s", 300), kind=PackageKind.ADDON)
    world.sell(
        "pro",
        a_price("m", 1000),
        a_price("y", 10_000, billing_period=BillingPeriod.YEAR),
        entitlements=[a_limit("calls", 100)],
        compatible_addons=(PackageId("storage"),),
    )
    world.sell("team", a_price("m", 2000), a_seat_price("seat", 500))
    world.sell("carded", a_price("m", 700), trial=CARDED)
    world.customer(email="a@acme.example")


@dataclass
class AtStripe(StripeShop):
    def __post_init__(self) -> None:
        super().__post_init__()
        stock(self)

    def begin(self, plan_id: str, **order: Any) -> Subscription:
        self.pay(plan_id=plan_id, **order)
        return self.live()

    def live(self) -> Subscription:
        [held] = [one for one in self.subscriptions() if one.is_live]
        return held

    def pass_time(self, moment: datetime) -> None:
        """Both clocks go on, and a notification comes."""
        self.clock.advance(seconds=(moment - self.clock.now()).total_seconds())
        self.send("POST", "/_stand_in/clock", {"advance_seconds": 0})
        converge_customer(self.ports, a_cause("hook"), ACME, "stripe")


@dataclass
class ByHand(World):
    manual: ManualProvider = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.manual = ManualProvider(store=self.store, clock=self.clock)
        self.ports = replace(self.ports, providers=cast("Providers", FakeProviders([self.manual])))
        self.billing.name = self.manual.name
        stock(self)

    def begin(self, plan_id: str, **order: Any) -> Subscription:
        result = provision_subscription(self.ports, a_cause("begin"), an_order(plan_id, **order))
        assert result.subscription is not None
        return result.subscription

    def live(self) -> Subscription:
        [held] = [one for one in self.subscriptions() if one.is_live]
        return held

    def pass_time(self, moment: datetime) -> None:
        self.clock.advance(seconds=(moment - self.clock.now()).total_seconds())
        converge_customer(self.ports, a_cause("hook"), ACME, self.manual.name)


Shop = AtStripe | ByHand
BOTH = pytest.mark.parametrize("make", [AtStripe, ByHand])


def change(shop: Shop, wish: Change, op: str = "change") -> Subscription:
    done = change_subscription(shop.ports, a_cause(op), shop.live().id, wish)
    assert done.subscription is not None
    return done.subscription


@BOTH
def test_cancel_with_the_period_resume_and_cancel_now(make: type[Shop]) -> None:
    shop = make()
    held = shop.begin("pro")
    ending = Ending(when=When.END_OF_PERIOD)
    held = cancel_subscription(shop.ports, a_cause("c1"), held.id, ending)
    assert held.cancel_at == held.current_period_end
    assert resume_subscription(shop.ports, a_cause("r1"), held.id).cancel_at is None
    dated = Ending(when=When.DATE, at=shop.clock.now() + timedelta(days=10))
    held = cancel_subscription(shop.ports, a_cause("c2"), held.id, dated)
    assert held.cancel_at == dated.at
    held = cancel_subscription(shop.ports, a_cause("c3"), held.id, Ending(when=When.IMMEDIATE))
    assert held.status is SubscriptionStatus.CANCELED


@BOTH
def test_cancel_with_the_period_ends_with_it(make: type[Shop]) -> None:
    shop = make()
    held = shop.begin("pro")
    cancel_subscription(shop.ports, a_cause("c"), held.id, Ending(when=When.END_OF_PERIOD))
    assert held.current_period_end is not None
    shop.pass_time(held.current_period_end + timedelta(seconds=1))
    assert not shop.subscriptions()[0].is_live


@BOTH
def test_pause_and_resume(make: type[Shop]) -> None:
    shop = make()
    held = shop.begin("pro")
    held = pause_subscription(shop.ports, a_cause("p"), held.id)
    assert held.status is SubscriptionStatus.PAUSED
    assert not shop.check("calls").decision.has_access
    held = resume_subscription(shop.ports, a_cause("r"), held.id)
    assert held.status is SubscriptionStatus.ACTIVE
    assert shop.check("calls").decision.has_access


@BOTH
def test_change_plan_quantity_addons_and_period_at_once(make: type[Shop]) -> None:
    shop = make()
    shop.begin("pro")
    held = change(shop, Change(addons=(AddonOrder(id=PackageId("storage"), quantity=2),)), "a")
    assert [(one.id, one.quantity) for one in held.addons] == [("storage", 2)]
    held = change(shop, Change(addons=(), proration=Proration.NONE), "b")
    assert held.addons == ()
    held = change(shop, Change(billing_period=BillingPeriod.YEAR), "c")
    assert held.billing_period is BillingPeriod.YEAR
    team = Change(
        plan_id=PackageId("team"), quantities={SEATS: 4}, billing_period=BillingPeriod.MONTH
    )
    held = change(shop, team, "d")
    assert (held.plan_id, held.quantities) == ("team", {SEATS: 4})
    held = change(shop, Change(quantities={SEATS: 6}, proration=Proration.INVOICE_NOW), "e")
    assert held.quantities == {SEATS: 6}
    assert change(shop, Change(quantities={SEATS: 6}), "f") == held


@BOTH
def test_change_with_the_period_waits_is_dropped_and_comes(make: type[Shop]) -> None:
    shop = make()
    shop.begin("pro")
    held = change(shop, Change(plan_id=PackageId("team"), effective=LATER), "a")
    assert held.scheduled_change is not None
    assert (held.plan_id, held.scheduled_change.plan_id) == ("pro", "team")
    held = drop_scheduled_change(shop.ports, a_cause("drop"), held.id)
    assert held.scheduled_change is None
    change(shop, Change(plan_id=PackageId("carded"), effective=LATER), "b")
    held = change(shop, Change(plan_id=PackageId("team"), effective=LATER), "c")
    assert held.scheduled_change is not None
    assert held.scheduled_change.plan_id == "team"
    shop.pass_time(held.scheduled_change.at + timedelta(seconds=1))
    assert (shop.live().plan_id, shop.live().scheduled_change) == ("team", None)


@BOTH
def test_change_at_once_drops_what_waits(make: type[Shop]) -> None:
    shop = make()
    shop.begin("pro")
    change(shop, Change(plan_id=PackageId("team"), effective=LATER), "a")
    held = change(shop, Change(plan_id=PackageId("carded")), "b")
    assert (held.plan_id, held.scheduled_change) == ("carded", None)


@BOTH
def test_change_with_a_cancellation_and_a_waiting_change(make: type[Shop]) -> None:
    shop = make()
    held = shop.begin("pro")
    change(shop, Change(plan_id=PackageId("team"), effective=LATER), "a")
    ending = Ending(when=When.END_OF_PERIOD)
    held = cancel_subscription(shop.ports, a_cause("c"), held.id, ending)
    assert held.cancel_at is not None
    assert held.scheduled_change is None
    change(shop, Change(plan_id=PackageId("free"), effective=LATER), "b")
    held = change(shop, Change(plan_id=PackageId("team"), effective=LATER), "d")
    assert held.cancel_at is None
    assert held.coming_change is not None
    assert held.coming_change.plan_id == "team"


@BOTH
def test_change_to_free_with_the_period_and_at_once(make: type[Shop]) -> None:
    shop = make()
    held = shop.begin("pro")
    held = change(shop, Change(plan_id=PackageId("free"), effective=LATER), "a")
    assert held.coming_change is not None
    end = held.coming_change.at
    shop.pass_time(end + timedelta(seconds=1))
    assert (shop.live().plan_id, shop.live().started_at) == ("free", end)
    other = make()
    other.begin("pro")
    assert change(other, Change(plan_id=PackageId("free"))).plan_id == "free"
    assert other.check("calls").decision.usage_limit == 10


@BOTH
def test_change_from_free_to_paid_replaces_it(make: type[Shop]) -> None:
    shop = make()
    free = provision_subscription(shop.ports, a_cause("f"), an_order("free")).subscription
    assert free is not None
    done = change_subscription(shop.ports, a_cause("u"), free.id, Change(plan_id=PackageId("pro")))
    if done.checkout is not None:
        assert isinstance(shop, AtStripe)
        shop.send("POST", f"/_stand_in/checkout_sessions/{done.checkout.billing_id}/pay")
        converge_customer(shop.ports, a_cause("hook"), ACME, "stripe")
    assert shop.live().plan_id == "pro"
    assert {one.plan_id for one in shop.subscriptions()} == {"free", "pro"}


@BOTH
def test_migrate_to_an_older_version_and_back(make: type[Shop]) -> None:
    shop = make()
    held = shop.begin("pro")
    shop.sell("pro", a_price("m", 1500), entitlements=[a_limit("calls", 7)])
    assert migrate_subscription(shop.ports, a_cause("m"), held.id, None, Change()).plan_version == 2
    assert shop.check("calls").decision.usage_limit == 7


@BOTH
def test_preview_tells_what_a_change_costs(make: type[Shop]) -> None:
    shop = make()
    held = shop.begin("pro")
    wish = Change(plan_id=PackageId("team"), proration=Proration.INVOICE_NOW)
    found = preview_change(shop.ports, a_cause("p"), held.id, wish)
    assert found.following is not None
    assert found.following.total == 2500
    if isinstance(shop, AtStripe):
        assert found.now is not None
        assert found.now.total == 1500
    later = preview_change(shop.ports, a_cause("q"), held.id, replace(wish, effective=LATER))
    assert later.effective_at == held.current_period_end


def test_extend_trial_at_stripe() -> None:
    shop = AtStripe()
    held = shop.begin("carded")
    assert held.trial_end is not None
    until = held.trial_end + timedelta(days=5)
    assert extend_trial(shop.ports, a_cause("x"), held.id, until).trial_end == until


def an_account_with_coupons() -> AtStripe:
    shop = AtStripe()
    for key in ("ten", "half"):
        off = Decimal(10 if key == "ten" else 50)
        made = Coupon(
            id=CouponId(key),
            name=key,
            percent_off=off,
            duration=CouponDuration.FOREVER,
            promotion_code=key.upper(),
            created_at=shop.clock.now(),
        )
        create_coupon(shop.ports, a_cause(key), made)
    shop.sync()
    return shop


def next_total(shop: AtStripe) -> int:
    """What Stripe's next invoice comes to."""
    found = preview_change(shop.ports, a_cause("next"), shop.live().id, Change())
    assert found.following is not None
    return found.following.total


def test_coupon_at_stripe_is_taken_off_replaced_and_taken_away() -> None:
    shop = an_account_with_coupons()
    shop.begin("pro")
    assert change(shop, Change(sets_coupon=True, coupon="ten"), "a").coupon_id == "ten"
    assert next_total(shop) == 900
    assert change(shop, Change(sets_coupon=True, promotion_code="half"), "b").coupon_id == "half"
    assert next_total(shop) == 500
    held = change(shop, Change(sets_coupon=True, coupon="half"), "c")
    assert held.coupon_id == "half"
    assert sum(one["times_redeemed"] for one in shop.objects("coupon")) == 2
    assert change(shop, Change(sets_coupon=True), "d").coupon_id is None
    assert next_total(shop) == 1000
    again = converge_customer(shop.ports, a_cause("hook"), ACME, "stripe")
    assert again.drifts == ()


def test_coupon_of_an_order_at_stripe_can_be_taken_away() -> None:
    shop = an_account_with_coupons()
    assert shop.begin("pro", coupon="ten").coupon_id == "ten"
    assert change(shop, Change(sets_coupon=True)).coupon_id is None
    assert next_total(shop) == 1000


def test_coupon_at_stripe_comes_with_another_plan() -> None:
    shop = an_account_with_coupons()
    shop.begin("pro")
    held = change(shop, Change(plan_id=PackageId("team"), sets_coupon=True, coupon="half"))
    assert (held.plan_id, held.coupon_id) == ("team", "half")
    [theirs] = [one for one in shop.objects("subscription") if one["status"] == "active"]
    assert len(theirs["discounts"]) == 1


def test_coupon_and_code_together_are_refused() -> None:
    shop = an_account_with_coupons()
    shop.begin("pro")
    wish = Change(sets_coupon=True, coupon="ten", promotion_code="HALF")
    with pytest.raises(InvalidError) as refused:
        change(shop, wish)
    assert refused.value.violations[0].param == "promotion_code"


def test_order_billed_by_hand_may_have_begun_within_a_year() -> None:
    shop = ByHand()
    start = shop.clock.now().replace(microsecond=0) - timedelta(days=40)
    held = shop.begin("pro", start_at=start)
    assert (held.started_at, held.status) == (start, SubscriptionStatus.ACTIVE)
    assert held.current_period_start is not None
    assert held.current_period_start > start
    assert shop.check("calls").decision.has_access
    assert shop.begin("pro", start_at=start) == held


@pytest.mark.parametrize(("days", "error"), [(1, NotSupportedError), (-400, InvalidError)])
def test_order_billed_by_hand_begins_neither_later_nor_long_ago(
    days: int, error: type[Exception]
) -> None:
    shop = ByHand()
    with pytest.raises(error):
        shop.begin("pro", start_at=shop.clock.now() + timedelta(days=days))
    assert shop.subscriptions() == ()


def test_coupon_where_nobody_takes_it_off_is_not_supported() -> None:
    shop = ByHand()
    shop.begin("pro")
    with pytest.raises(NotSupportedError):
        change(shop, Change(sets_coupon=True))
