import pytest

from chalicelib.domain.billing import CheckoutStatus
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError
from chalicelib.services.return_from_checkout import return_from_checkout
from chalicelib.services.start_checkout import start_checkout
from tests.factories import a_price, a_value
from tests.fakes.world import World, a_cause, an_order


def an_open_checkout() -> tuple[World, str]:
    world = World()
    world.sell("pro", a_price(), entitlements=[a_value("sso", True)])
    world.customer()
    session = start_checkout(world.ports, a_cause(), an_order())
    assert session.billing_id is not None
    return world, session.billing_id


def returned(world: World, checkout: str) -> bool:
    return return_from_checkout(world.ports, a_cause(), checkout)


def test_return_from_a_paid_checkout_gives_access_without_any_notification() -> None:
    world, checkout = an_open_checkout()
    world.billing.pay(checkout)
    assert returned(world, checkout)
    assert world.check("sso").decision.has_access
    assert returned(world, checkout)
    assert len(world.subscriptions()) == 1


def test_return_from_an_unpaid_checkout_is_no_proof_of_payment() -> None:
    world, checkout = an_open_checkout()
    assert not returned(world, checkout)
    assert world.subscriptions() == ()
    world.clock.advance(days=2)
    assert not returned(world, checkout)


@pytest.mark.parametrize("checkout", ["", "cs_unknown", "../etc/passwd", "cs_\x00"])
def test_return_with_an_invented_id_does_nothing(checkout: str) -> None:
    world, _ = an_open_checkout()
    commits = len(world.store.commits)
    assert not returned(world, checkout)
    assert len(world.store.commits) == commits


def test_return_with_an_id_that_the_provider_refuses_does_nothing() -> None:
    world, checkout = an_open_checkout()
    world.billing.fail("get_checkout", ProviderRefusedError("Malformed id."))
    assert not returned(world, checkout)


def test_return_while_the_provider_is_away_is_an_error_and_not_a_no() -> None:
    world, checkout = an_open_checkout()
    world.billing.fail("get_checkout", ProviderUnavailableError("away"))
    with pytest.raises(ProviderUnavailableError):
        returned(world, checkout)


def test_return_from_somebody_elses_checkout_does_nothing() -> None:
    world, checkout = an_open_checkout()
    world.billing.pay(checkout)
    held = world.billing.checkouts[checkout]
    for stranger in (None, "cus_stranger"):
        world.billing.checkouts[checkout] = type(held)(
            billing_id=checkout,
            customer_billing_id=stranger,
            url=None,
            status=CheckoutStatus.COMPLETE,
            expires_at=held.expires_at,
        )
        assert not returned(world, checkout)
    assert world.subscriptions() == ()


def test_return_where_no_provider_takes_payments_does_nothing() -> None:
    world = World(has_billing=False)
    assert not returned(world, "cs_1")
