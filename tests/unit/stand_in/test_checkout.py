from typing import Any

import pytest
import stripe

DAY = 86_400
START = 1_767_225_600
DONE = "https://shop.example/done?session={CHECKOUT_SESSION_ID}"


def session_params(price: Any, **changes: Any) -> dict[str, Any]:
    return {
        "mode": "subscription",
        "line_items": [{"price": price.id, "quantity": 1}],
        "success_url": DONE,
        **changes,
    }


def refused(call: Any, *arguments: Any) -> stripe.InvalidRequestError:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call(*arguments)
    return caught.value


def test_session_fresh_is_open_and_unpaid(api: Any, monthly: Any) -> None:
    session = api.checkout.sessions.create(session_params(monthly))
    assert (session.status, session.payment_status) == ("open", "unpaid")
    assert session.subscription is None
    assert session.invoice is None
    assert session.success_url == DONE
    assert session.payment_method_types == ["card"]
    assert session.expires_at == START + DAY
    assert session.amount_total == 1000
    assert "line_items" not in session
    expanded = api.checkout.sessions.retrieve(session.id, {"expand": ["line_items.data.price"]})
    assert expanded.line_items.data[0].price.id == monthly.id


def test_session_paid_creates_what_it_sold(
    api: Any, control: Any, monthly: Any, events: Any
) -> None:
    session = api.checkout.sessions.create(
        session_params(
            monthly,
            client_reference_id="acme",
            metadata={"on": "session"},
            subscription_data={"metadata": {"on": "subscription"}},
        )
    )
    events()
    control(f"checkout_sessions/{session.id}/pay", {"outcome": "paid"})
    session = api.checkout.sessions.retrieve(session.id, {"expand": ["subscription", "customer"]})
    assert (session.status, session.payment_status) == ("complete", "paid")
    assert session.url is None
    assert session.client_reference_id == "acme"
    subscription = session.subscription
    assert subscription.status == "active"
    assert subscription.metadata.to_dict() == {"on": "subscription"}
    assert subscription.customer == session.customer.id
    assert subscription.latest_invoice == session.invoice
    assert api.invoices.retrieve(session.invoice).amount_paid == 1000
    told = events()
    assert told[-1] == "checkout.session.completed"
    assert told.count("customer.subscription.created") == 1
    assert "customer.subscription.updated" not in told


def test_session_declined_stays_open_without_a_subscription(
    api: Any, control: Any, monthly: Any
) -> None:
    session = api.checkout.sessions.create(session_params(monthly))
    control(f"checkout_sessions/{session.id}/pay", {"outcome": "declined"})
    assert api.checkout.sessions.retrieve(session.id).status == "open"
    assert api.subscriptions.list({"status": "all"}).data == []
    control(f"checkout_sessions/{session.id}/pay", {"outcome": "paid"})
    assert len(api.subscriptions.list().data) == 1


def test_session_abandoned_expires_by_itself(
    api: Any, control: Any, monthly: Any, events: Any
) -> None:
    session = api.checkout.sessions.create(session_params(monthly, expires_at=START + 1800))
    control(f"checkout_sessions/{session.id}/pay", {"outcome": "abandoned"})
    events()
    control("clock", {"advance_seconds": 1800})
    assert api.checkout.sessions.retrieve(session.id).status == "expired"
    assert events() == ["checkout.session.expired"]
    control(f"checkout_sessions/{session.id}/pay", {"outcome": "paid"}, status=400)


def test_session_paid_twice_is_refused(api: Any, control: Any, monthly: Any) -> None:
    session = api.checkout.sessions.create(session_params(monthly))
    control(f"checkout_sessions/{session.id}/pay")
    control(f"checkout_sessions/{session.id}/pay", status=400)
    assert len(api.subscriptions.list().data) == 1


def test_session_expired_by_the_shop_cannot_be_paid(api: Any, control: Any, monthly: Any) -> None:
    session = api.checkout.sessions.create(session_params(monthly))
    assert api.checkout.sessions.expire(session.id).status == "expired"
    refused(api.checkout.sessions.expire, session.id)
    control(f"checkout_sessions/{session.id}/pay", status=400)


def test_session_with_a_trial_charges_nothing_today(api: Any, control: Any, monthly: Any) -> None:
    session = api.checkout.sessions.create(
        session_params(monthly, subscription_data={"trial_period_days": 14})
    )
    assert session.amount_total == 0
    paid = control(f"checkout_sessions/{session.id}/pay")
    assert paid["payment_status"] == "no_payment_required"
    subscription = api.subscriptions.retrieve(paid["subscription"])
    assert subscription.status == "trialing"
    assert subscription.trial_end == START + 14 * DAY
    assert subscription["items"].data[0].current_period_end == subscription.trial_end


def test_session_mixes_recurring_and_one_time(api: Any, control: Any, monthly: Any) -> None:
    setup = api.prices.create({"product": "pro", "currency": "usd", "unit_amount": 500})
    lines = [{"price": monthly.id, "quantity": 2}, {"price": setup.id, "quantity": 1}]
    session = api.checkout.sessions.create(session_params(monthly, line_items=lines))
    assert session.amount_total == 2500
    paid = control(f"checkout_sessions/{session.id}/pay")
    subscription = api.subscriptions.retrieve(paid["subscription"])
    assert len(subscription["items"].data) == 1
    assert api.invoices.retrieve(paid["invoice"]).total == 2500


def test_session_discount_is_redeemed_when_paid(api: Any, control: Any, monthly: Any) -> None:
    coupon = api.coupons.create({"percent_off": 25, "duration": "once"})
    session = api.checkout.sessions.create(
        session_params(monthly, discounts=[{"coupon": coupon.id}])
    )
    assert (session.amount_total, session.total_details.amount_discount) == (750, 250)
    assert api.coupons.retrieve(coupon.id).times_redeemed == 0
    paid = control(f"checkout_sessions/{session.id}/pay")
    assert api.coupons.retrieve(coupon.id).times_redeemed == 1
    assert api.invoices.retrieve(paid["invoice"]).total == 750
    assert api.subscriptions.retrieve(paid["subscription"]).discounts == []


def test_session_for_one_payment_makes_no_subscription(
    api: Any, control: Any, monthly: Any
) -> None:
    setup = api.prices.create({"product": "pro", "currency": "usd", "unit_amount": 500})
    session = api.checkout.sessions.create(
        {
            "mode": "payment",
            "line_items": [{"price": setup.id, "quantity": 3}],
            "success_url": DONE,
            "payment_intent_data": {"metadata": {"a": "b"}},
        }
    )
    paid = control(f"checkout_sessions/{session.id}/pay")
    assert paid["subscription"] is None
    intent = api.payment_intents.retrieve(paid["payment_intent"])
    assert (intent.amount_received, intent.metadata.to_dict()) == (1500, {"a": "b"})


def test_session_to_save_a_card_charges_nothing(api: Any, control: Any, customer: Any) -> None:
    session = api.checkout.sessions.create(
        {"mode": "setup", "currency": "usd", "customer": customer.id, "success_url": DONE}
    )
    paid = control(f"checkout_sessions/{session.id}/pay")
    assert paid["setup_intent"].startswith("seti_")
    assert len(api.payment_methods.list({"customer": customer.id}).data) == 2


@pytest.mark.parametrize(
    ("ui_mode", "has_url"), [("hosted_page", True), ("embedded_page", False), ("elements", False)]
)
def test_session_url_or_client_secret_follows_the_ui_mode(
    api: Any, monthly: Any, ui_mode: str, has_url: bool
) -> None:
    params = session_params(monthly, ui_mode=ui_mode)
    if not has_url:
        params["return_url"] = params.pop("success_url")
    session = api.checkout.sessions.create(params)
    assert (session.url is not None) is has_url
    assert (session.client_secret is None) is has_url


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"customer": "cus_nope"}, "customer"),
        ({"customer_update": {"name": "auto"}}, "customer_update"),
        ({"allow_promotion_codes": True, "discounts": [{"coupon": "c"}]}, "allow_promotion_codes"),
        ({"discounts": [{"coupon": "nope"}]}, "discounts[0][coupon]"),
        ({"expires_at": START + 1799}, "expires_at"),
        ({"expires_at": START + DAY + 1}, "expires_at"),
        ({"return_url": "https://a.example"}, "return_url"),
        ({"ui_mode": "embedded_page"}, "return_url"),
        ({"success_url": "javascript:x"}, "success_url"),
        ({"line_items": []}, "line_items"),
        ({"line_items": [{"price": "price_nope", "quantity": 1}]}, "line_items[0][price]"),
        ({"subscription_data": {"trial_period_days": 0}}, "subscription_data[trial_period_days]"),
        (
            {"subscription_data": {"trial_end": START + DAY}},
            "subscription_data[trial_end]",
        ),
        ({"mode": "payment"}, "line_items"),
        ({"client_reference_id": "x" * 201}, "client_reference_id"),
        ({"payment_intent_data": {"description": "x"}}, "payment_intent_data"),
    ],
)
def test_session_that_stripe_would_refuse_is_refused(
    api: Any, monthly: Any, changes: Any, param: str
) -> None:
    assert refused(api.checkout.sessions.create, session_params(monthly, **changes)).param == param


def test_session_needs_a_success_url(api: Any, monthly: Any) -> None:
    params = session_params(monthly)
    del params["success_url"]
    assert refused(api.checkout.sessions.create, params).code == "parameter_missing"


def test_session_of_customer_and_email_is_refused(api: Any, monthly: Any, customer: Any) -> None:
    params = session_params(monthly, customer=customer.id, customer_email="a@b.example")
    refused(api.checkout.sessions.create, params)


def test_session_of_an_inactive_price_is_refused(api: Any, monthly: Any) -> None:
    api.prices.update(monthly.id, {"active": False})
    error = refused(api.checkout.sessions.create, session_params(monthly))
    assert "inactive" in str(error)


def test_session_of_a_metered_price_takes_no_quantity(api: Any, control: Any, monthly: Any) -> None:
    meter = api.billing.meters.create(
        {"display_name": "Calls", "event_name": "calls", "default_aggregation": {"formula": "sum"}}
    )
    metered = api.prices.create(
        {
            "product": "pro",
            "currency": "usd",
            "unit_amount": 1,
            "recurring": {"interval": "month", "usage_type": "metered", "meter": meter.id},
        }
    )
    refused(api.checkout.sessions.create, session_params(metered))
    session = api.checkout.sessions.create(
        session_params(metered, line_items=[{"price": metered.id}])
    )
    paid = control(f"checkout_sessions/{session.id}/pay")
    item = api.subscriptions.retrieve(paid["subscription"])["items"].data[0]
    assert "quantity" not in item


def test_session_in_another_currency_uses_its_option(api: Any, control: Any, monthly: Any) -> None:
    price = api.prices.create(
        {
            "product": "pro",
            "currency": "usd",
            "unit_amount": 1000,
            "recurring": {"interval": "month"},
            "currency_options": {"eur": {"unit_amount": 900}},
        }
    )
    session = api.checkout.sessions.create(session_params(price, currency="eur"))
    assert (session.currency, session.amount_total) == ("eur", 900)
    paid = control(f"checkout_sessions/{session.id}/pay")
    invoice = api.invoices.retrieve(paid["invoice"])
    assert (invoice.currency, invoice.total) == ("eur", 900)
