from datetime import timedelta

import pytest

from chalicelib.domain.billing import CheckoutStatus
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.decisions import DeniedReason
from chalicelib.domain.errors import (
    NotFoundError,
    ProviderRefusedError,
    ProviderUnavailableError,
    StoreConflictError,
)
from chalicelib.domain.features import Feature, Lifecycle
from chalicelib.domain.reconciliations import DriftKind
from chalicelib.domain.references import SUBSCRIPTION, Reference
from chalicelib.domain.subscriptions import SubscriptionStatus
from chalicelib.ports import Absent, Put
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.link_customer import forget_deleted
from chalicelib.services.manage_customers import set_customer_status
from chalicelib.services.start_checkout import start_checkout
from tests.factories import (
    ACME,
    a_limit,
    a_price,
    a_provider_subscription,
    a_seat_price,
    a_value,
)
from tests.fakes.crashes import Interleaving, every_crash, overtakings, schedules
from tests.fakes.world import World, a_cause, an_order


def a_shop() -> World:
    """A plan on sale, a second one of another product, and a customer."""
    world = World()
    world.sell("pro", a_price(), entitlements=[a_value("sso", True), a_limit("api", 100)])
    world.sell("gold", a_price(amount=1), product_id="other", entitlements=[a_limit("tb", 5)])
    world.customer()
    return world


def test_converge_paid_checkout_gives_access_under_the_promised_id() -> None:
    world = a_shop()
    session = start_checkout(world.ports, a_cause(), an_order())
    assert session.billing_id is not None
    world.billing.pay(session.billing_id)
    assert not world.check("sso").decision.has_access
    result = world.converge()
    assert result.changed
    (held,) = world.subscriptions()
    assert held.id == session.subscription_id
    assert (held.status, held.plan_id, held.plan_version) == ("active", "pro", 1)
    assert world.check("sso").decision.has_access
    assert world.store.get(Reference, SUBSCRIPTION, held.id) == Reference(
        namespace=SUBSCRIPTION, key=held.id, target=(ACME,)
    )
    (entry,) = world.audited(f"subscription:{held.id}")
    assert (entry.action, entry.before) == ("subscription.converged", None)
    assert entry.after is not None
    assert entry.after["status"] == "active"


def test_converge_paid_checkout_closes_its_slot_in_the_same_commit() -> None:
    world = a_shop()
    world.buy()
    world.converge()
    slot = world.store.get(CheckoutSession, ACME, "app")
    assert slot is not None
    assert slot.status is CheckoutStatus.COMPLETE
    kinds = [type(write.record).__name__ for write in world.store.commits[-1]]
    assert {
        "Snapshot",
        "Subscriber",
        "Subscription",
        "Reference",
        "AuditEntry",
        "CheckoutSession",
        "OutboundEvent",
        "CustomerTimer",
    } == set(kinds)


def test_converge_of_nothing_new_writes_nothing() -> None:
    world = a_shop()
    world.buy()
    world.converge()
    before = len(world.store.commits)
    assert not world.converge().changed
    assert len(world.store.commits) == before


def test_converge_of_nothing_new_still_commits_what_goes_with_it() -> None:
    world = a_shop()
    mark = Reference(namespace="n", key="k", target=("t",))
    converge_customer(world.ports, a_cause(), ACME, "stripe", also=[Put(mark, Absent())])
    assert world.store.get(Reference, "n", "k") == mark


def test_converge_cancellation_takes_access_and_audits_what_changed() -> None:
    world = a_shop()
    billing_id = world.buy()
    world.converge()
    version = world.snapshot().version
    world.billing.cancel(billing_id)
    world.converge()
    assert world.check("sso").decision.denied_reason is DeniedReason.NO_ACTIVE_SUBSCRIPTION
    assert world.snapshot().version == version + 1
    entries = world.audited(f"subscription:{world.subscriptions()[0].id}")
    assert entries[-1].before == {"status": "active"}
    assert entries[-1].after == {"status": "canceled"}


def test_converge_cancellation_at_a_later_time_bounds_access() -> None:
    world = a_shop()
    billing_id = world.buy()
    end = world.clock.now().replace(microsecond=0) + timedelta(days=3)
    world.billing.cancel(billing_id, at=end)
    world.converge()
    assert world.check("sso").decision.has_access
    world.clock.advance(days=3)
    assert not world.check("sso").decision.has_access


def test_converge_old_cancellation_leaves_the_new_plan_alone() -> None:
    world = a_shop()
    old = world.buy()
    world.converge()
    world.billing.cancel(old)
    world.converge()
    world.clock.advance(seconds=1)
    world.buy()
    world.converge()
    assert [held.status for held in world.subscriptions()].count(SubscriptionStatus.ACTIVE) == 1
    assert world.check("sso").decision.has_access


def test_converge_takes_entitlements_of_all_live_subscriptions() -> None:
    world = a_shop()
    world.buy()
    world.buy("gold")
    world.converge()
    assert world.check("sso").decision.has_access
    assert world.check("tb").decision.has_access


def test_converge_quantities_become_the_limit() -> None:
    world = World()
    world.sell("team", a_seat_price(), entitlements=[a_limit("seats", 1)])
    world.customer()
    billing_id = world.buy("team", quantities={"seats": 4})
    world.converge()
    assert world.check("seats").decision.usage_limit == 4
    items = world.billing.subscriptions[billing_id].items
    world.billing.edit_subscription(
        billing_id,
        items=tuple(
            type(item)(price_billing_id=item.price_billing_id, quantity=9) for item in items
        ),
    )
    world.converge()
    assert world.check("seats").decision.usage_limit == 9


def test_converge_subscription_missing_from_a_lagging_list_is_asked_for_by_its_id() -> None:
    world = a_shop()
    billing_id = world.buy()
    world.converge()
    world.billing.unlisted.add(billing_id)
    assert not world.converge().changed
    assert world.check("sso").decision.has_access


def test_converge_subscription_gone_for_good_is_canceled_and_reported() -> None:
    world = a_shop()
    billing_id = world.buy()
    world.converge()
    del world.billing.subscriptions[billing_id]
    result = world.converge()
    assert [drift.kind for drift in result.drifts] == [DriftKind.SUBSCRIPTION_VANISHED]
    assert not world.check("sso").decision.has_access


def test_converge_subscription_hinted_at_is_found_before_lists_show_it() -> None:
    world = a_shop()
    billing_id = world.buy()
    world.billing.unlisted.add(billing_id)
    assert not world.converge().changed
    converge_customer(world.ports, a_cause(), ACME, "stripe", hinted=billing_id)
    assert world.check("sso").decision.has_access


def test_converge_hint_at_somebody_elses_subscription_is_passed_over() -> None:
    world = a_shop()
    world.customer("other")
    billing_id = world.buy("pro", "other")
    world.buy()
    world.converge()
    before = world.subscriptions()
    converge_customer(world.ports, a_cause(), ACME, "stripe", hinted=billing_id)
    converge_customer(world.ports, a_cause(), ACME, "stripe", hinted="sub_unknown")
    assert world.subscriptions() == before


def test_converge_customer_deleted_at_the_provider_loses_access() -> None:
    world = a_shop()
    world.buy()
    world.converge()
    world.billing.delete_customer("cus_000003")
    world.converge()
    assert not world.check("sso").decision.has_access


def test_converge_at_another_account_refuses_and_takes_nothing_away() -> None:
    world = a_shop()
    world.buy()
    world.converge()
    world.billing.customers.clear()
    world.billing.subscriptions.clear()
    with pytest.raises(ProviderRefusedError) as refused:
        world.converge()
    assert refused.value.provider_code == "unknown_customer"
    assert world.check("sso").decision.has_access
    with pytest.raises(ProviderRefusedError):
        forget_deleted(world.ports, a_cause(), ACME, world.billing)
    assert world.stored_customer().billing_id("stripe") is not None


def test_converge_customer_unlinked_meanwhile_still_asks_for_what_it_holds() -> None:
    world = a_shop()
    world.buy()
    world.converge()
    customer = world.stored_customer()
    world.put(type(customer)(id=customer.id, created_at=customer.created_at, version=99))
    assert not world.converge().changed
    assert world.check("sso").decision.has_access


def test_converge_customer_never_linked_asks_the_provider_nothing() -> None:
    world = a_shop()
    before = len(world.billing.calls)
    assert world.converge().subscriptions == ()
    assert len(world.billing.calls) == before


def test_converge_unknown_customer_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        World().converge("ghost")


def test_converge_many_subscriptions_at_once_needs_several_commits() -> None:
    world = a_shop()
    world.buy()
    world.converge()
    price = world.price_id("pro", "monthly")
    customer = world.stored_customer().billing_id("stripe")
    assert customer is not None
    for number in range(120):
        world.billing.add_subscription(
            a_provider_subscription(f"sub_x{number:03d}", [price], customer_billing_id=customer)
        )
    mark = Reference(namespace="n", key="k", target=("t",))
    result = converge_customer(world.ports, a_cause(), ACME, "stripe", also=[Put(mark, Absent())])
    assert result.changed
    assert len(world.subscriptions()) == 121
    assert sum(drift.kind is DriftKind.SUBSCRIPTION_MISSING for drift in result.drifts) == 120
    assert world.store.get(Reference, "n", "k") == mark
    assert not world.converge().changed


# --- races ------------------------------------------------------------------------------------------------


def test_converge_that_lost_the_race_reads_everything_again() -> None:
    world = a_shop()
    billing_id = world.buy()
    fetches = len([call for call in world.billing.calls if call.method == "list_subscriptions"])
    world.converge()
    world.billing.edit_subscription(billing_id, status=SubscriptionStatus.PAST_DUE)
    raced = False

    def another_worker(_: object) -> None:
        nonlocal raced
        if not raced:
            raced = True
            world.billing.cancel(billing_id)
            world.converge()

    world.store.before_commit = another_worker
    world.converge()
    assert world.subscriptions()[0].status is SubscriptionStatus.CANCELED
    after = len([call for call in world.billing.calls if call.method == "list_subscriptions"])
    assert after - fetches == 4


def test_converge_that_always_loses_gives_up_with_the_conflict() -> None:
    world = a_shop()
    world.buy()

    def lose(_: object) -> None:
        raise StoreConflictError("Another writer was first.")

    world.store.before_commit = lose
    with pytest.raises(StoreConflictError):
        world.converge()


def test_converge_when_the_provider_is_away_writes_nothing() -> None:
    world = a_shop()
    world.buy()
    before = len(world.store.commits)
    world.billing.fail("list_subscriptions", ProviderUnavailableError("away"))
    with pytest.raises(ProviderUnavailableError):
        world.converge()
    assert len(world.store.commits) == before


def _behind(world: World) -> str:
    """The provider's subscription, whose state differs from ours already."""
    billing_id = world.buy()
    world.converge()
    world.billing.edit_subscription(billing_id, status=SubscriptionStatus.PAST_DUE)
    return billing_id


def test_converge_beside_a_change_never_writes_the_old_truth_last_in_any_order() -> None:
    for schedule in (*overtakings(12), *schedules(5, 5)):
        world = a_shop()
        billing_id = _behind(world)

        def change_and_converge(world: World = world, billing_id: str = billing_id) -> None:
            world.billing.cancel(billing_id)
            world.converge()

        race = Interleaving(world, [world.converge, change_and_converge])
        race.run(schedule)
        assert race.errors == [None, None], schedule
        assert world.subscriptions()[0].status is SubscriptionStatus.CANCELED, schedule
        assert not world.check("sso").decision.has_access


def test_converge_by_two_at_once_makes_one_subscription_and_one_audit_entry() -> None:
    for schedule in (*overtakings(12), *schedules(4, 4)):
        world = a_shop()
        world.buy()
        race = Interleaving(world, [world.converge, world.converge])
        race.run(schedule)
        assert race.errors == [None, None], schedule
        (held,) = world.subscriptions()
        assert len(world.audited(f"subscription:{held.id}")) == 1, schedule


def test_converge_beside_an_archival_keeps_both_in_any_order() -> None:
    for schedule in (*overtakings(12), *schedules(4, 4)):
        world = a_shop()
        world.buy()

        def archive(world: World = world) -> None:
            set_customer_status(world.ports, a_cause(), ACME, Lifecycle.ARCHIVED)

        race = Interleaving(world, [world.converge, archive])
        race.run(schedule)
        assert race.errors == [None, None], schedule
        assert len(world.subscriptions()) == 1
        decision = world.check("sso").decision
        assert decision.denied_reason is DeniedReason.CUSTOMER_IS_ARCHIVED, schedule


def test_converge_killed_anywhere_is_finished_by_the_next() -> None:
    def make() -> World:
        world = a_shop()
        _behind(world)
        return world

    expected = make()
    expected.converge()
    for world in every_crash(make, World.converge):
        world.converge()
        assert world.subscriptions() == expected.subscriptions()
        assert world.snapshot().document == expected.snapshot().document


def test_converge_to_a_plan_of_a_feature_that_is_not_stored_is_not_found() -> None:
    world = a_shop()
    world.buy()
    world.store.records.pop((Feature, ("sso",)))
    with pytest.raises(NotFoundError):
        world.converge()
