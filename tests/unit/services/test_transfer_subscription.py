"""Handing a subscription to another customer: both sides in one commit."""

import pytest

from chalicelib.domain.errors import (
    ArchivedError,
    InvalidError,
    NotFoundError,
    NotSupportedError,
    SubscriptionExistsError,
)
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.subscribers import Subscriber
from chalicelib.domain.subscription_ends import Ending, When
from chalicelib.domain.subscriptions import Subscription
from chalicelib.services.cancel_subscription import cancel_subscription
from chalicelib.services.manage_customers import set_customer_status
from chalicelib.services.provision_subscription import provision_subscription
from chalicelib.services.transfer_subscription import transfer_subscription
from chalicelib.services.view_subscriptions import get_subscription
from tests.fakes.changing import ChangeShop, a_shop_with
from tests.fakes.crashes import every_crash
from tests.fakes.world import World, a_cause, an_order

BOB = CustomerId("bob")


def a_shop_for_two(plan_id: str = "free") -> ChangeShop:
    shop = a_shop_with(plan_id)
    shop.customer(BOB)
    return shop


def transfer(shop: ChangeShop, op: str = "transfer") -> Subscription:
    [held] = [*shop.subscriptions(), *shop.subscriptions(BOB)]
    return transfer_subscription(shop.ports, a_cause(op), held.id, BOB)


@pytest.mark.parametrize("plan_id", ["free", "custom"])
def test_transfer_takes_from_one_and_gives_to_the_other(plan_id: str) -> None:
    shop = a_shop_for_two(plan_id)
    held = transfer(shop)
    assert held.customer_id == BOB
    assert shop.subscriptions() == ()
    assert shop.subscriptions(BOB) == (held,)
    assert get_subscription(shop.ports, held.id) == held
    assert not shop.check("calls").decision.has_access
    assert shop.check("calls", customer_id=BOB).decision.has_access
    assert [one.customer_id for one in shop.store.all(Subscriber)] == [BOB]
    assert transfer(shop) == held
    assert transfer(shop, "again") == held


def test_transfer_a_trial_is_the_other_ones_trial() -> None:
    shop = a_shop_for_two("tried")
    transfer(shop)
    with pytest.raises(InvalidError):
        provision_subscription(shop.ports, a_cause("x"), an_order("tried", BOB, trial=True))


def test_transfer_to_whom_has_the_product_is_refused() -> None:
    shop = a_shop_for_two()
    provision_subscription(shop.ports, a_cause("own"), an_order("custom", BOB))
    with pytest.raises(SubscriptionExistsError):
        transfer_subscription(shop.ports, a_cause("t"), shop.live().id, BOB)


def test_transfer_a_trial_to_whom_has_had_one_is_refused() -> None:
    shop = a_shop_for_two("tried")
    own = provision_subscription(shop.ports, a_cause("own"), an_order("tried", BOB)).subscription
    assert own is not None
    ending = Ending(when=When.IMMEDIATE)
    cancel_subscription(shop.ports, a_cause("end"), own.id, ending)
    with pytest.raises(InvalidError):
        transfer_subscription(shop.ports, a_cause("t"), shop.live().id, BOB)


def test_transfer_what_is_billed_is_not_supported() -> None:
    shop = a_shop_for_two("pro")
    with pytest.raises(NotSupportedError):
        transfer(shop)


def test_transfer_to_nobody_or_to_an_archived_customer_is_refused() -> None:
    shop = a_shop_for_two()
    with pytest.raises(NotFoundError):
        transfer_subscription(shop.ports, a_cause(), shop.live().id, CustomerId("none"))
    set_customer_status(shop.ports, a_cause("archive"), BOB, Lifecycle.ARCHIVED)
    with pytest.raises(ArchivedError):
        transfer(shop)


def test_transfer_survives_crashes() -> None:
    def run(shop: World) -> Subscription:
        assert isinstance(shop, ChangeShop)
        return transfer(shop)

    for shop in every_crash(a_shop_for_two, run):
        assert isinstance(shop, ChangeShop)
        assert transfer(shop).customer_id == BOB
        assert shop.subscriptions() == ()
        assert len(shop.subscriptions(BOB)) == 1
