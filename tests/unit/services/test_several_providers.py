"""One catalog at two providers at once: each has its own copy, and neither's trouble is the other's."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from chalicelib.api.package_models import plan_from_domain
from chalicelib.domain.billing import CheckoutStatus, SyncStatus
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.errors import (
    BillingNotConfiguredError,
    BillingNotConnectedError,
    BusyError,
    InvalidError,
    ProviderRefusedError,
    ProviderUnavailableError,
    SubscriptionExistsError,
)
from chalicelib.domain.ids import CustomerId, PackageId
from chalicelib.domain.orders import Order
from chalicelib.domain.plans import Package, PackageKind, Trial, TrialUnit
from chalicelib.domain.reconciliations import (
    DriftAction,
    DriftKind,
    Reconciliation,
    ReconciliationStatus,
)
from chalicelib.domain.subscriptions import SubscriptionStatus
from chalicelib.domain.sync import CatalogLink, SyncTask, SyncTaskStatus
from chalicelib.ports import BillingProvider
from chalicelib.services.provision_subscription import Provisioned, provision_subscription
from chalicelib.services.queue_sync import retry_task
from chalicelib.services.reconcile import continue_reconciliation
from chalicelib.services.return_from_checkout import return_from_checkout
from chalicelib.services.run_sync_task import run_sync_task
from chalicelib.services.start_checkout import start_checkout
from chalicelib.services.start_reconciliation import start_reconciliation
from chalicelib.services.view_packages import show
from chalicelib.services.view_portal import view_portal
from tests.factories import ACME, a_price, a_value
from tests.fakes.billing import FakeBillingProvider, FakeDirectProvider, FakeProviders, When
from tests.fakes.crashes import every_crash
from tests.fakes.system import AmpleTime
from tests.fakes.world import World, a_cause, an_order

MONTHLY = a_price("m", 1000)
TRIAL = Trial(duration=14, unit=TrialUnit.DAY)
WITH_CARD = replace(TRIAL, payment_method_required=True)
KEY = "pg_test_plan_pro"
TASK = "sync_pro_1"


class Business(World):
    """Sells through `acmepay`, which takes payments, and `offline`, which does not."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.billing = FakeBillingProvider(self.clock, name="acmepay")
        self.offline = FakeDirectProvider(self.clock)
        self.offline.on_call = lambda call: self.billing.on_call and self.billing.on_call(call)
        self.configure(self.billing, self.offline)

    def configure(self, *providers: BillingProvider, unconnected: tuple[str, ...] = ()) -> None:
        found = FakeProviders(providers, unconnected=unconnected)
        self.ports = replace(self.ports, providers=found)

    def link_at(self, provider: str) -> CatalogLink | None:
        return self.store.get(CatalogLink, PackageKind.PLAN, "pro", provider)


def a_business() -> Business:
    world = Business()
    world.publish("pro", MONTHLY, entitlements=[a_value("sso", True)])
    return world


def selling() -> Business:
    world = a_business()
    world.sync()
    world.customer()
    return world


def run(world: World) -> SyncTask:
    return run_sync_task(world.ports, TASK)


def stored(world: World) -> SyncTask:
    found = world.store.get(SyncTask, TASK)
    assert found is not None
    return found


def provision(world: World, operation: str = "op_1", **fields: object) -> Provisioned:
    return provision_subscription(world.ports, a_cause(operation), order(**fields))


def order(**fields: object) -> Order:
    return replace(an_order(), **fields)  # type: ignore[arg-type]


def reconcile(world: World) -> Reconciliation:
    run = start_reconciliation(world.ports, "test")
    return continue_reconciliation(world.ports, a_cause(), run.id, AmpleTime())


def outcomes(task: SyncTask) -> dict[str, tuple[SyncTaskStatus, str | None]]:
    return {one.provider: (one.status, one.error) for one in task.outcomes}


# --- the catalog ------------------------------------------------------------------------------------------


def test_plan_synced_to_two_providers_shows_both_links_on_plan_and_prices() -> None:
    world = a_business()
    assert run(world).status is SyncTaskStatus.SUCCEEDED
    package = world.store.get(Package, PackageKind.PLAN, "pro")
    assert package is not None
    shown = plan_from_domain(show(world.ports, package)).model_dump(mode="json")
    assert shown["sync_status"] == "synced"
    assert [link["provider"] for link in shown["billing"]] == ["acmepay", "offline"]
    for links in (shown["billing"], shown["prices"][0]["billing"]):
        assert [link["provider"] for link in links] == ["acmepay", "offline"]
        assert {link["sync_status"] for link in links} == {"synced"}
        assert all(link["billing_id"] and link["url"] for link in links)
    assert set(world.billing.products) == set(world.offline.products) == {KEY}


@pytest.mark.parametrize("ailing", ["acmepay", "offline"])
def test_provider_away_does_not_keep_the_other_from_being_synced(ailing: str) -> None:
    world = a_business()
    sick, well = both(world, ailing)
    sick.fail("observe_product", ProviderUnavailableError("Rate limited."))
    with pytest.raises(ProviderUnavailableError):
        run(world)
    assert status_at(world, well.name) is SyncStatus.SYNCED
    assert stored(world).status is SyncTaskStatus.PENDING
    assert stored(world).error == f"{ailing}: Rate limited."
    before = len(well.calls)
    done = run(world)
    assert (done.status, done.error, done.attempts) == (SyncTaskStatus.SUCCEEDED, None, 2)
    assert status_at(world, ailing) is SyncStatus.SYNCED
    assert len(well.calls) == before


@pytest.mark.parametrize("ailing", ["acmepay", "offline"])
def test_provider_that_refuses_does_not_keep_the_other_from_being_synced(ailing: str) -> None:
    world = a_business()
    sick, well = both(world, ailing)
    sick.fail("apply", ProviderRefusedError("Amount too small."))
    task = run(world)
    assert (task.status, task.error) == (SyncTaskStatus.FAILED, f"{ailing}: Amount too small.")
    assert outcomes(task) == {
        well.name: (SyncTaskStatus.SUCCEEDED, None),
        sick.name: (SyncTaskStatus.FAILED, "Amount too small."),
    }
    assert (status_at(world, sick.name), status_at(world, well.name)) == (
        SyncStatus.ERROR,
        SyncStatus.SYNCED,
    )


def test_refusal_is_not_repeated_for_the_sake_of_a_provider_that_was_away() -> None:
    world = a_business()
    world.billing.fail("apply", ProviderRefusedError("Amount too small."))
    world.offline.fail("observe_product", ProviderUnavailableError("Away."))
    with pytest.raises(ProviderUnavailableError):
        run(world)
    assert stored(world).error == "acmepay: Amount too small. offline: Away."
    before = len(world.billing.calls)
    task = run(world)
    assert (task.status, task.error) == (SyncTaskStatus.FAILED, "acmepay: Amount too small.")
    assert len(world.billing.calls) == before
    before = len(world.offline.calls)
    retry_task(world.ports, a_cause(), TASK)
    assert run(world).status is SyncTaskStatus.SUCCEEDED
    assert len(world.offline.calls) == before


def test_fault_in_one_adapter_does_not_keep_the_other_from_being_synced() -> None:
    world = a_business()
    world.billing.fail("observe_product", ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        run(world)
    assert status_at(world, "offline") is SyncStatus.SYNCED
    world.clock.advance(seconds=91)  # the fault left its lease behind
    assert run(world).status is SyncTaskStatus.SUCCEEDED


def test_provider_removed_holds_up_nothing_and_still_shows_its_link() -> None:
    world = a_business()
    run(world)
    world.configure(world.billing)
    world.publish("pro", replace(MONTHLY, amount=1200))
    world.sync()
    package = world.store.get(Package, PackageKind.PLAN, "pro")
    assert package is not None
    view = show(world.ports, package)
    assert view.sync_status is SyncStatus.SYNCED
    assert [link.provider for link in view.billing] == ["acmepay", "offline"]
    [price] = view.content.prices
    assert [link.provider for link in view.price_billing(price)] == ["acmepay"]


def both(world: Business, ailing: str) -> Sequence[FakeBillingProvider | FakeDirectProvider]:
    """The ailing provider, then the other."""
    pair = (world.billing, world.offline)
    return pair if ailing == "acmepay" else pair[::-1]


def status_at(world: Business, provider: str) -> SyncStatus | None:
    link = world.link_at(provider)
    return None if link is None else link.sync_status


# --- subscriptions ------------------------------------------------------------------------------------------


def test_paid_order_asks_for_payment_where_payment_can_be_taken() -> None:
    world = selling()
    world.configure(world.offline, world.billing)
    checkout = provision(world).checkout
    assert checkout is not None
    assert (checkout.provider, world.subscriptions()) == ("acmepay", ())


def test_paid_order_at_the_wished_provider_is_provisioned_at_once() -> None:
    world = selling()
    held = provision(world, billing_provider="offline", metadata={"po": "42"}).subscription
    assert held is not None
    assert (held.provider, held.status, held.plan_id) == (
        "offline",
        SubscriptionStatus.ACTIVE,
        "pro",
    )
    assert (held.billing_period, held.currency, held.metadata) == ("month", "usd", {"po": "42"})
    assert world.subscriptions() == (held,)
    assert world.check("sso").decision.has_access
    assert world.stored_customer().billing_id("offline") is not None
    assert world.stored_customer().billing_id("acmepay") is None
    slot = world.store.get(CheckoutSession, ACME, "app")
    assert slot is not None
    assert slot.status is CheckoutStatus.COMPLETE


def test_paid_order_where_nobody_takes_payments_is_provisioned_at_once() -> None:
    world = selling()
    world.configure(world.offline)
    assert provision(world).subscription is not None


def test_paid_order_without_a_provider_is_refused() -> None:
    world = selling()
    world.configure()
    with pytest.raises(BillingNotConfiguredError):
        provision(world)


def test_order_at_an_unknown_provider_is_refused() -> None:
    world = selling()
    world.publish("free")
    for sell in (
        lambda: provision(world, billing_provider="paypal"),
        lambda: provision(world, plan_id=PackageId("free"), billing_provider="paypal"),
        lambda: start_checkout(world.ports, a_cause(), order(billing_provider="paypal")),
    ):
        with pytest.raises(InvalidError) as refused:
            sell()
        assert refused.value.violations[0].code == "unknown_provider"


def test_checkout_at_a_provider_without_one_is_refused() -> None:
    world = selling()
    with pytest.raises(InvalidError) as refused:
        start_checkout(world.ports, a_cause(), order(billing_provider="offline"))
    assert refused.value.violations[0].code == "no_checkout"


def test_trial_goes_over_into_a_subscription_that_is_invoiced() -> None:
    world = Business()
    world.sell("pro", MONTHLY, entitlements=[a_value("sso", True)], trial=TRIAL)
    world.customer()
    trial = provision(world, billing_provider="offline").subscription
    assert trial is not None
    assert (trial.status, trial.provider) == (SubscriptionStatus.IN_TRIAL, None)
    paid = provision(world, "op_2", billing_provider="offline").subscription
    assert paid is not None
    assert (paid.status, paid.provider) == (SubscriptionStatus.ACTIVE, "offline")
    assert [held.id for held in world.subscriptions() if held.is_live] == [paid.id]


def test_trial_that_needs_a_card_can_not_begin_where_no_card_is_taken() -> None:
    world = Business()
    world.sell("pro", MONTHLY, trial=WITH_CARD)
    world.customer()
    with pytest.raises(InvalidError) as refused:
        provision(world, billing_provider="offline")
    assert refused.value.violations[0].param == "trial"
    assert world.store.get(CheckoutSession, ACME, "app") is None
    assert provision(world, billing_provider="offline", trial=False).subscription is not None


def test_second_subscription_of_the_product_is_refused_whoever_bills_the_first() -> None:
    world = selling()
    first = provision(world, billing_provider="offline").subscription
    assert first is not None
    for sell in (
        lambda: provision(world, "op_2"),
        lambda: provision(world, "op_2", billing_provider="offline"),
        lambda: start_checkout(world.ports, a_cause("op_2"), order()),
    ):
        with pytest.raises(SubscriptionExistsError) as refused:
            sell()
        assert refused.value.subscription_id == first.id


def test_operation_repeated_finds_its_own_subscription() -> None:
    world = selling()
    first = provision(world, billing_provider="offline").subscription
    assert provision(world, billing_provider="offline").subscription == first
    assert len(world.offline.subscriptions) == 1


def test_direct_order_ends_the_open_checkout_first() -> None:
    world = selling()
    checkout = provision(world).checkout
    assert checkout is not None
    assert checkout.billing_id is not None
    assert provision(world, "op_2", billing_provider="offline").subscription is not None
    assert world.billing.checkouts[checkout.billing_id].status is CheckoutStatus.EXPIRED


def test_direct_order_after_an_unnoticed_payment_is_refused() -> None:
    world = selling()
    world.buy("pro")
    with pytest.raises(SubscriptionExistsError):
        provision(world, "op_2", billing_provider="offline")
    assert world.offline.subscriptions == {}
    assert [held.provider for held in world.subscriptions()] == ["acmepay"]


def test_direct_order_while_another_is_on_its_way_is_sent_away_until_that_is_dead() -> None:
    world = selling()
    world.offline.fail("create_subscription", ProviderUnavailableError("Away."))
    with pytest.raises(ProviderUnavailableError):
        provision(world, billing_provider="offline")
    for sell in (
        lambda: provision(world, "op_2", billing_provider="offline"),
        lambda: start_checkout(world.ports, a_cause("op_2"), order()),
    ):
        with pytest.raises(BusyError):
            sell()
    world.clock.advance(seconds=91)
    assert provision(world, "op_2", billing_provider="offline").subscription is not None
    assert len(world.offline.subscriptions) == 1


def test_direct_order_whose_answer_was_lost_is_found_by_its_repetition() -> None:
    world = selling()
    world.offline.fail("create_subscription", ProviderUnavailableError("Lost."), when=When.AFTER)
    with pytest.raises(ProviderUnavailableError):
        provision(world, billing_provider="offline")
    held = provision(world, billing_provider="offline").subscription
    assert held is not None
    assert [one.id for one in world.subscriptions()] == [held.id]
    assert len(world.offline.subscriptions) == 1


def test_direct_order_of_the_dead_that_was_made_counts_for_the_next() -> None:
    world = selling()
    world.offline.fail("create_subscription", ProviderUnavailableError("Lost."), when=When.AFTER)
    with pytest.raises(ProviderUnavailableError):
        provision(world, billing_provider="offline")
    world.clock.advance(seconds=91)
    with pytest.raises(SubscriptionExistsError):
        provision(world, "op_2", billing_provider="offline")
    assert len(world.subscriptions()) == len(world.offline.subscriptions) == 1


def test_direct_order_refused_by_the_provider_leaves_the_way_free() -> None:
    world = selling()
    world.offline.fail("create_subscription", ProviderRefusedError("No credit."))
    with pytest.raises(ProviderRefusedError):
        provision(world, billing_provider="offline")
    assert provision(world, "op_2").checkout is not None


def test_direct_order_killed_anywhere_ends_in_one_subscription_when_repeated() -> None:
    def work(world: World) -> None:
        provision(world, billing_provider="offline")

    for world in every_crash(selling, work):
        assert isinstance(world, Business)
        held = provision(world, billing_provider="offline").subscription
        assert held is not None
        assert [one.id for one in world.subscriptions()] == [held.id]
        assert len(world.offline.subscriptions) == 1


def test_return_from_checkout_asks_every_provider_that_has_one() -> None:
    world = selling()
    other = FakeBillingProvider(world.clock, name="otherpay")
    world.configure(other, world.offline, world.billing)
    other.fail("get_checkout", ProviderRefusedError("Malformed id."))
    checkout = provision(world, billing_provider="acmepay").checkout
    assert checkout is not None
    assert checkout.billing_id is not None
    world.billing.pay(checkout.billing_id)
    assert return_from_checkout(world.ports, a_cause(), checkout.billing_id)
    assert [held.provider for held in world.subscriptions()] == ["acmepay"]


# --- reconciliation -------------------------------------------------------------------------------------------


def subscribed_twice() -> Business:
    """One customer billed by each provider."""
    world = selling()
    world.customer("globex")
    world.buy("pro")
    world.converge()
    provision(world, "op_2", customer_id=CustomerId("globex"), billing_provider="offline")
    return world


def test_reconciliation_covers_every_provider() -> None:
    world = subscribed_twice()
    for provider in (world.billing, world.offline):
        provider.edit_product(KEY, name="Hacked")
        [held] = provider.subscriptions
        provider.cancel(held)
    run = reconcile(world)
    assert run.status is ReconciliationStatus.SUCCEEDED
    assert sorted(drift.kind for drift in run.drifts) == sorted(
        [DriftKind.PRODUCT_CHANGED] * 2 + [DriftKind.SUBSCRIPTION_STATUS] * 2
    )
    assert {drift.action for drift in run.drifts} == {DriftAction.REPAIRED}
    for customer_id in (ACME, "globex"):
        assert not world.check("sso", customer_id=customer_id).decision.has_access


@pytest.mark.parametrize("method", ["observe_product", "list_subscriptions"])
def test_reconciliation_goes_on_without_a_provider_that_is_away_and_says_so(method: str) -> None:
    world = subscribed_twice()
    world.billing.fail(method, ProviderUnavailableError("Rate limited."), times=99)
    world.offline.edit_product(KEY, name="Hacked")
    [held] = world.offline.subscriptions
    world.offline.cancel(held)
    run = reconcile(world)
    assert run.status is ReconciliationStatus.FAILED
    assert run.error == "Not everything was compared with acmepay."
    assert run.counts["pages_without_acmepay"] == 1
    assert sorted(drift.kind for drift in run.drifts) == [
        DriftKind.PRODUCT_CHANGED,
        DriftKind.SUBSCRIPTION_STATUS,
    ]


def test_reconciliation_breaks_off_when_no_provider_answers() -> None:
    world = subscribed_twice()
    for provider in (world.billing, world.offline):
        provider.fail("observe_product", ProviderUnavailableError("Away."))
    with pytest.raises(ProviderUnavailableError):
        reconcile(world)
    assert reconcile(world).status is ReconciliationStatus.SUCCEEDED


def test_provider_configured_later_gets_what_was_published_before() -> None:
    world = a_business()
    world.configure(world.billing)
    world.sync()
    world.publish("basic")
    world.sync()
    world.configure(world.billing, world.offline)
    world.clock.advance(minutes=11)
    run = reconcile(world)
    [drift] = run.drifts
    assert (drift.kind, drift.entity) == (DriftKind.PRODUCT_MISSING, "plan:pro")
    assert drift.ours == {"provider": "offline", "version": 1}
    assert status_at(world, "offline") is SyncStatus.SYNCED
    assert reconcile(world).drifts == ()


# --- a provider that somebody has to connect first ------------------------------------------------------------


def unconnected() -> Business:
    """Two customers, billed by each provider; then the account of one is not connected any more."""
    world = subscribed_twice()
    world.configure(world.billing, world.offline, unconnected=("acmepay",))
    return world


def test_reconciliation_goes_on_without_a_provider_that_is_not_connected_and_says_so() -> None:
    world = unconnected()
    world.offline.edit_product(KEY, name="Hacked")
    [held] = world.offline.subscriptions
    world.offline.cancel(held)
    run = reconcile(world)
    assert run.status is ReconciliationStatus.FAILED
    assert run.error == "Not everything was compared with acmepay."
    assert sorted(drift.kind for drift in run.drifts) == [
        DriftKind.PRODUCT_CHANGED,
        DriftKind.SUBSCRIPTION_STATUS,
    ]
    # What it holds is not known, so what was bought there stays.
    assert world.check("sso").decision.has_access
    assert not world.check("sso", customer_id="globex").decision.has_access


def test_reconciliation_with_nobody_connected_comes_to_its_end() -> None:
    """Breaking off would only fill the dead letters, once an hour."""
    world = selling()
    world.buy("pro")
    world.converge()
    world.configure(world.billing, unconnected=("acmepay",))
    run = reconcile(world)
    assert run.status is ReconciliationStatus.FAILED
    assert run.error == "Not everything was compared with acmepay."
    assert run.drifts == ()
    world.configure(world.billing)
    assert reconcile(world).status is ReconciliationStatus.SUCCEEDED


def test_order_goes_to_nobody_else_while_the_seller_is_not_connected() -> None:
    world = selling()
    world.configure(world.billing, world.offline, unconnected=("acmepay",))
    with pytest.raises(BillingNotConnectedError):
        provision(world)
    assert world.subscriptions() == ()
    assert provision(world, "op_2", billing_provider="offline").subscription is not None


def test_what_only_looks_passes_over_a_provider_that_is_not_connected() -> None:
    world = unconnected()
    view = view_portal(world.ports, CustomerId(ACME), with_invoices=True)
    assert [held.provider for held in view.subscriptions] == ["acmepay"]
    assert (view.provider, view.upcoming) == (None, ())
    assert not return_from_checkout(world.ports, a_cause(), "cs_1")


def test_sync_task_waits_for_the_connection_and_the_other_provider_does_not() -> None:
    world = a_business()
    world.configure(world.billing, world.offline, unconnected=("acmepay",))
    task = run(world)
    assert outcomes(task) == {
        "acmepay": (SyncTaskStatus.PENDING, "Nobody has connected an account."),
        "offline": (SyncTaskStatus.SUCCEEDED, None),
    }
    assert task.status is SyncTaskStatus.PENDING
    world.configure(world.billing, world.offline)
    assert run(world).status is SyncTaskStatus.SUCCEEDED
