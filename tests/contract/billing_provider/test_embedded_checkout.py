"""Paying inside the application's page, at those who offer it."""

from dataclasses import replace

import pytest

from chalicelib.domain.billing import CheckoutMode, CheckoutRequest, CheckoutStatus
from chalicelib.domain.errors import ProviderRefusedError
from tests.contract.billing_provider.samples import shop
from tests.contract.billing_provider.worlds import EmbeddedWorld, checkout_request

MODES = pytest.mark.parametrize("mode", [CheckoutMode.EMBEDDED, CheckoutMode.ELEMENTS])


def cart(world: EmbeddedWorld, mode: CheckoutMode) -> CheckoutRequest:
    customer_id, items = shop(world)
    return replace(
        checkout_request(customer_id, *items),
        mode=mode,
        success_url=None,
        cancel_url=None,
        return_url="https://app.example/done?session_id={CHECKOUT_SESSION_ID}",
    )


@MODES
def test_embedded_checkout_has_a_secret_in_place_of_a_url(
    embedded_world: EmbeddedWorld, mode: CheckoutMode
) -> None:
    request = cart(embedded_world, mode)
    opened = embedded_world.provider.open_embedded_checkout(request, "checkout")
    assert (opened.status, opened.url) == (CheckoutStatus.OPEN, None)
    assert opened.client_secret
    assert opened.client_secret not in repr(opened)
    assert opened.expires_at == request.expires_at
    again = embedded_world.provider.open_embedded_checkout(request, "checkout")
    assert again == opened == embedded_world.provider.get_checkout(opened.billing_id)


@MODES
def test_embedded_checkout_paid_is_a_subscription_and_keeps_no_secret(
    embedded_world: EmbeddedWorld, mode: CheckoutMode
) -> None:
    request = cart(embedded_world, mode)
    opened = embedded_world.provider.open_embedded_checkout(request, "checkout")
    embedded_world.pay(opened.billing_id)
    found = embedded_world.provider.get_checkout(opened.billing_id)
    assert found is not None
    assert (found.status, found.client_secret) == (CheckoutStatus.COMPLETE, None)
    assert len(embedded_world.provider.list_subscriptions(request.customer_billing_id)) == 1


@MODES
def test_embedded_checkout_expired_keeps_no_secret(
    embedded_world: EmbeddedWorld, mode: CheckoutMode
) -> None:
    request = cart(embedded_world, mode)
    opened = embedded_world.provider.open_embedded_checkout(request, "checkout")
    expired = embedded_world.provider.expire_checkout(opened.billing_id)
    assert (expired.status, expired.client_secret) == (CheckoutStatus.EXPIRED, None)


@MODES
@pytest.mark.parametrize("field", ["success_url", "cancel_url"])
def test_embedded_checkout_with_a_hosted_pages_address_is_refused(
    embedded_world: EmbeddedWorld, mode: CheckoutMode, field: str
) -> None:
    request = replace(cart(embedded_world, mode), **{field: "https://app.example/back"})  # type: ignore[arg-type]
    with pytest.raises(ProviderRefusedError):
        embedded_world.provider.open_embedded_checkout(request, "checkout")


@MODES
def test_embedded_checkout_without_a_way_back_is_refused(
    embedded_world: EmbeddedWorld, mode: CheckoutMode
) -> None:
    request = replace(cart(embedded_world, mode), return_url=None)
    with pytest.raises(ProviderRefusedError):
        embedded_world.provider.open_embedded_checkout(request, "checkout")
