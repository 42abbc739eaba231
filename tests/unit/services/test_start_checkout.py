"""Checkouts: one payable session for each customer and product, and never two subscriptions of it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from chalicelib.domain.billing import CheckoutStatus
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.errors import (
    BillingNotConfiguredError,
    BillingNotReadyError,
    BusyError,
    InvalidError,
    ProviderRefusedError,
    ProviderUnavailableError,
    StoreConflictError,
    SubscriptionExistsError,
)
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import PackageId
from chalicelib.domain.orders import AddonOrder, Order
from chalicelib.domain.plans import PackageKind
from chalicelib.domain.prices import BillingPeriod
from chalicelib.domain.subscriptions import SubscribedAddon
from chalicelib.services.provision_subscription import Provisioned, provision_subscription
from chalicelib.services.run_sync_task import run_sync_task
from chalicelib.services.start_checkout import start_checkout
from tests.factories import ACME, a_price, a_seat_price, a_value
from tests.fakes.billing import FakeBillingProvider, FakeProviders, When
from tests.fakes.crashes import (
    Interleaving,
    Steps,
    every_crash,
    every_fault,
    overtakings,
    schedules,
)
from tests.fakes.world import SHOP, World, a_cause, an_order, calls_of

YEARLY = an_order(billing_period=BillingPeriod.YEAR)
MONTHLY = an_order(billing_period=BillingPeriod.MONTH)


def a_shop() -> World:
    world = World()
    world.sell("storage", a_price("st", 200), kind=PackageKind.ADDON)
    world.sell(
        "pro",
        a_price("m", 1000),
        a_price("y", 10000, billing_period=BillingPeriod.YEAR),
        a_price("e", 900, currency="eur"),
        a_seat_price("s", 500, min_quantity=1),
        entitlements=[a_value("sso", True)],
        compatible_addons=(PackageId("storage"),),
    )
    world.publish("free")
    world.customer()
    return world


def start(world: World, order: Order = MONTHLY) -> CheckoutSession:
    return start_checkout(world.ports, a_cause(), order)


def slot_of(world: World) -> CheckoutSession:
    found = world.store.get(CheckoutSession, ACME, "app")
    assert found is not None
    return found


def open_sessions(world: World) -> list[str]:
    """What can be paid at the provider and whose URL somebody may have."""
    return [
        billing_id
        for billing_id, checkout in world.billing.checkouts.items()
        if checkout.status is CheckoutStatus.OPEN and checkout.expires_at > world.clock.now()
    ]


def pay(world: World, session: CheckoutSession) -> str:
    assert session.billing_id is not None
    return world.billing.pay(session.billing_id).billing_id


# --- what is opened -------------------------------------------------------------------------------------


def test_checkout_asks_for_our_prices_and_carries_what_convergence_needs() -> None:
    world = a_shop()
    order = an_order(
        quantities={"seats": 3},
        currency="usd",
        addons=(AddonOrder(id=PackageId("storage"), quantity=2),),
        success_url=f"{SHOP}/done",
        cancel_url=f"{SHOP}/back",
        metadata={"order": "42"},
    )
    session = start(world, order)
    assert session.billing_id is not None
    request = world.billing.checkout_requests[session.billing_id]
    sold = {item.price_billing_id: item.quantity for item in request.items}
    assert sold == {
        world.price_id("pro", "m"): 1,
        world.price_id("pro", "s"): 3,
        world.price_id("storage", "st", kind=PackageKind.ADDON): 2,
    }
    assert request.customer_billing_id == world.stored_customer().billing_id("stripe")
    assert (request.reference, request.success_url, request.cancel_url) == (
        session.id,
        f"{SHOP}/done",
        f"{SHOP}/back",
    )
    assert request.metadata["paygrade_entity_id"] == session.subscription_id
    assert (session.status, session.url) == (
        CheckoutStatus.OPEN,
        f"https://billing.example/pay/{session.billing_id}",
    )
    pay(world, session)
    world.converge()
    (held,) = world.subscriptions()
    assert (held.id, held.plan_version, held.quantities) == (
        session.subscription_id,
        1,
        {"seats": 3},
    )
    assert held.addons == (SubscribedAddon(id=PackageId("storage"), version=1, quantity=2),)
    assert held.metadata == {"order": "42"}


def test_checkout_started_before_a_newer_version_of_the_same_price_subscribes_to_the_old() -> None:
    world = a_shop()
    session = start(world)
    world.sell(
        "pro",
        a_price("m", 1000),
        a_seat_price("s", 500, min_quantity=1),
        entitlements=[a_value("sso", False)],
    )
    pay(world, session)
    world.converge()
    assert world.subscriptions()[0].plan_version == 1


def test_checkout_without_urls_returns_to_our_own_pages() -> None:
    session = start(a_shop())
    assert session.success_url == (
        "https://api.example.test/checkout/success?session_id={CHECKOUT_SESSION_ID}"
    )
    assert session.cancel_url == "https://api.example.test/checkout/canceled"


def test_checkout_of_what_costs_nothing_is_refused() -> None:
    with pytest.raises(InvalidError):
        start(a_shop(), an_order("free"))


def test_checkout_of_a_price_still_on_its_way_is_not_ready() -> None:
    world = a_shop()
    world.publish("fresh", a_price("f"), product_id="other")
    with pytest.raises(BillingNotReadyError):
        start(world, an_order("fresh"))
    world.sync()
    assert start(world, an_order("fresh")).url


def test_checkout_never_asks_for_a_price_that_is_no_longer_sold() -> None:
    world = a_shop()
    world.publish("pro", a_price("m", 1200))
    with pytest.raises(BillingNotReadyError):
        start(world)


def test_checkout_without_a_provider_is_told_apart() -> None:
    world = World(has_billing=False)
    world.publish("pro", a_price())
    world.customer()
    with pytest.raises(BillingNotConfiguredError):
        start(world)


# --- asking again ------------------------------------------------------------------------------------------


def test_checkout_of_the_same_terms_is_the_same_session() -> None:
    world = a_shop()
    first = start(world)
    assert start(world) == first
    assert len(world.billing.checkouts) == 1


@pytest.mark.parametrize(
    "other",
    [
        YEARLY,
        an_order(currency="eur"),
        an_order(quantities={"seats": 2}),
        an_order(addons=(AddonOrder(id=PackageId("storage")),)),
        an_order(success_url=f"{SHOP}/other"),
        an_order(metadata={"a": "b"}),
    ],
)
def test_checkout_of_other_terms_replaces_the_session(other: Order) -> None:
    world = a_shop()
    first = start(world)
    second = start(world, other)
    assert second.id != first.id
    assert open_sessions(world) == [second.billing_id]
    assert slot_of(world) == second


def test_checkout_about_to_expire_is_replaced_to_leave_time_to_pay() -> None:
    world = a_shop()
    first = start(world)
    world.clock.advance(hours=22, minutes=51)
    second = start(world)
    assert second.id != first.id
    assert open_sessions(world) == [second.billing_id]


def test_checkout_expired_or_gone_at_the_provider_is_replaced() -> None:
    world = a_shop()
    first = start(world)
    assert first.billing_id is not None
    world.billing.expire_checkout(first.billing_id)
    second = start(world)
    assert second.id != first.id
    del world.billing.checkouts[second.billing_id or ""]
    third = start(world)
    world.clock.advance(days=2)
    fourth = start(world)
    assert len({first.id, second.id, third.id, fourth.id}) == 4


def test_checkout_of_another_product_stands_beside_it() -> None:
    world = a_shop()
    world.sell("gold", a_price("g"), product_id="other")
    start(world)
    start(world, an_order("gold"))
    assert len(open_sessions(world)) == 2


# --- paid, and nobody told us ----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [MONTHLY, YEARLY])
def test_checkout_paid_and_not_heard_of_is_found_instead_of_a_second_one(order: Order) -> None:
    world = a_shop()
    session = start(world)
    pay(world, session)
    with pytest.raises(SubscriptionExistsError) as caught:
        start(world, order)
    assert caught.value.subscription_id == session.subscription_id
    assert world.check("sso").decision.has_access
    assert slot_of(world).status is CheckoutStatus.COMPLETE
    assert open_sessions(world) == []


def test_checkout_paid_at_the_last_moment_and_not_heard_of_is_found_after_its_expiry() -> None:
    world = a_shop()
    session = start(world)
    world.clock.advance(hours=22, minutes=59)
    pay(world, session)
    world.clock.advance(hours=2)
    with pytest.raises(SubscriptionExistsError):
        start(world)
    assert open_sessions(world) == []


def test_checkout_paid_whose_subscription_no_list_shows_yet_is_waited_for() -> None:
    world = a_shop()
    billing_id = pay(world, start(world))
    world.billing.unlisted.add(billing_id)
    for order in (MONTHLY, YEARLY):
        with pytest.raises(BusyError):
            start(world, order)
    assert open_sessions(world) == []
    world.billing.unlisted.clear()
    with pytest.raises(SubscriptionExistsError):
        start(world)


def test_checkout_paid_while_it_was_being_replaced_is_found() -> None:
    world = a_shop()
    session = start(world)

    def pay_first(call: Any) -> None:
        if call.method == "expire_checkout":
            world.billing.on_call = None
            pay(world, session)

    world.billing.on_call = pay_first
    with pytest.raises(SubscriptionExistsError):
        start(world, YEARLY)
    assert open_sessions(world) == []


def test_checkout_after_the_subscription_ended_is_new() -> None:
    world = a_shop()
    first = start(world)
    world.billing.cancel(pay(world, first))
    world.converge()
    assert start(world).id != first.id


def test_checkout_paid_whose_customer_was_deleted_since_can_be_repeated_a_day_later() -> None:
    world = a_shop()
    session = start(world)
    pay(world, session)
    request = world.billing.checkout_requests[session.billing_id or ""]
    world.billing.delete_customer(request.customer_billing_id)
    with pytest.raises(BusyError):
        start(world)
    world.clock.advance(days=1)
    again = start(world)
    assert again.id != session.id
    assert open_sessions(world) == [again.billing_id]


# --- crashes and faults ------------------------------------------------------------------------------------------


def assert_one_way_to_pay(world: World, session: CheckoutSession, what: object = None) -> None:
    assert slot_of(world) == session, what
    assert session.billing_id in open_sessions(world), what
    assert world.billing.checkouts[session.billing_id or ""].url == session.url, what
    pay(world, session)
    world.converge()
    assert [held.id for held in world.subscriptions()] == [session.subscription_id], what


@pytest.mark.parametrize("retry", [MONTHLY, YEARLY, an_order(currency="eur")])
def test_checkout_killed_anywhere_and_asked_for_again_is_one(retry: Order) -> None:
    for world in every_crash(a_shop, start):
        assert_one_way_to_pay(world, start(world, retry))
        assert len(world.billing.customers) == 1


@pytest.mark.parametrize("retry", [MONTHLY, YEARLY])
def test_checkout_replacement_killed_anywhere_and_asked_for_again_is_one(retry: Order) -> None:
    def make() -> World:
        world = a_shop()
        start(world)
        return world

    for world in every_crash(make, partial(start, order=YEARLY)):
        assert_one_way_to_pay(world, start(world, retry))
        assert len(open_sessions(world)) <= 1


@pytest.mark.parametrize("retry", [MONTHLY, YEARLY])
def test_checkout_failing_at_any_call_and_asked_for_again_is_one(retry: Order) -> None:
    for world, what in every_fault(a_shop, start, whens=(When.BEFORE, When.AFTER)):
        with pytest.raises(ProviderUnavailableError):
            start(world)
        assert_one_way_to_pay(world, start(world, retry), what)


def test_checkout_whose_failure_the_provider_replays_gets_a_new_key() -> None:
    world = a_shop()
    error = ProviderUnavailableError("Server error.", definite=True)
    world.billing.fail("open_checkout", error, when=When.STORED)
    with pytest.raises(ProviderUnavailableError):
        start(world)
    assert_one_way_to_pay(world, start(world))


def test_checkout_claim_of_a_dead_request_is_taken_over_whatever_it_was_for() -> None:
    world = a_shop()
    steps = Steps(world)

    def die(call: Any) -> None:
        if call.method == "open_checkout":
            raise RuntimeError("killed")

    world.billing.on_call = die
    with pytest.raises(RuntimeError):
        start(world, YEARLY)
    steps.stop()
    assert slot_of(world).billing_id is None
    assert_one_way_to_pay(world, start(world, MONTHLY))


def test_checkout_refused_by_the_provider_leaves_the_slot_usable() -> None:
    world = a_shop()
    world.billing.fail("open_checkout", ProviderRefusedError("No."), times=1)
    with pytest.raises(ProviderRefusedError):
        start(world)
    assert_one_way_to_pay(world, start(world))


def test_checkout_for_a_customer_deleted_at_the_provider_makes_a_new_one() -> None:
    world = a_shop()
    first = start(world)
    request = world.billing.checkout_requests[first.billing_id or ""]
    world.billing.delete_customer(request.customer_billing_id)
    second = start(world, YEARLY)
    fresh = world.billing.checkout_requests[second.billing_id or ""].customer_billing_id
    assert fresh != request.customer_billing_id
    assert world.stored_customer().billing_id("stripe") == fresh


def test_checkout_of_a_slot_that_keeps_changing_gives_up_with_the_conflict() -> None:
    world = a_shop()

    def conflict(writes: Any) -> None:
        if isinstance(writes[0].record, CheckoutSession):
            raise StoreConflictError("Another writer was first.")

    world.store.before_commit = conflict
    with pytest.raises(StoreConflictError):
        start(world)


# --- at once --------------------------------------------------------------------------------------------------------


def settled(world: World, worker: Callable[[World], Any]) -> Callable[[], Any]:
    """The worker, as a client that tries again when told that somebody was faster."""

    def run() -> Any:
        for _ in range(9):
            try:
                return worker(world)
            except (StoreConflictError, BusyError):
                continue
        raise AssertionError("no end of conflicts")

    return run


@pytest.mark.parametrize("other", [MONTHLY, YEARLY])
def test_checkouts_by_two_at_once_leave_one_way_to_pay_in_any_order(other: Order) -> None:
    for schedule in (*overtakings(16), *schedules(5, 5)):
        world = a_shop()
        race = Interleaving(
            world, [settled(world, start), settled(world, partial(start, order=other))]
        )
        race.run(schedule)
        assert race.errors == [None, None], schedule
        # Whoever was replaced holds the URL of a session that is closed.
        handed_out = {result.billing_id for result in race.results}
        payable = handed_out & set(open_sessions(world))
        assert payable == {slot_of(world).billing_id}, schedule
        if other is MONTHLY:
            assert handed_out == payable, schedule


def test_checkouts_by_twenty_at_once_are_one_session() -> None:
    world = a_shop()
    world.limit_checkouts(20)
    race = Interleaving(world, [settled(world, start)] * 20)
    race.run([number % 20 for number in range(4000)])
    assert race.errors == [None] * 20
    assert len({result.id for result in race.results}) == 1
    assert len(open_sessions(world)) == 1
    assert len(world.billing.customers) == 1
    assert_one_way_to_pay(world, race.results[0])


def test_checkout_beside_a_payment_never_opens_a_second_way() -> None:
    for schedule in (*overtakings(16), *schedules(4, 6)):
        world = a_shop()
        session = start(world)

        def pay_and_hear(world: World = world, session: CheckoutSession = session) -> None:
            pay(world, session)
            world.converge()

        race = Interleaving(world, [partial(start, world, YEARLY), pay_and_hear])
        race.run(schedule)
        if isinstance(race.errors[1], AssertionError):
            continue  # replaced before it was paid: the page says so
        assert isinstance(race.errors[0], SubscriptionExistsError), schedule
        assert open_sessions(world) == [], schedule


def subscribe_freely(world: World) -> Any:
    return provision_subscription(world.ports, a_cause("free"), an_order("free"))


def buy_unless_subscribed(world: World) -> CheckoutSession | None:
    try:
        return start(world)
    except SubscriptionExistsError:
        return None


@pytest.mark.parametrize("first", [subscribe_freely, buy_unless_subscribed])
def test_checkout_beside_a_free_subscription_never_leaves_a_way_to_pay_for_a_second(
    first: Callable[[World], Any],
) -> None:
    second = buy_unless_subscribed if first is subscribe_freely else subscribe_freely
    for schedule in (*overtakings(16), *schedules(5, 5)):
        world = a_shop()
        race = Interleaving(world, [settled(world, first), settled(world, second)])
        race.run(schedule)
        assert race.errors == [None, None], schedule
        (session,) = (one for one in race.results if not isinstance(one, Provisioned))
        if session is not None:
            assert session.billing_id not in open_sessions(world), schedule
        assert [held.plan_id for held in world.subscriptions()] == ["free"]


def test_checkouts_at_once_for_two_periods_never_send_one_key_with_two_contents() -> None:
    for schedule in (*overtakings(16), *schedules(4, 4)):
        world = a_shop()
        world.sell(
            "gold",
            a_price("gm", 1000),
            a_price("gy", 9000, billing_period=BillingPeriod.YEAR),
            product_id="other",
        )
        workers = [
            settled(world, partial(start, order=replace(order, plan_id=PackageId("gold"))))
            for order in (MONTHLY, YEARLY)
        ]
        race = Interleaving(world, workers)
        race.run(schedule)
        assert race.errors == [None, None], schedule
        contents: dict[str | None, object] = {}
        for call in world.billing.calls:
            if call.method == "open_checkout":
                assert contents.setdefault(call.idempotency_key, call.arguments) == call.arguments


def test_checkout_reused_asks_the_provider_whether_it_is_still_open() -> None:
    world = a_shop()
    start(world)
    before = calls_of(world, ["get_checkout"])
    start(world)
    assert calls_of(world, ["get_checkout"]) == before + 1
    assert calls_of(world, ["open_checkout"]) == 1


def test_checkout_of_a_changed_plan_replaces_the_session_of_the_old_version() -> None:
    world = a_shop()
    first = start(world)
    world.sell("pro", a_price("m", 1300))
    second = start(world)
    assert second.plan_version == 2
    assert open_sessions(world) == [second.billing_id]
    assert replace(first, id="") != replace(second, id="")


def test_checkout_claim_of_a_dead_request_that_the_provider_refuses_is_replaced() -> None:
    world = a_shop()

    def die(call: Any) -> None:
        if call.method == "open_checkout":
            raise RuntimeError("killed")

    world.billing.on_call = die
    with pytest.raises(RuntimeError):
        start(world)
    world.billing.on_call = None
    dead = slot_of(world)
    world.billing.fail("open_checkout", ProviderRefusedError("Sent before with other items."))
    session = start(world)
    assert session.id != dead.id
    assert_one_way_to_pay(world, session)


def test_checkout_at_another_provider_closes_the_one_that_was_open() -> None:
    world = a_shop()
    other = FakeBillingProvider(world.clock, name="other")
    world.ports = replace(world.ports, providers=FakeProviders([world.billing, other]))
    run_sync_task(world.ports, world.archive("pro", Lifecycle.ACTIVE).id)
    start(world)
    second = start(world, replace(MONTHLY, billing_provider="other"))
    assert second.provider == "other"
    assert open_sessions(world) == []
    assert other.checkouts[second.billing_id or ""].status is CheckoutStatus.OPEN
