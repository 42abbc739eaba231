from typing import Any

import pytest
import stripe

from infra.local.stripe_stand_in import Request

DAY = 86_400
START = 1_767_225_600


def refused(call: Any, *arguments: Any) -> stripe.InvalidRequestError:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call(*arguments)
    return caught.value


def item_of(subscription: Any) -> Any:
    return subscription["items"].data[0]


@pytest.fixture
def yearly(api: Any, monthly: Any) -> Any:
    return api.prices.create(
        {
            "product": "pro",
            "currency": "usd",
            "unit_amount": 10_000,
            "recurring": {"interval": "year"},
        }
    )


def test_subscription_paid_shows_incomplete_first_then_active(
    api: Any, customer: Any, monthly: Any, events: Any
) -> None:
    events()
    made = api.subscriptions.create({"customer": customer.id, "items": [{"price": monthly.id}]})
    assert made.status == "active"
    told = events()
    assert told[0] == "customer.subscription.created"
    assert told[-1] == "customer.subscription.updated"
    created = api.events.list({"type": "customer.subscription.created"}).data[0]
    assert created["data"].object["status"] == "incomplete"


def test_subscription_periods_are_on_the_items(api: Any, subscription: Any) -> None:
    assert "current_period_end" not in subscription
    assert item_of(subscription).current_period_start == START
    assert item_of(subscription).price.id == item_of(subscription).plan.id


def test_subscription_without_a_card_is_refused(api: Any, monthly: Any) -> None:
    customer = api.customers.create({})
    error = refused(
        api.subscriptions.create, {"customer": customer.id, "items": [{"price": monthly.id}]}
    )
    assert error.code == "resource_missing"


def test_subscription_on_a_failing_card_is_incomplete(api: Any, monthly: Any) -> None:
    customer = api.customers.create(
        {
            "payment_method": "pm_card_chargeCustomerFail",
            "invoice_settings": {"default_payment_method": "pm_card_chargeCustomerFail"},
        }
    )
    made = api.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": monthly.id}],
            "expand": ["latest_invoice"],
        }
    )
    assert (made.status, made.latest_invoice.status) == ("incomplete", "open")


@pytest.mark.parametrize(
    "items",
    [
        [],
        [{"price": "price_nope"}],
        [{"quantity": 1}],
    ],
)
def test_subscription_with_bad_items_is_refused(api: Any, customer: Any, items: Any) -> None:
    refused(api.subscriptions.create, {"customer": customer.id, "items": items})


def test_subscription_of_an_inactive_or_one_time_price_is_refused(
    api: Any, customer: Any, monthly: Any
) -> None:
    once = api.prices.create({"product": "pro", "currency": "usd", "unit_amount": 1})
    refused(api.subscriptions.create, {"customer": customer.id, "items": [{"price": once.id}]})
    api.prices.update(monthly.id, {"active": False})
    refused(api.subscriptions.create, {"customer": customer.id, "items": [{"price": monthly.id}]})


def test_list_hides_canceled_unless_asked(api: Any, subscription: Any) -> None:
    api.subscriptions.cancel(subscription.id)
    mine = {"customer": subscription.customer}
    assert api.subscriptions.list(mine).data == []
    assert len(api.subscriptions.list({**mine, "status": "all"}).data) == 1
    assert len(api.subscriptions.list({**mine, "status": "canceled"}).data) == 1
    assert api.subscriptions.list({**mine, "status": "active"}).data == []


def test_cancel_twice_is_refused_and_changes_are_too(api: Any, subscription: Any) -> None:
    gone = api.subscriptions.cancel(subscription.id, {"cancellation_details": {"comment": "bye"}})
    assert gone.cancellation_details.reason == "cancellation_requested"
    assert gone.cancellation_details.comment == "bye"
    refused(api.subscriptions.cancel, subscription.id)
    refused(api.subscriptions.update, subscription.id, {"cancel_at_period_end": True})
    assert api.subscriptions.update(subscription.id, {"metadata": {"a": "b"}}).metadata.a == "b"


def test_quantity_raised_halfway_waits_for_the_next_invoice(
    api: Any, control: Any, subscription: Any
) -> None:
    control("clock", {"advance_seconds": 31 * DAY // 2})
    api.subscriptions.update(
        subscription.id, {"items": [{"id": item_of(subscription).id, "quantity": 3}]}
    )
    assert len(api.invoices.list({"subscription": subscription.id}).data) == 1
    preview = api.invoices.create_preview({"subscription": subscription.id})
    assert [line.amount for line in preview.lines.data] == [-500, 1500, 3000]
    control("clock", {"advance_seconds": 31 * DAY // 2 + 3600})
    assert api.invoices.list({"subscription": subscription.id}).data[0].total == 4000


def test_quantity_raised_with_always_invoice_is_paid_now(
    api: Any, control: Any, subscription: Any
) -> None:
    control("clock", {"advance_seconds": 31 * DAY // 2})
    change = {
        "items": [{"id": item_of(subscription).id, "quantity": 3}],
        "proration_behavior": "always_invoice",
    }
    preview = api.invoices.create_preview(
        {"subscription": subscription.id, "subscription_details": change}
    )
    changed = api.subscriptions.update(subscription.id, {**change, "expand": ["latest_invoice"]})
    assert preview.total == changed.latest_invoice.total == 1000
    assert changed.latest_invoice.billing_reason == "subscription_update"
    line = changed.latest_invoice.lines.data[0]
    assert line.parent.subscription_item_details.proration is True
    assert line.pricing.price_details.price == item_of(subscription).price.id


def test_quantity_changed_without_proration_costs_nothing_now(
    api: Any, control: Any, subscription: Any
) -> None:
    control("clock", {"advance_seconds": 10 * DAY})
    api.subscriptions.update(
        subscription.id,
        {
            "items": [{"id": item_of(subscription).id, "quantity": 3}],
            "proration_behavior": "none",
        },
    )
    assert api.invoices.create_preview({"subscription": subscription.id}).total == 3000


def test_preview_changes_nothing(api: Any, stand_in: Any, subscription: Any, events: Any) -> None:
    before = api.subscriptions.retrieve(subscription.id).to_dict()
    events()
    api.invoices.create_preview(
        {
            "subscription": subscription.id,
            "subscription_details": {"cancel_at_period_end": True},
        }
    )
    assert api.subscriptions.retrieve(subscription.id).to_dict() == before
    assert events() == []


def test_preview_of_a_new_subscription_needs_no_customer(api: Any, monthly: Any) -> None:
    details = {"items": [{"price": monthly.id, "quantity": 2}]}
    customer = api.customers.create({})
    preview = api.invoices.create_preview(
        {"customer": customer.id, "subscription_details": details}
    )
    assert preview.total == 2000
    assert api.subscriptions.list({"status": "all"}).data == []


def test_interval_changed_starts_a_new_cycle_and_bills_it(
    api: Any, control: Any, subscription: Any, yearly: Any
) -> None:
    control("clock", {"advance_seconds": 31 * DAY // 2})
    changed = api.subscriptions.update(
        subscription.id,
        {
            "items": [{"id": item_of(subscription).id, "price": yearly.id}],
            "expand": ["latest_invoice"],
        },
    )
    assert item_of(changed).current_period_start == START + 31 * DAY // 2
    assert changed.latest_invoice.total == 9500
    assert changed.latest_invoice.status == "paid"


def test_trial_ended_now_bills_at_once(api: Any, customer: Any, monthly: Any) -> None:
    made = api.subscriptions.create(
        {"customer": customer.id, "items": [{"price": monthly.id}], "trial_period_days": 10}
    )
    ended = api.subscriptions.update(made.id, {"trial_end": "now", "expand": ["latest_invoice"]})
    assert (ended.status, ended.latest_invoice.total) == ("active", 1000)


def test_billing_cycle_anchor_is_an_object_since_endive(api: Any, subscription: Any) -> None:
    refused(api.subscriptions.update, subscription.id, {"billing_cycle_anchor": "now"})
    api.subscriptions.update(subscription.id, {"billing_cycle_anchor": {"type": "unchanged"}})


def test_pause_and_resume(api: Any, control: Any, subscription: Any, events: Any) -> None:
    events()
    assert api.subscriptions.pause(subscription.id).status == "paused"
    control("clock", {"advance_seconds": 60 * DAY})
    assert len(api.invoices.list({"subscription": subscription.id}).data) == 1
    resumed = api.subscriptions.resume(subscription.id, {"expand": ["latest_invoice"]})
    assert resumed.status == "active"
    # The month that was paused at its first moment is given back with the one that begins now.
    assert [line.amount for line in resumed.latest_invoice.lines.data] == [-1000, 1000]
    told = events()
    assert "customer.subscription.paused" in told
    assert "customer.subscription.resumed" in told
    refused(api.subscriptions.resume, subscription.id)


def test_coupon_forever_stays_and_repeating_ends(
    api: Any, control: Any, customer: Any, monthly: Any
) -> None:
    forever = api.coupons.create({"percent_off": 10, "duration": "forever"})
    months = api.coupons.create(
        {
            "amount_off": 100,
            "currency": "usd",
            "duration": "repeating",
            "duration_in_months": 2,
        }
    )
    made = api.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": monthly.id}],
            "discounts": [{"coupon": forever.id}, {"coupon": months.id}],
            "expand": ["discounts.source.coupon"],
        }
    )
    assert made.discounts[0].source.coupon.id == forever.id
    control("clock", {"advance_seconds": 62 * DAY})
    totals = [invoice.total for invoice in api.invoices.list({"customer": customer.id}).data]
    assert totals == [900, 800, 800]


def test_items_are_added_and_removed_one_by_one(api: Any, subscription: Any, monthly: Any) -> None:
    seats = api.prices.create(
        {
            "product": "pro",
            "currency": "usd",
            "unit_amount": 300,
            "recurring": {"interval": "month"},
        }
    )
    item = api.subscription_items.create(
        {"subscription": subscription.id, "price": seats.id, "quantity": 2}
    )
    assert len(api.subscription_items.list({"subscription": subscription.id}).data) == 2
    assert api.subscription_items.update(item.id, {"quantity": 5}).quantity == 5
    assert api.subscription_items.delete(item.id).deleted is True
    refused(api.subscription_items.retrieve, item.id)
    refused(api.subscription_items.delete, item_of(subscription).id)


def test_schedule_changes_the_plan_at_period_end(
    api: Any, control: Any, subscription: Any, yearly: Any, events: Any
) -> None:
    schedule = api.subscription_schedules.create({"from_subscription": subscription.id})
    assert api.subscriptions.retrieve(subscription.id).schedule == schedule.id
    first = schedule.phases[0]
    api.subscription_schedules.update(
        schedule.id,
        {
            "end_behavior": "release",
            "phases": [
                {
                    "items": [{"price": item_of(subscription).price.id, "quantity": 1}],
                    "start_date": first.start_date,
                    "end_date": first.end_date,
                },
                {"items": [{"price": yearly.id, "quantity": 1}]},
            ],
        },
    )
    assert item_of(api.subscriptions.retrieve(subscription.id)).price.id != yearly.id
    control("clock", {"advance_seconds": 31 * DAY})
    changed = api.subscriptions.retrieve(subscription.id)
    assert item_of(changed).price.id == yearly.id
    assert item_of(changed).id == item_of(subscription).id
    totals = [i.total for i in api.invoices.list({"subscription": subscription.id}).data]
    assert totals == [10_000, 1000]


@pytest.mark.parametrize("named", [True, False])
def test_schedule_phase_ends_every_discount_that_it_does_not_name(
    api: Any, control: Any, subscription: Any, monthly: Any, *, named: bool
) -> None:
    coupon = api.coupons.create({"percent_off": 20, "duration": "forever"})
    discounted = api.subscriptions.update(subscription.id, {"discounts": [{"coupon": coupon.id}]})
    [discount] = discounted.discounts
    schedule = api.subscription_schedules.create({"from_subscription": subscription.id})
    first = schedule.phases[0]
    assert [one.discount for one in first.discounts] == [discount]
    kept = {"discounts": [{"discount": discount}]}
    items = {"items": [{"price": monthly.id, "quantity": 2}]}
    phases = [
        {
            "items": [{"price": monthly.id}],
            "start_date": first.start_date,
            "end_date": first.end_date,
            **kept,
        },
        {**items, "duration": {"interval": "month"}, **(kept if named else {})},
    ]
    api.subscription_schedules.update(schedule.id, {"phases": phases, "end_behavior": "release"})
    assert api.subscriptions.retrieve(subscription.id).discounts == [discount]
    control("clock", {"advance_seconds": 31 * DAY})
    assert api.subscriptions.retrieve(subscription.id).discounts == ([discount] if named else [])


def test_schedule_released_leaves_the_subscription(api: Any, subscription: Any) -> None:
    schedule = api.subscription_schedules.create({"from_subscription": subscription.id})
    released = api.subscription_schedules.release(schedule.id)
    assert (released.status, released.released_subscription) == ("released", subscription.id)
    assert api.subscriptions.retrieve(subscription.id).schedule is None
    refused(api.subscription_schedules.release, schedule.id)


def test_schedule_that_cancels_ends_its_subscription(
    api: Any, control: Any, customer: Any, monthly: Any
) -> None:
    schedule = api.subscription_schedules.create(
        {
            "customer": customer.id,
            "start_date": START + DAY,
            "end_behavior": "cancel",
            "phases": [{"items": [{"price": monthly.id}]}],
        }
    )
    assert (schedule.status, schedule.subscription) == ("not_started", None)
    control("clock", {"advance_seconds": DAY})
    running = api.subscription_schedules.retrieve(schedule.id)
    assert running.status == "active"
    control("clock", {"advance_seconds": 31 * DAY})
    assert api.subscription_schedules.retrieve(schedule.id).status == "completed"
    assert api.subscriptions.retrieve(running.subscription).status == "canceled"


def test_portal_session_leads_to_a_page(api: Any, stand_in: Any, subscription: Any) -> None:
    session = api.billing_portal.sessions.create(
        {"customer": subscription.customer, "return_url": "https://shop.example/account"}
    )
    page = stand_in.handle(Request("GET", "/" + session.url.split("/", 3)[3]))
    assert b"https://shop.example/account" in page.body
    assert b"active" in page.body


def test_refund_never_exceeds_the_charge(api: Any, subscription: Any) -> None:
    charge = api.charges.list({"customer": subscription.customer}).data[0]
    api.refunds.create({"charge": charge.id, "amount": 400})
    refused(api.refunds.create, {"charge": charge.id, "amount": 601})
    api.refunds.create({"charge": charge.id})
    assert refused(api.refunds.create, {"charge": charge.id}).code == "charge_already_refunded"
