"""What the clock alone brings about, in the order and with the events Stripe has."""

from datetime import UTC, datetime
from typing import Any

import pytest

DAY = 86_400
START = 1_767_225_600


def utc(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp())  # type: ignore[arg-type, misc]


def item_of(subscription: Any) -> Any:
    return subscription["items"].data[0]


def test_renewal_bills_the_next_period_an_hour_later(
    api: Any, control: Any, subscription: Any, events: Any
) -> None:
    events()
    control("clock", {"advance_seconds": 31 * DAY})
    renewed = api.subscriptions.retrieve(subscription.id)
    assert item_of(renewed).current_period_start == START + 31 * DAY
    assert item_of(renewed).current_period_end == utc(2026, 3, 1)
    assert api.invoices.retrieve(renewed.latest_invoice).status == "draft"
    assert events() == ["invoice.created", "customer.subscription.updated"]
    control("clock", {"advance_seconds": 3600})
    assert api.invoices.retrieve(renewed.latest_invoice).status == "paid"
    assert "invoice.paid" in events()


def test_events_of_an_advance_carry_the_time_they_were_due(
    api: Any, control: Any, subscription: Any
) -> None:
    control("clock", {"advance_seconds": 100 * DAY})
    moments = [
        event.created
        for event in api.events.list({"type": "invoice.created", "limit": 10}).data
        if event["data"].object["billing_reason"] == "subscription_cycle"
    ]
    # Events older than 30 days are gone, so January's and February's renewals are not here.
    assert moments == [utc(2026, 4, 1)]


def test_month_ends_come_back_to_their_day(stand_in: Any, api: Any, control: Any) -> None:
    control("clock", {"advance_seconds": 30 * DAY})
    product = api.products.create({"name": "A"})
    price = api.prices.create(
        {
            "product": product.id,
            "currency": "usd",
            "unit_amount": 1,
            "recurring": {"interval": "month"},
        }
    )
    customer = api.customers.create({"source": "tok_visa"})
    made = api.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}]})
    ends = [item_of(made).current_period_end]
    for _ in range(2):
        control("clock", {"advance_seconds": ends[-1] - stand_in.account.now()})
        ends.append(item_of(api.subscriptions.retrieve(made.id)).current_period_end)
    assert ends == [utc(2026, 2, 28), utc(2026, 3, 31), utc(2026, 4, 30)]


def test_trial_end_warns_three_days_before_and_then_bills(
    api: Any, control: Any, customer: Any, monthly: Any, events: Any
) -> None:
    made = api.subscriptions.create(
        {"customer": customer.id, "items": [{"price": monthly.id}], "trial_period_days": 10}
    )
    assert made.status == "trialing"
    events()
    control("clock", {"advance_seconds": 7 * DAY})
    assert events() == ["customer.subscription.trial_will_end"]
    control("clock", {"advance_seconds": 3 * DAY + 3600})
    after = api.subscriptions.retrieve(made.id, {"expand": ["latest_invoice"]})
    assert after.status == "active"
    assert (after.latest_invoice.status, after.latest_invoice.total) == ("paid", 1000)


@pytest.mark.parametrize(
    ("behavior", "status", "event"),
    [
        ("cancel", "canceled", "customer.subscription.deleted"),
        ("pause", "paused", "customer.subscription.paused"),
    ],
)
def test_trial_without_a_card_ends_as_its_settings_say(
    api: Any, control: Any, monthly: Any, events: Any, behavior: str, status: str, event: str
) -> None:
    customer = api.customers.create({"email": "a@b.example"})
    made = api.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": monthly.id}],
            "trial_period_days": 5,
            "trial_settings": {"end_behavior": {"missing_payment_method": behavior}},
        }
    )
    control("clock", {"advance_seconds": 5 * DAY})
    assert api.subscriptions.retrieve(made.id).status == status
    assert event in events()


def fail_from_now_on(api: Any, customer: Any) -> None:
    bad = api.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer})
    api.customers.update(customer, {"invoice_settings": {"default_payment_method": bad.id}})


def test_failed_renewal_is_past_due_until_paid(api: Any, control: Any, subscription: Any) -> None:
    fail_from_now_on(api, subscription.customer)
    control("clock", {"advance_seconds": 31 * DAY + 3600})
    late = api.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})
    assert late.status == "past_due"
    assert late.latest_invoice.attempt_count == 1
    assert late.latest_invoice.next_payment_attempt == START + 34 * DAY + 3600
    good = api.payment_methods.attach("pm_card_visa", {"customer": subscription.customer})
    api.invoices.pay(late.latest_invoice.id, {"payment_method": good.id})
    assert api.subscriptions.retrieve(subscription.id).status == "active"


@pytest.mark.parametrize(("end", "status"), [("cancel", "canceled"), ("unpaid", "unpaid")])
def test_failed_renewal_after_the_last_try_ends_as_set(
    api: Any, control: Any, subscription: Any, end: str, status: str
) -> None:
    control("settings", {"dunning_end": end})
    fail_from_now_on(api, subscription.customer)
    control("clock", {"advance_seconds": 31 * DAY + 3600 + 15 * DAY})
    late = api.subscriptions.retrieve(subscription.id)
    assert late.status == status
    assert api.invoices.retrieve(late.latest_invoice).attempt_count == 4


def test_cancel_at_period_end_happens_then(
    api: Any, control: Any, subscription: Any, events: Any
) -> None:
    leaving = api.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    assert leaving.cancel_at == item_of(leaving).current_period_end
    events()
    control("clock", {"advance_seconds": 31 * DAY})
    gone = api.subscriptions.retrieve(subscription.id)
    assert (gone.status, gone.ended_at) == ("canceled", START + 31 * DAY)
    assert events() == ["customer.subscription.deleted"]


def test_cancel_taken_back_renews(api: Any, control: Any, subscription: Any) -> None:
    api.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    back = api.subscriptions.update(subscription.id, {"cancel_at_period_end": False})
    assert (back.cancel_at, back.canceled_at) == (None, None)
    control("clock", {"advance_seconds": 32 * DAY})
    assert api.subscriptions.retrieve(subscription.id).status == "active"


def test_incomplete_expires_after_23_hours(
    api: Any, control: Any, customer: Any, monthly: Any
) -> None:
    made = api.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": monthly.id}],
            "payment_behavior": "default_incomplete",
        }
    )
    assert made.status == "incomplete"
    control("clock", {"advance_seconds": 23 * 3600})
    gone = api.subscriptions.retrieve(made.id)
    assert gone.status == "incomplete_expired"
    assert api.invoices.retrieve(gone.latest_invoice).status == "void"


def test_incomplete_paid_in_time_is_active(api: Any, customer: Any, monthly: Any) -> None:
    made = api.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": monthly.id}],
            "payment_behavior": "default_incomplete",
            "expand": ["latest_invoice.confirmation_secret", "latest_invoice.payments"],
        }
    )
    secret = made.latest_invoice.confirmation_secret.client_secret
    intent = made.latest_invoice.payments.data[0].payment.payment_intent
    assert secret.startswith(intent)
    api.payment_intents.confirm(intent, {"payment_method": "pm_card_visa"})
    assert api.subscriptions.retrieve(made.id).status == "active"


def test_clock_only_moves_forward(control: Any) -> None:
    control("clock", {"advance_seconds": -1}, status=400)
    control("clock", {"advance_seconds": "1"}, status=400)


def test_years_of_renewals_happen_in_one_step(api: Any, control: Any, subscription: Any) -> None:
    control("clock", {"advance_seconds": 3 * 366 * DAY})
    invoices = list(
        api.invoices.list({"subscription": subscription.id, "limit": 100}).auto_paging_iter()
    )
    assert len(invoices) == 37
    assert {invoice.status for invoice in invoices} == {"paid"}
