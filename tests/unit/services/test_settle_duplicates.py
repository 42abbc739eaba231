"""Two paid subscriptions of a product: one stays, the other ends and is paid back once, or somebody is told."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

import pytest

from chalicelib.domain.billing import ProviderSubscription
from chalicelib.domain.billing_events import BillingEventStatus
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.reconciliations import (
    DriftAction,
    DriftKind,
    DriftPolicy,
    DuplicatePolicy,
    Reconciliation,
)
from chalicelib.domain.subscriptions import SubscriptionStatus
from chalicelib.ports import Providers
from chalicelib.services.apply_billing_event import receive_billing_event
from chalicelib.services.reconcile import continue_reconciliation
from chalicelib.services.settle_duplicates import settle_duplicates
from chalicelib.services.start_reconciliation import start_reconciliation
from tests.factories import ACME, a_price, a_provider_subscription, a_value, our_metadata
from tests.fakes.billing import FakeProviders, When
from tests.fakes.crashes import every_crash, every_fault
from tests.fakes.refunding import RefundingProvider
from tests.fakes.system import AmpleTime
from tests.fakes.world import World, a_cause

TWIN = "sub_twin"


@dataclass
class Paying(World):
    """A customer who paid for the plan in one tab, and by `twin` in another."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.refunding = RefundingProvider(self.clock)
        self.billing = self.refunding
        providers = cast("Providers", FakeProviders([self.billing]))
        self.ports = replace(self.ports, providers=providers)
        self.sell("pro", a_price("m"), entitlements=[a_value("sso", True)])
        self.sell("gold", a_price("g", 1), product_id="other")
        self.customer()
        self.first = self.buy()
        self.converge()

    def twin(self, **fields: Any) -> ProviderSubscription:
        later = self.clock.now() + timedelta(seconds=30)
        fields.setdefault("started_at", later)
        fields.setdefault("metadata", our_metadata("subs_twin"))
        return self.billing.add_subscription(
            a_provider_subscription(
                TWIN,
                [self.price_id("pro", "m")],
                customer_billing_id=self.stored_customer().billing_id("stripe"),
                created_at=later,
                **fields,
            )
        )

    def hear(self) -> None:
        """Stripe notifies us of the twin."""
        customer = self.stored_customer().billing_id("stripe")
        event = self.event(customer_billing_id=customer)
        got = receive_billing_event(self.ports, a_cause(), "stripe", event)
        assert got.status is BillingEventStatus.PROCESSED

    def reconcile(self, policy: DriftPolicy | None = None) -> Reconciliation:
        run = start_reconciliation(self.ports, "test", policy)
        done = continue_reconciliation(self.ports, a_cause(), run.id, AmpleTime())
        self.clock.advance(seconds=1)
        return done

    def live(self) -> list[str | None]:
        return [held.billing_id for held in self.subscriptions() if held.is_live]

    def at_rest(self) -> bool:
        """One subscription is left on both sides, and its twin was paid back once."""
        truth = self.billing.subscriptions[TWIN]
        return (
            self.live() == [self.first]
            and truth.status is SubscriptionStatus.CANCELED
            and self.refunding.refunds == [(TWIN, 1000)]
            and self.check("sso").decision.has_access
        )


def paid_twice(**fields: Any) -> Paying:
    world = Paying()
    world.twin(**fields)
    return world


def duplicates(run: Reconciliation) -> list[DriftAction]:
    return [one.action for one in run.drifts if one.kind is DriftKind.SUBSCRIPTION_DUPLICATE]


def test_duplicate_is_settled_as_soon_as_an_event_shows_it() -> None:
    world = paid_twice()
    world.hear()
    assert world.at_rest()
    assert world.monitor.named("duplicate_settled") == [
        {"subscription_id": "subs_twin", "amount_minor": 1000}
    ]
    actions = [row.action for row in world.audited("subscription:subs_twin")]
    assert actions[0] == "subscription.converged"
    assert set(actions[1:]) == {
        "subscription.duplicate_found",
        "subscription.converged",
        "subscription.duplicate_refunded",
    }
    assert world.reconcile().drifts == ()


def test_duplicate_nobody_told_of_is_settled_by_reconciliation_and_reported_once() -> None:
    world = paid_twice()
    assert duplicates(world.reconcile()) == [DriftAction.REPAIRED]
    assert world.at_rest()
    assert world.reconcile().drifts == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"metadata": {}},
        {"metadata": our_metadata("subs_twin", customer_id="other")},
        {"metadata": our_metadata("subs_twin") | {"paygrade_environment": "live"}},
        {"status": SubscriptionStatus.PAUSED},
        {"status": SubscriptionStatus.PAYMENT_PENDING},
    ],
)
def test_duplicate_that_is_not_provably_a_second_payment_is_only_reported(
    fields: dict[str, Any],
) -> None:
    world = paid_twice(**fields)
    world.hear()
    assert duplicates(world.reconcile()) == [DriftAction.REPORTED]
    again = world.reconcile()
    assert (again.drifts, [one.kind for one in again.standing]) == (
        (),
        [DriftKind.SUBSCRIPTION_DUPLICATE],
    )
    assert (len(world.live()), world.refunding.refunds) == (2, [])


def test_duplicate_that_copies_the_marks_of_the_first_by_hand_is_only_reported() -> None:
    world = Paying()
    marks = world.billing.subscriptions[world.first].metadata
    world.twin(metadata=marks)
    assert duplicates(world.reconcile()) == [DriftAction.REPORTED]
    assert (len(world.live()), world.refunding.refunds) == (2, [])


def test_duplicate_that_is_older_than_what_we_know_stays_if_nobody_may_end_ours() -> None:
    world = Paying()
    long_ago = world.clock.now() - timedelta(days=30)
    world.twin(started_at=long_ago, metadata={})
    world.hear()
    # By age the one made by hand stays, and ours is the later order: it ends.
    assert world.live() == [TWIN]
    assert world.refunding.refunds == [(world.first, 1000)]


def test_duplicate_of_one_that_is_past_due_is_only_reported() -> None:
    world = Paying()
    world.billing.edit_subscription(world.first, status=SubscriptionStatus.PAST_DUE)
    world.twin()
    assert duplicates(world.reconcile()) == [DriftAction.REPORTED]
    assert world.refunding.refunds == []


def test_subscription_of_another_product_is_no_duplicate() -> None:
    world = Paying()
    world.buy("gold")
    world.hear()
    assert (len(world.live()), world.refunding.refunds) == (2, [])


def test_duplicate_without_a_payment_just_ends() -> None:
    world = paid_twice(status=SubscriptionStatus.IN_TRIAL)
    world.refunding.taken[TWIN] = 0
    world.hear()
    assert (world.live(), world.refunding.refunds) == ([world.first], [])


@pytest.mark.parametrize("by", ["environment", "run"])
def test_duplicate_where_policy_says_report_is_only_reported(by: str) -> None:
    world = paid_twice()
    if by == "environment":
        reporting = replace(world.ports.environment, duplicates=DuplicatePolicy.REPORT)
        world.ports = replace(world.ports, environment=reporting)
        world.hear()
    policy = DriftPolicy.REPORT if by == "run" else None
    assert duplicates(world.reconcile(policy)) == [DriftAction.REPORTED]
    assert (len(world.live()), world.refunding.refunds) == (2, [])


def test_duplicate_whose_refund_is_refused_is_reported_and_nothing_ends() -> None:
    world = paid_twice()
    refused = ProviderRefusedError("Paid by bank transfer.", provider_code="paid_elsewhere")
    world.refunding.fail("refund_last_payment", refused, times=2)
    world.hear()
    assert duplicates(world.reconcile()) == [DriftAction.REPORTED]
    assert len(world.live()) == 2
    assert world.monitor.named("duplicate_refused")[0] == {
        "subscription_id": "subs_twin",
        "code": "paid_elsewhere",
    }
    assert duplicates(world.reconcile()) == [DriftAction.REPAIRED]
    assert world.at_rest()


def test_duplicate_while_the_provider_is_away_is_left_to_the_next_reconciliation() -> None:
    world = paid_twice()
    world.refunding.fail("end_subscription", ProviderUnavailableError("away"))
    world.hear()
    assert world.monitor.named("duplicate_left")
    assert len(world.live()) == 2
    assert duplicates(world.reconcile()) == [DriftAction.REPAIRED]
    assert world.at_rest()


def test_duplicate_that_ended_meanwhile_is_left_alone() -> None:
    world = paid_twice()
    found = world.converge().drifts
    world.billing.cancel(world.first)
    told = settle_duplicates(world.ports, a_cause(), CustomerId(ACME), "stripe", found)
    assert told == found
    assert world.refunding.refunds == []


def test_duplicate_at_a_provider_that_cannot_refund_is_only_reported() -> None:
    world = World()
    world.sell("pro", a_price("m"))
    world.customer()
    world.buy()
    world.billing.add_subscription(
        a_provider_subscription(
            TWIN,
            [world.price_id("pro", "m")],
            customer_billing_id=world.stored_customer().billing_id("stripe"),
            metadata=our_metadata("subs_twin"),
            started_at=world.clock.now() + timedelta(seconds=9),
        )
    )
    found = world.converge().drifts
    assert settle_duplicates(world.ports, a_cause(), CustomerId(ACME), "stripe", found) == found


def test_duplicate_settled_in_a_process_that_dies_anywhere_is_settled_by_the_next() -> None:
    def settle(world: World) -> Any:
        assert isinstance(world, Paying)
        world.hear()

    for world in every_crash(paid_twice, settle):
        assert isinstance(world, Paying)
        world.clock.advance(minutes=2)
        world.reconcile()
        assert world.at_rest()
        assert world.reconcile().drifts == ()


def test_duplicate_settled_while_any_call_fails_is_settled_in_the_end() -> None:
    def settle(world: World) -> Any:
        assert isinstance(world, Paying)
        world.hear()

    for world, what in every_fault(paid_twice, settle, whens=(When.BEFORE, When.AFTER)):
        assert isinstance(world, Paying)
        try:
            settle(world)
        except AssertionError:
            world.clock.advance(minutes=2)
        world.reconcile()
        assert world.at_rest(), what
