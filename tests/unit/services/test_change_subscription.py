"""Changing a running subscription: between plans, periods, add-ons and quantities, from and to what nobody bills."""

from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any, cast

import pytest

from chalicelib.domain.billing import CheckoutDiscount, SyncStatus
from chalicelib.domain.coupons import Coupon, CouponDuration, CouponId
from chalicelib.domain.errors import (
    ArchivedError,
    BillingNotReadyError,
    InvalidError,
    NotFoundError,
    NotSupportedError,
    ProviderUnavailableError,
    SubscriptionEndedError,
    VersionConflictError,
    WrongStateError,
)
from chalicelib.domain.ids import FeatureId, PackageId
from chalicelib.domain.orders import AddonOrder
from chalicelib.domain.prices import BillingPeriod
from chalicelib.domain.subscription_changes import Change, ChangeTime
from chalicelib.domain.subscription_ends import Ending, When
from chalicelib.domain.subscriptions import SubscribedAddon, Subscription, SubscriptionStatus
from chalicelib.domain.sync import CatalogLink, CouponKind
from chalicelib.services.cancel_subscription import cancel_subscription
from chalicelib.services.change_subscription import (
    Changed,
    change_subscription,
    migrate_subscription,
)
from chalicelib.services.drop_scheduled_change import drop_scheduled_change
from chalicelib.services.resume_subscription import resume_subscription
from tests.factories import a_limit, a_price, later
from tests.fakes.billing import When as Struck
from tests.fakes.changing import ChangeShop, a_shop_with, assert_survives, with_less_able_provider
from tests.fakes.crashes import Interleaving, every_crash, every_fault, schedules
from tests.fakes.world import World, a_cause

SEATS = FeatureId("seats")
LATER = ChangeTime.END_OF_PERIOD
TEN = Coupon(
    id=CouponId("ten"),
    name="Ten",
    percent_off=Decimal(10),
    duration=CouponDuration.FOREVER,
    created_at=later(),
)
STORAGE = (AddonOrder(id=PackageId("storage"), quantity=3),)


def to_plan(plan_id: str, **fields: Any) -> Change:
    return Change(plan_id=PackageId(plan_id), **fields)


def change(shop: ChangeShop, wish: Change, op: str = "change") -> Changed:
    return change_subscription(shop.ports, a_cause(op), shop.subscriptions()[0].id, wish)


def after(shop: ChangeShop, wish: Change, op: str = "change") -> Subscription:
    held = change(shop, wish, op).subscription
    assert held is not None
    return held


# --- Billed -----------------------------------------------------------------------------------


def test_change_plan_moves_its_lines_and_keeps_the_subscription() -> None:
    shop = a_shop_with("pro")
    before = shop.live()
    held = after(shop, to_plan("team", quantities={SEATS: 4}))
    assert (held.id, held.billing_id) == (before.id, before.billing_id)
    assert (held.plan_id, held.quantities) == ("team", {SEATS: 4})
    assert shop.charged() == {"team/base": 1, "team/seat": 4}
    assert shop.check("seats").decision.usage_limit == 4
    assert shop.check("sso").decision.has_access


def test_change_back_drops_the_units_that_are_not_sold_any_more() -> None:
    shop = a_shop_with("team", quantities={"seats": 7})
    held = after(shop, to_plan("pro"))
    assert held.quantities == {}
    assert shop.charged() == {"pro/monthly": 1}
    assert not shop.check("seats").decision.has_access


def test_change_quantity_keeps_all_else() -> None:
    shop = a_shop_with("team", quantities={"seats": 7}, addons=STORAGE)
    held = after(shop, Change(quantities={SEATS: 9}))
    assert held.quantities == {SEATS: 9}
    assert shop.charged() == {"team/base": 1, "team/seat": 9, "storage/storage": 3}


def test_change_addons_are_all_of_them() -> None:
    shop = a_shop_with("pro")
    held = after(shop, Change(addons=STORAGE))
    assert held.addons == (SubscribedAddon(id=PackageId("storage"), version=1, quantity=3),)
    assert shop.check("gigabytes").decision.usage_limit == 15
    assert after(shop, Change(addons=()), "none").addons == ()
    assert shop.charged() == {"pro/monthly": 1}


def test_change_period_moves_to_its_price() -> None:
    shop = a_shop_with("pro")
    held = after(shop, Change(billing_period=BillingPeriod.YEAR))
    assert held.billing_period is BillingPeriod.YEAR
    assert shop.charged() == {"pro/yearly": 1}


def test_change_keeps_a_version_that_is_sold_to_nobody_any_more() -> None:
    shop = a_shop_with("pro")
    shop.sell("pro", a_price("monthly", 5000), compatible_addons=(PackageId("storage"),))
    held = after(shop, Change(addons=STORAGE))
    assert held.plan_version == 1
    [theirs] = shop.billing.subscriptions.values()
    assert len(theirs.items) == 2
    assert shop.price_id("pro", "monthly") not in {one.price_billing_id for one in theirs.items}


def test_change_with_the_next_period_waits_for_it() -> None:
    shop = a_shop_with("pro")
    held = after(shop, to_plan("team", effective=LATER))
    assert held.plan_id == "pro"
    assert held.scheduled_change is not None
    assert held.scheduled_change.plan_id == "team"
    assert held.scheduled_change.at == held.current_period_end
    assert shop.charged() == {"pro/monthly": 1}
    shop.moving.renew(held.billing_id or "")
    shop.reconcile()
    assert (shop.live().plan_id, shop.live().scheduled_change) == ("team", None)


def test_change_that_waits_is_replaced_by_another() -> None:
    shop = a_shop_with("pro")
    after(shop, to_plan("team", effective=LATER))
    held = after(shop, to_plan("tried", effective=LATER), "second")
    assert held.scheduled_change is not None
    assert held.scheduled_change.plan_id == "tried"


def test_change_at_once_drops_what_waits() -> None:
    shop = a_shop_with("pro")
    after(shop, to_plan("team", effective=LATER))
    held = after(shop, Change(addons=STORAGE), "second")
    assert (held.plan_id, held.scheduled_change) == ("pro", None)
    assert shop.moving.later == {}


def test_change_to_what_is_held_says_that_nothing_shall_wait() -> None:
    shop = a_shop_with("pro")
    after(shop, to_plan("team", effective=LATER))
    held = after(shop, to_plan("pro"), "second")
    assert (held.plan_id, held.scheduled_change) == ("pro", None)


def test_change_to_what_is_held_writes_nothing() -> None:
    shop = a_shop_with("pro")
    before, commits = shop.live(), len(shop.store.commits)
    assert after(shop, to_plan("pro")) == before
    assert len(shop.store.commits) == commits


def test_change_that_waits_can_be_dropped() -> None:
    shop = a_shop_with("pro")
    held = after(shop, to_plan("team", effective=LATER))
    held = drop_scheduled_change(shop.ports, a_cause("drop"), held.id)
    assert held.scheduled_change is None
    assert shop.moving.later == {}


def test_change_with_a_period_that_never_comes_is_refused() -> None:
    shop = a_shop_with("pro")
    held = shop.live()
    cancel_subscription(shop.ports, a_cause("end"), held.id, Ending(when=When.END_OF_PERIOD))
    with pytest.raises(WrongStateError):
        change(shop, to_plan("team", effective=LATER))
    assert after(shop, to_plan("team")).cancel_at is not None


def test_change_metadata_alone_tells_the_provider_nothing() -> None:
    shop = a_shop_with("pro", metadata={"a": "1", "b": "2"})
    held = after(shop, Change(metadata={"a": None, "c": "3"}))
    assert held.metadata == {"b": "2", "c": "3"}
    assert shop.moving.changes == []


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (to_plan("other"), "other_product"),
        (Change(quantities={SEATS: 9}), "not_sold_by_unit"),
        (to_plan("team", quantities={SEATS: 1}), "out_of_range"),
        (to_plan("team", billing_period=BillingPeriod.YEAR), "no_such_price"),
        (to_plan("tried", addons=STORAGE), "incompatible_addon"),
        (Change(addons=(AddonOrder(id=PackageId("none")),)), "unknown_addon"),
        (Change(sets_coupon=True, coupon="none"), "unknown_coupon"),
        (to_plan("free", sets_coupon=True, coupon="ten"), "nothing_to_pay"),
    ],
)
def test_change_that_does_not_fit_changes_nothing(wish: Change, code: str) -> None:
    shop = a_shop_with("pro")
    shop.publish("other", product_id="other")
    shop.put(TEN)
    before = shop.subscriptions()
    with pytest.raises(InvalidError) as caught:
        change(shop, wish)
    assert caught.value.violations[0].code == code
    assert shop.subscriptions() == before
    assert shop.moving.changes == []


def test_change_to_a_currency_the_plan_is_not_sold_in_is_refused() -> None:
    shop = a_shop_with("pro")
    shop.sell("euro", a_price("e", 900, currency="eur"))
    with pytest.raises(InvalidError):
        change(shop, to_plan("euro"))


def test_change_to_an_unknown_or_archived_plan_is_refused() -> None:
    shop = a_shop_with("pro")
    with pytest.raises(NotFoundError):
        change(shop, to_plan("none"))
    shop.archive("team")
    with pytest.raises(ArchivedError):
        change(shop, to_plan("team"))


def test_change_of_what_is_not_paid_yet_is_refused() -> None:
    shop = a_shop_with("pro")
    [theirs] = shop.billing.subscriptions
    shop.billing.edit_subscription(theirs, status=SubscriptionStatus.PAYMENT_PENDING)
    shop.reconcile()
    with pytest.raises(WrongStateError):
        change(shop, to_plan("team"))


@pytest.mark.parametrize("wish", [to_plan("team"), to_plan("free"), Change(sets_coupon=True)])
def test_change_where_the_provider_is_not_able_to_is_not_supported(wish: Change) -> None:
    shop = a_shop_with("pro")
    before = shop.subscriptions()
    with_less_able_provider(shop)
    with pytest.raises(NotSupportedError):
        change(shop, wish)
    assert shop.subscriptions() == before


# --- Coupons ----------------------------------------------------------------------------------


def a_shop_with_a_coupon() -> ChangeShop:
    shop = a_shop_with("pro")
    shop.put(
        TEN,
        CatalogLink(
            kind=CouponKind.COUPON,
            package_id=PackageId("ten"),
            provider=shop.billing.name,
            billing_id="pgc_ten",
            sync_status=SyncStatus.SYNCED,
        ),
    )
    shop.moving.give_coupon("pgc_ten", is_once=False)
    return shop


def test_change_coupon_takes_it_off_and_away_again() -> None:
    shop = a_shop_with_a_coupon()
    held = after(shop, Change(sets_coupon=True, coupon="ten"))
    assert held.coupon_id == "ten"
    assert shop.moving.discounts == {held.billing_id: CheckoutDiscount(coupon_billing_id="pgc_ten")}
    held = after(shop, Change(sets_coupon=True), "none")
    assert held.coupon_id is None
    assert shop.moving.discounts == {held.billing_id: None}


def test_change_coupon_that_is_on_its_way_has_to_wait() -> None:
    shop = a_shop_with("pro")
    shop.put(TEN)
    with pytest.raises(BillingNotReadyError):
        change(shop, Change(sets_coupon=True, coupon="ten"))


def test_change_coupon_survives_crashes_and_faults() -> None:
    wish = to_plan("team", sets_coupon=True, coupon="ten")
    assert_survives(a_shop_with_a_coupon, lambda shop, op: change(shop, wish, op))


# --- From and to what nobody bills ------------------------------------------------------------


def test_change_from_free_to_custom_is_at_once() -> None:
    shop = a_shop_with("free")
    held = after(shop, to_plan("custom", metadata={"deal": "7"}))
    assert (held.plan_id, held.provider, held.metadata) == ("custom", None, {"deal": "7"})
    assert shop.check("calls").decision.is_unlimited
    assert len(shop.subscriptions()) == 1


def test_change_from_free_to_paid_is_paid_first_and_then_replaces_it() -> None:
    shop = a_shop_with("free")
    free = shop.live()
    result = change(shop, to_plan("team", quantities={SEATS: 5}))
    assert result.subscription is None
    assert result.checkout is not None
    assert shop.live() == free
    assert change(shop, to_plan("team", quantities={SEATS: 5})) == result
    shop.billing.pay(result.checkout.billing_id or "")
    shop.reconcile()
    paid = shop.live()
    assert (paid.plan_id, paid.quantities, paid.id) == (
        "team",
        {SEATS: 5},
        result.checkout.subscription_id,
    )
    ended = next(one for one in shop.subscriptions() if one.id == free.id)
    assert ended.status is SubscriptionStatus.CANCELED


def test_change_from_a_trial_to_what_it_tries_is_paid_first() -> None:
    shop = a_shop_with("tried")
    result = change(shop, to_plan("tried"))
    assert result.checkout is not None
    assert result.checkout.trial_days is None


def test_change_of_a_trial_leaves_it_a_trial() -> None:
    shop = a_shop_with("tried")
    held = after(shop, Change(metadata={"k": "v"}))
    assert held.status is SubscriptionStatus.IN_TRIAL


def test_change_from_a_trial_to_free_ends_the_trial_only() -> None:
    shop = a_shop_with("tried")
    held = after(shop, to_plan("free"))
    assert (held.status, held.trial_end) == (SubscriptionStatus.ACTIVE, None)
    shop.clock.advance(days=100)
    assert shop.live().plan_id == "free"


def test_change_from_paid_to_free_at_once_ends_one_and_begins_the_other() -> None:
    shop = a_shop_with("pro")
    paid = shop.live()
    held = after(shop, to_plan("free"))
    assert (held.plan_id, held.provider, held.status) == ("free", None, SubscriptionStatus.ACTIVE)
    assert shop.live() == held
    [theirs] = shop.billing.subscriptions.values()
    assert theirs.status is SubscriptionStatus.CANCELED
    assert shop.check("calls").decision.usage_limit == 10
    assert held.id != paid.id


def test_change_from_paid_to_free_with_the_period_leaves_no_gap() -> None:
    shop = a_shop_with("pro")
    held = after(shop, to_plan("free", effective=LATER))
    assert held.plan_id == "pro"
    assert held.coming_change is not None
    assert (held.coming_change.plan_id, held.coming_change.at) == ("free", held.current_period_end)
    end = held.current_period_end
    assert end is not None
    shop.clock.advance(seconds=(end - shop.clock.now()).total_seconds() - 1)
    assert shop.check("calls").decision.usage_limit == 100
    shop.clock.advance(seconds=1)
    # Nobody has told us anything yet.
    assert shop.check("calls").decision.usage_limit == 10
    shop.billing.edit_subscription(
        held.billing_id or "", status=SubscriptionStatus.CANCELED, ended_at=end
    )
    shop.reconcile()
    assert (shop.live().plan_id, shop.live().started_at) == ("free", end)
    assert shop.check("calls").decision.usage_limit == 10


@pytest.mark.parametrize("how", ["resume", "drop", "change", "later"])
def test_change_to_free_that_waits_is_taken_back(how: str) -> None:
    shop = a_shop_with("pro")
    held = after(shop, to_plan("free", effective=LATER))
    if how == "resume":
        resume_subscription(shop.ports, a_cause("back"), held.id)
    elif how == "drop":
        drop_scheduled_change(shop.ports, a_cause("back"), held.id)
    else:
        effective = LATER if how == "later" else ChangeTime.IMMEDIATE
        after(shop, to_plan("team", effective=effective), "back")
    held = shop.live()
    assert (held.cancel_at, held.successor) == (None, None)
    assert (held.coming_change is not None) is (how == "later")
    [theirs] = shop.billing.subscriptions.values()
    assert theirs.cancel_at is None


def test_change_to_free_is_undone_by_a_cancellation() -> None:
    shop = a_shop_with("pro")
    held = after(shop, to_plan("free", effective=LATER))
    cancel_subscription(shop.ports, a_cause("end"), held.id, Ending(when=When.IMMEDIATE))
    assert [one.plan_id for one in shop.subscriptions()] == ["pro"]


def test_change_to_free_follows_nothing_that_was_bought_meanwhile() -> None:
    shop = a_shop_with("pro")
    held = after(shop, to_plan("free", effective=LATER))
    end = held.current_period_end
    theirs = shop.billing.subscriptions[held.billing_id or ""]
    other = replace(theirs, billing_id="sub_other", cancel_at=None, metadata={})
    shop.billing.add_subscription(other)
    shop.billing.edit_subscription(
        theirs.billing_id, status=SubscriptionStatus.CANCELED, ended_at=end
    )
    shop.reconcile()
    assert {one.plan_id for one in shop.subscriptions()} == {"pro"}


@pytest.mark.parametrize("plan_id", ["free", "custom", "tried"])
def test_change_where_nothing_has_periods_is_never_later(plan_id: str) -> None:
    shop = a_shop_with(plan_id)
    with pytest.raises(InvalidError) as caught:
        change(shop, to_plan("team", effective=LATER))
    assert caught.value.violations[0].code == "no_period"


def test_change_what_has_ended_is_refused() -> None:
    shop = a_shop_with("pro")
    [theirs] = shop.billing.subscriptions
    shop.billing.cancel(theirs)
    with pytest.raises(SubscriptionEndedError):
        change(shop, to_plan("team"))
    with pytest.raises(SubscriptionEndedError):
        change(shop, to_plan("team"), "second")


@pytest.mark.parametrize("plan_id", ["free", "pro"])
def test_change_another_version_than_the_caller_saw_is_refused(plan_id: str) -> None:
    shop = a_shop_with(plan_id)
    first = after(shop, Change(metadata={"k": "v"}))
    with pytest.raises(VersionConflictError):
        change_subscription(shop.ports, a_cause("b"), first.id, Change(), first.version - 1)


# --- Versions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("plan_id", ["free", "pro"])
def test_migrate_goes_to_the_version_that_is_sold_or_to_another(plan_id: str) -> None:
    shop = a_shop_with(plan_id)
    prices = (a_price("monthly", 1200),) if plan_id == "pro" else ()
    shop.sell(plan_id, *prices, entitlements=[a_limit("calls", 7)])
    shop.sell(plan_id, *prices, entitlements=[a_limit("calls", 8)])
    held = shop.live()

    def migrate(version: int | None, op: str) -> int:
        done = migrate_subscription(shop.ports, a_cause(op), held.id, version, Change())
        return done.plan_version

    assert migrate(2, "a") == 2
    assert shop.check("calls").decision.usage_limit == 7
    assert migrate(None, "b") == 3
    assert shop.check("calls").decision.usage_limit == 8
    assert migrate(2, "c") == 2
    with pytest.raises(NotFoundError):
        migrate(9, "d")


def test_migrate_with_the_period_waits() -> None:
    shop = a_shop_with("pro")
    shop.sell("pro", a_price("monthly", 1200))
    done = migrate_subscription(
        shop.ports, a_cause(), shop.live().id, None, Change(effective=LATER)
    )
    assert done.plan_version == 1
    assert done.scheduled_change is not None
    assert done.scheduled_change.plan_version == 2


@pytest.mark.parametrize("plan_id", ["free", "pro"])
def test_migrate_between_free_and_paid_is_refused(plan_id: str) -> None:
    shop = a_shop_with(plan_id)
    shop.sell(plan_id, *([a_price()] if plan_id == "free" else []))
    with pytest.raises(InvalidError):
        migrate_subscription(shop.ports, a_cause(), shop.live().id, None, Change())


# --- Whatever goes wrong ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan_id", "wish"),
    [
        ("pro", to_plan("team", quantities={SEATS: 4}, metadata={"k": "v"})),
        ("pro", to_plan("team", effective=LATER)),
        ("pro", Change(addons=STORAGE)),
        ("pro", Change(sets_coupon=True)),
        ("pro", to_plan("free")),
        ("pro", to_plan("free", effective=LATER)),
        ("free", to_plan("custom")),
        ("tried", to_plan("free")),
    ],
)
def test_change_survives_crashes_and_faults(plan_id: str, wish: Change) -> None:
    assert_survives(lambda: a_shop_with(plan_id), lambda shop, op: change(shop, wish, op))


@pytest.mark.parametrize("wish", [to_plan("team"), to_plan("team", effective=LATER)])
def test_change_over_a_waiting_one_survives_crashes_and_faults(wish: Change) -> None:
    def make(first: str = "tried") -> ChangeShop:
        shop = a_shop_with("pro")
        after(shop, to_plan(first, effective=LATER), "first")
        return shop

    assert_survives(make, lambda shop, op: change(shop, wish, op))
    assert_survives(lambda: make("free"), lambda shop, op: change(shop, wish, op))


def test_drop_survives_crashes_and_faults() -> None:
    def make(first: str = "team") -> ChangeShop:
        shop = a_shop_with("pro")
        after(shop, to_plan(first, effective=LATER), "first")
        return shop

    def drop(shop: ChangeShop, op: str) -> Subscription:
        return drop_scheduled_change(shop.ports, a_cause(op), shop.subscriptions()[0].id)

    assert_survives(make, drop)
    assert_survives(lambda: make("free"), drop)


def test_migrate_survives_crashes_and_faults() -> None:
    def make() -> ChangeShop:
        shop = a_shop_with("pro")
        shop.sell("pro", a_price("monthly", 1200))
        return shop

    def migrate(shop: ChangeShop, op: str) -> Subscription:
        held = shop.subscriptions()[0]
        return migrate_subscription(shop.ports, a_cause(op), held.id, None, Change())

    assert_survives(make, migrate)


def test_change_from_free_to_paid_survives_crashes_and_faults() -> None:
    wish = to_plan("team", quantities={SEATS: 3})
    worlds: list[ChangeShop] = [
        cast("ChangeShop", shop)
        for shop in every_crash(lambda: a_shop_with("free"), lambda one: _change(one, wish))
    ]
    for shop, _ in every_fault(
        lambda: a_shop_with("free"),
        lambda one: _change(one, wish),
        # What a provider answers to a key for a day stands in the tests of checkouts.
        whens=(Struck.BEFORE, Struck.AFTER),
    ):
        with suppress(ProviderUnavailableError):
            _change(shop, wish)
        worlds.append(cast("ChangeShop", shop))
    for shop in worlds:
        assert shop.live().plan_id == "free"
        made = _change(shop, wish).checkout
        assert made is not None
        open_ones = [one for one in shop.billing.checkouts.values() if one.status == "open"]
        assert made.billing_id in {one.billing_id for one in open_ones}
        shop.billing.pay(made.billing_id or "")
        shop.reconcile()
        assert (shop.live().plan_id, shop.live().quantities) == ("team", {SEATS: 3})


def _change(shop: World, wish: Change) -> Changed:
    held = shop.subscriptions()[0]
    return change_subscription(shop.ports, a_cause("change"), held.id, wish)


@pytest.mark.parametrize("plan_id", ["free", "pro"])
def test_change_of_the_same_version_by_two_is_done_by_one(plan_id: str) -> None:
    wishes = (to_plan("custom" if plan_id == "free" else "team"), Change(metadata={"by": "two"}))
    for schedule in schedules(4, 4):
        shop = a_shop_with(plan_id)
        held = shop.live()

        def worker(number: int, shop: ChangeShop = shop, held: Subscription = held) -> Changed:
            cause = a_cause(f"by_{number}")
            return change_subscription(shop.ports, cause, held.id, wishes[number], held.version)

        race = Interleaving(shop, [partial(worker, 0), partial(worker, 1)])
        race.run(schedule)
        failed = [error for error in race.errors if error is not None]
        assert [type(error) for error in failed] in ([VersionConflictError], [])
        now = shop.live()
        done = (now.plan_id != plan_id, now.metadata == {"by": "two"})
        assert sum(done) == 2 - len(failed) == 1
