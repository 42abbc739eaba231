"""Our names on a provider's objects, and finding what carries them whoever has it."""

import pytest

from chalicelib.domain.errors import ProviderRefusedError
from chalicelib.ports import Marking, SubscriptionListing
from tests.contract.billing_provider.samples import CUSTOMER_METADATA, subscribed
from tests.contract.billing_provider.worlds import CheckoutWorld


def marking(world: CheckoutWorld) -> Marking:
    assert isinstance(world.provider, Marking)
    return world.provider


def live(world: CheckoutWorld) -> list[str]:
    provider = world.provider
    assert isinstance(provider, SubscriptionListing)
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = provider.live_subscriptions(cursor)
        found += [one.billing_id for one in page.subscriptions]
        cursor = page.next_cursor
        if cursor is None:
            return found


def test_customer_marked_carries_the_marks_beside_its_others(checkout_world: CheckoutWorld) -> None:
    made = checkout_world.provider.ensure_customer(CUSTOMER_METADATA, "key")
    for _ in range(2):
        marking(checkout_world).mark_customer(made.billing_id, {"more": "1"})
    found = checkout_world.provider.get_customer(made.billing_id)
    assert found is not None
    assert found.metadata == {**CUSTOMER_METADATA, "more": "1"}


def test_subscription_marked_carries_the_marks_beside_its_others(
    checkout_world: CheckoutWorld,
) -> None:
    held = subscribed(checkout_world)
    for _ in range(2):
        marking(checkout_world).mark_subscription(held.billing_id, {"more": "1"})
    found = checkout_world.provider.get_subscription(held.billing_id)
    assert found is not None
    assert found.metadata == {**held.metadata, "more": "1"}


def test_marks_for_what_is_not_there_are_refused(checkout_world: CheckoutWorld) -> None:
    with pytest.raises(ProviderRefusedError):
        marking(checkout_world).mark_customer("cus_none", {"more": "1"})
    with pytest.raises(ProviderRefusedError):
        marking(checkout_world).mark_subscription("sub_none", {"more": "1"})


def test_live_subscriptions_are_everybodys_but_those_that_ended(
    checkout_world: CheckoutWorld,
) -> None:
    assert live(checkout_world) == []
    held = subscribed(checkout_world)
    assert live(checkout_world) == [held.billing_id]
    checkout_world.cancel(held.billing_id)
    assert live(checkout_world) == []
