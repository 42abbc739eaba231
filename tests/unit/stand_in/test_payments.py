from typing import Any

import pytest
import stripe


def refused(call: Any, *arguments: Any) -> stripe.StripeError:
    with pytest.raises(stripe.StripeError) as caught:
        call(*arguments)
    return caught.value


def test_payment_method_is_attached_listed_and_detached(api: Any, customer: Any) -> None:
    card = api.payment_methods.create({"type": "card", "card": {"token": "tok_mastercard"}})
    api.payment_methods.attach(card.id, {"customer": customer.id})
    listed = api.customers.payment_methods.list(customer.id).data
    assert [method.card.brand for method in listed] == ["mastercard", "visa"]
    default = customer.invoice_settings.default_payment_method
    api.payment_methods.detach(default)
    assert api.customers.retrieve(customer.id).invoice_settings.default_payment_method is None
    assert api.payment_methods.retrieve(default).customer is None
    assert len(api.payment_methods.list({"customer": customer.id}).data) == 1


def test_payment_method_that_declines_is_not_attached(api: Any, customer: Any) -> None:
    error = refused(api.payment_methods.attach, "pm_card_chargeDeclined", {"customer": customer.id})
    assert isinstance(error, stripe.CardError)
    assert error.code == "card_declined"
    assert len(api.payment_methods.list({"customer": customer.id}).data) == 1


def test_payment_intent_declined_keeps_the_attempt(api: Any, events: Any) -> None:
    params = {
        "amount": 500,
        "currency": "usd",
        "payment_method": "pm_card_chargeDeclined",
        "confirm": True,
    }
    events()
    error: Any = refused(api.payment_intents.create, params)
    intent = api.payment_intents.retrieve(error.json_body["error"]["payment_intent"]["id"])
    assert intent.status == "requires_payment_method"
    assert events()[-2:] == ["charge.failed", "payment_intent.payment_failed"]
    paid = api.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert (paid.status, paid.amount_received) == ("succeeded", 500)
    refused(api.payment_intents.cancel, intent.id)


def test_payment_intent_can_be_canceled(api: Any) -> None:
    intent = api.payment_intents.create({"amount": 500, "currency": "usd"})
    assert api.payment_intents.cancel(intent.id).status == "canceled"
    assert [found.id for found in api.payment_intents.list().data] == [intent.id]


def test_charge_in_one_step_is_refunded(api: Any) -> None:
    charge = api.charges.create({"amount": 500, "currency": "usd", "source": "tok_visa"})
    api.charges.update(charge.id, {"metadata": {"a": "b"}})
    refund = api.refunds.create({"payment_intent": charge.payment_intent})
    assert api.refunds.retrieve(refund.id).amount == 500
    assert api.charges.retrieve(charge.id).refunded is True
    assert len(api.refunds.list({"charge": charge.id}).data) == 1


def test_invoice_by_hand_goes_from_draft_to_paid(api: Any, customer: Any, events: Any) -> None:
    item = api.invoice_items.create({"customer": customer.id, "amount": 700, "currency": "usd"})
    assert api.invoice_items.retrieve(item.id).amount == 700
    draft = api.invoices.create(
        {"customer": customer.id, "pending_invoice_items_behavior": "include"}
    )
    assert (draft.status, draft.total, draft.parent) == ("draft", 700, None)
    api.invoices.update(draft.id, {"description": "By hand"})
    events()
    assert api.invoices.finalize_invoice(draft.id).status == "open"
    paid = api.invoices.pay(draft.id)
    assert (paid.status, paid.amount_paid, paid.description) == ("paid", 700, "By hand")
    assert "invoice.paid" in events()
    assert refused(api.invoices.pay, draft.id).code == "invoice_already_paid"
    payment = api.invoice_payments.list({"invoice": draft.id}).data[0]
    assert api.invoice_payments.retrieve(payment.id).status == "paid"
    assert [line.amount for line in api.invoices.line_items.list(draft.id).data] == [700]


def test_invoice_can_be_voided_given_up_or_deleted(api: Any, customer: Any) -> None:
    def fresh() -> str:
        api.invoice_items.create({"customer": customer.id, "amount": 1, "currency": "usd"})
        made: str = api.invoices.create(
            {"customer": customer.id, "pending_invoice_items_behavior": "include"}
        ).id
        return made

    assert api.invoices.delete(fresh()).deleted is True
    first, second, third = fresh(), fresh(), fresh()
    refused(api.invoices.void_invoice, first)
    api.invoices.finalize_invoice(first)
    assert api.invoices.void_invoice(first).status == "void"
    api.invoices.send_invoice(second)
    assert api.invoices.mark_uncollectible(second).status == "uncollectible"
    assert api.invoices.pay(third, {"paid_out_of_band": True}).status == "paid"
    assert len(api.invoices.list({"status": "void"}).data) == 1


def test_credit_of_a_downgrade_pays_the_next_invoice(api: Any, control: Any, customer: Any) -> None:
    api.customers.update(customer.id, {"balance": -300})
    api.invoice_items.create({"customer": customer.id, "amount": 1000, "currency": "usd"})
    draft = api.invoices.create(
        {"customer": customer.id, "pending_invoice_items_behavior": "include"}
    )
    paid = api.invoices.pay(draft.id)
    assert (paid.total, paid.amount_due, paid.amount_paid) == (1000, 700, 700)
    assert api.customers.retrieve(customer.id).balance == 0


def test_portal_configuration_is_merged_into_the_defaults(api: Any) -> None:
    made = api.billing_portal.configurations.create(
        {"features": {"subscription_cancel": {"enabled": True}}}
    )
    assert made.is_default is True
    assert made.features.subscription_cancel.mode == "at_period_end"
    api.billing_portal.configurations.update(
        made.id, {"features": {"invoice_history": {"enabled": True}}}
    )
    again = api.billing_portal.configurations.retrieve(made.id)
    assert again.features.invoice_history.enabled is True
    assert again.features.subscription_cancel.enabled is True
    assert len(api.billing_portal.configurations.list({"active": True}).data) == 1


def test_usage_event_can_be_taken_back(api: Any, customer: Any) -> None:
    meter = api.billing.meters.create(
        {"display_name": "Calls", "event_name": "calls", "default_aggregation": {"formula": "sum"}}
    )
    payload = {"stripe_customer_id": customer.id, "value": "5"}
    api.billing.meter_events.create({"event_name": "calls", "payload": payload, "identifier": "a"})
    api.billing.meter_event_adjustments.create(
        {"event_name": "calls", "type": "cancel", "cancel": {"identifier": "a"}}
    )
    now = 1_767_225_600
    span = {"customer": customer.id, "start_time": now - 60, "end_time": now + 60}
    summaries = api.billing.meters.event_summaries.list(meter.id, span).data
    assert summaries[0].aggregated_value == 0


def test_account_is_a_test_account(api: Any) -> None:
    account = api.accounts.retrieve_current()
    assert api.accounts.retrieve(account.id).country == "US"
