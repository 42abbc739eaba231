"""Stripe's record of its events: what is asked for, and what is made of an answer that can't be read."""

from datetime import timedelta

from tests.unit.adapters.stripe.scripted import NOW, listed, script
from tests.unit.adapters.stripe.test_events import event


def test_past_events_are_asked_for_by_time_and_by_the_types_that_matter() -> None:
    played = script(listed(event(), has_more=True), listed())
    page = played.provider.past_events(NOW - timedelta(days=1), None)
    assert [one.id for one in page.events] == ["evt_1Abc"]
    played.provider.past_events(NOW - timedelta(days=1), page.next_cursor)
    first, second = (sent.params for sent in played.sent)
    types = {text for name, text in first.items() if name.startswith("types[")}
    assert len(types) <= 20  # https://docs.stripe.com/api/events/list
    assert {"customer.subscription.updated", "invoice.paid", "customer.deleted"} <= types
    assert first["created[gte]"] == str(int(NOW.timestamp()) - 86_400)
    assert "delivery_success" not in first
    assert second["starting_after"] == "evt_1Abc"


def test_past_events_that_cannot_be_read_are_counted_and_passed_over() -> None:
    broken = {**event(), "id": "evt 2"}
    page = script(listed(broken, event())).provider.past_events(NOW, None)
    assert ([one.id for one in page.events], page.unreadable) == (["evt_1Abc"], 1)
    assert page.next_cursor is None
