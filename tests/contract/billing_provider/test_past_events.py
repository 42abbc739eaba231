"""What a provider says it told us, told again; with the SDK's own parsing where that is Stripe."""

from datetime import timedelta

from chalicelib.domain.billing import ProviderEvent
from chalicelib.ports import EventHistory
from infra.local.stripe_stand_in.resources.webhooks import EVENT_LIFETIME_SECONDS
from tests.contract.billing_provider.samples import subscribed
from tests.contract.billing_provider.worlds import StripeWorld


def past(world: StripeWorld, **ago: float) -> list[ProviderEvent]:
    """All of them, newest first."""
    provider = world.provider
    assert isinstance(provider, EventHistory)
    since = world.clock.now() - timedelta(**ago)
    found: list[ProviderEvent] = []
    cursor: str | None = None
    while True:
        page = provider.past_events(since, cursor)
        assert page.unreadable == 0
        found += page.events
        cursor = page.next_cursor
        if cursor is None:
            return found


def test_past_events_tell_of_whom_and_what_without_any_endpoint() -> None:
    world = StripeWorld()
    bought = subscribed(world)
    found = past(world, hours=1)
    [created] = [event for event in found if event.type == "customer.subscription.created"]
    assert (
        created.object_id,
        created.customer_billing_id,
        created.live,
        created.about_customer,
    ) == (
        bought.billing_id,
        bought.customer_billing_id,
        False,
        True,
    )
    assert {"checkout.session.completed", "invoice.paid"} <= {event.type for event in found}
    assert not [event for event in found if event.type.startswith(("product.", "price."))]
    assert {event.customer_billing_id for event in found} == {bought.customer_billing_id}


def test_past_events_come_in_pages_each_once_and_only_since_then() -> None:
    world = StripeWorld()
    bought = subscribed(world)
    world.clock.sleep(3600)
    for number in range(230):
        world._send(
            "POST", f"/v1/customers/{bought.customer_billing_id}", {"name": f"Acme {number}"}
        )
    found = past(world, minutes=30)
    assert len(found) == len({event.id for event in found}) == 230
    assert len(past(world, hours=2)) > 230


def test_past_events_are_forgotten_after_thirty_days() -> None:
    world = StripeWorld()
    first = world.clock.now()
    subscribed(world)
    world.clock.sleep(EVENT_LIFETIME_SECONDS + 1)
    assert not [event for event in past(world, days=60) if event.created_at <= first]
