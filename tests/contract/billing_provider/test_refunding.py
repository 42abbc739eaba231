"""Paying back what a subscription took last, for those who can."""

import pytest

from chalicelib.domain.billing import RefundedPayment
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError
from chalicelib.ports import Refunding
from tests.contract.billing_provider.samples import shop, subscribed
from tests.contract.billing_provider.worlds import (
    CheckoutWorld,
    FakePeople,
    FakeWorld,
    ManualClock,
    StripeWorld,
)
from tests.fakes.refunding import RefundingProvider

TAKEN = 1000 + 3 * 700  # the plan and three seats


class RefundingWorld(FakeWorld):
    """The provider of the service tests that can pay back."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.provider = RefundingProvider(self.clock)
        FakePeople.__init__(self, self.provider)


@pytest.fixture(params=[RefundingWorld, StripeWorld], ids=["fake", "stripe"])
def refunding_world(request: pytest.FixtureRequest) -> CheckoutWorld:
    made: CheckoutWorld = request.param()
    return made


def refunding(world: CheckoutWorld) -> Refunding:
    assert isinstance(world.provider, Refunding)
    return world.provider


def bought(world: CheckoutWorld) -> str:
    billing_id = subscribed(world).billing_id
    if isinstance(world.provider, RefundingProvider):
        world.provider.taken[billing_id] = TAKEN
    return billing_id


def went_back(world: CheckoutWorld) -> list[int]:
    if isinstance(world, StripeWorld):
        return [refund["amount"] for refund in world.stand_in.account.all("refund")]
    assert isinstance(world.provider, RefundingProvider)
    return [amount for _, amount in world.provider.refunds]


def test_last_payment_goes_back_whole_and_once(refunding_world: CheckoutWorld) -> None:
    billing_id = bought(refunding_world)
    for key in ("one", "one", "two"):
        paid_back = refunding(refunding_world).refund_last_payment(billing_id, key)
        assert paid_back == RefundedPayment(amount=TAKEN, currency="usd")
    assert went_back(refunding_world) == [TAKEN]


def test_last_payment_of_no_subscription_is_refused(refunding_world: CheckoutWorld) -> None:
    with pytest.raises(ProviderRefusedError) as refused:
        refunding(refunding_world).refund_last_payment("sub_none", "key")
    assert refused.value.provider_code == "resource_missing"


def test_last_payment_of_an_ended_subscription_goes_back_all_the_same(
    refunding_world: CheckoutWorld,
) -> None:
    billing_id = bought(refunding_world)
    refunding_world.cancel(billing_id)
    refunding(refunding_world).refund_last_payment(billing_id, "key")
    assert went_back(refunding_world) == [TAKEN]


def test_last_payment_refund_whose_answer_was_lost_is_found_made() -> None:
    world = StripeWorld()
    billing_id = bought(world)
    fault = {"method": "POST", "path": "/v1/refunds", "kind": "timeout_after", "times": 3}
    world._send("POST", "/_stand_in/faults", fault)
    with pytest.raises(ProviderUnavailableError):
        refunding(world).refund_last_payment(billing_id, "key")
    assert refunding(world).refund_last_payment(billing_id, "other").amount == TAKEN
    assert went_back(world) == [TAKEN]


def test_last_payment_refund_made_behind_a_stored_failure_is_found_made() -> None:
    world = StripeWorld()
    billing_id = bought(world)
    fault = {"method": "POST", "path": "/v1/refunds", "kind": "500_after", "times": 1}
    world._send("POST", "/_stand_in/faults", fault)
    assert refunding(world).refund_last_payment(billing_id, "key").amount == TAKEN
    assert went_back(world) == [TAKEN]


def test_last_payment_of_a_trial_is_nothing() -> None:
    world = StripeWorld()
    customer_id, items = shop(world)
    billing_id = world.subscribe(customer_id, items, "trial")
    trial = world._send(
        "POST",
        "/v1/subscriptions",
        {
            "customer": customer_id,
            "items[0][price]": items[0].price_billing_id,
            "trial_period_days": 14,
        },
    )
    assert refunding(world).refund_last_payment(trial["id"], "key").amount == 0
    assert billing_id != trial["id"]
    assert went_back(world) == []


def test_last_payment_made_outside_is_refused() -> None:
    world = StripeWorld()
    customer_id, items = shop(world)
    made = world._send(
        "POST",
        "/v1/subscriptions",
        {
            "customer": customer_id,
            "items[0][price]": items[0].price_billing_id,
            "collection_method": "send_invoice",
            "days_until_due": 30,
        },
    )
    invoice = made["latest_invoice"]
    world._send("POST", f"/v1/invoices/{invoice}/pay", {"paid_out_of_band": "true"})
    with pytest.raises(ProviderRefusedError):
        refunding(world).refund_last_payment(made["id"], "key")
    assert went_back(world) == []
