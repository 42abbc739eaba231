from typing import Any

import pytest
import stripe

DAY = 86_400
START = 1_767_225_600


@pytest.fixture
def meter(api: Any) -> Any:
    return api.billing.meters.create(
        {"display_name": "Calls", "event_name": "calls", "default_aggregation": {"formula": "sum"}}
    )


def report(api: Any, customer: Any, value: str = "1", **changes: Any) -> Any:
    return api.billing.meter_events.create(
        {
            "event_name": "calls",
            "payload": {"stripe_customer_id": customer.id, "value": value},
            **changes,
        }
    )


def refused(call: Any, *arguments: Any, **changes: Any) -> stripe.InvalidRequestError:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call(*arguments, **changes)
    return caught.value


def used(api: Any, meter: Any, customer: Any) -> float:
    span = {"customer": customer.id, "start_time": START - 36 * DAY, "end_time": START + 36 * DAY}
    total: float = api.billing.meters.event_summaries.list(meter.id, span).data[0].aggregated_value
    return total


def test_usage_adds_up_and_an_identifier_counts_once(api: Any, meter: Any, customer: Any) -> None:
    report(api, customer, "2.5", identifier="a")
    report(api, customer, "1", identifier="b")
    assert refused(report, api, customer, identifier="a").code == "duplicate_meter_event"
    assert used(api, meter, customer) == 3.5


@pytest.mark.parametrize(("formula", "expected"), [("sum", 9.0), ("count", 3.0), ("last", 4.0)])
def test_usage_follows_the_formula(api: Any, customer: Any, formula: str, expected: float) -> None:
    meter = api.billing.meters.create(
        {
            "display_name": "Calls",
            "event_name": "calls",
            "default_aggregation": {"formula": formula},
        }
    )
    for value, at in (("4", 30), ("3", 10), ("2", 20)):
        report(api, customer, value, timestamp=START - 60 + at)
    assert used(api, meter, customer) == expected


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (START - 35 * DAY - 1, "timestamp_too_far_in_past"),
        (START + 301, "timestamp_too_far_in_future"),
    ],
)
def test_usage_outside_the_window_is_refused(
    api: Any, meter: Any, customer: Any, at: int, code: str
) -> None:
    assert refused(report, api, customer, timestamp=at).code == code


def test_usage_for_no_meter_or_an_inactive_one_is_refused(
    api: Any, meter: Any, customer: Any
) -> None:
    assert refused(report, api, customer, event_name="nope").code == "no_meter"
    api.billing.meters.deactivate(meter.id)
    assert refused(report, api, customer).code == "archived_meter"


def test_usage_without_its_payload_is_refused(api: Any, meter: Any, customer: Any) -> None:
    refused(report, api, customer, payload={"value": "1"})
    refused(report, api, customer, payload={"stripe_customer_id": customer.id})
    refused(report, api, customer, "many")


def test_event_name_is_unique_among_active_meters(api: Any, meter: Any) -> None:
    params = {
        "display_name": "B",
        "event_name": "calls",
        "default_aggregation": {"formula": "count"},
    }
    assert refused(api.billing.meters.create, params).code == "resource_already_exists"
    api.billing.meters.deactivate(meter.id)
    api.billing.meters.create(params)
    refused(api.billing.meters.reactivate, meter.id)


def test_metered_price_needs_an_active_meter(api: Any, meter: Any, monthly: Any) -> None:
    base = {"product": "pro", "currency": "usd", "unit_amount": 1}
    metered = {"interval": "month", "usage_type": "metered"}
    refused(api.prices.create, {**base, "recurring": metered})
    refused(api.prices.create, {**base, "recurring": {**metered, "meter": "mtr_nope"}})
    refused(api.prices.create, {**base, "recurring": {"interval": "month", "meter": meter.id}})
    assert api.prices.create({**base, "recurring": {**metered, "meter": meter.id}}).active is True


def test_usage_is_billed_after_its_period(
    api: Any, control: Any, meter: Any, monthly: Any, customer: Any
) -> None:
    price = api.prices.create(
        {
            "product": "pro",
            "currency": "usd",
            "unit_amount_decimal": "0.5",
            "recurring": {"interval": "month", "usage_type": "metered", "meter": meter.id},
        }
    )
    made = api.subscriptions.create(
        {"customer": customer.id, "items": [{"price": monthly.id}, {"price": price.id}]}
    )
    report(api, customer, "101")
    control("clock", {"advance_seconds": 31 * DAY + 3600})
    report(api, customer, "7")
    invoice = api.invoices.list({"subscription": made.id}).data[0]
    lines = {line.pricing.price_details.price: line for line in invoice.lines.data}
    assert (lines[price.id].amount, lines[price.id].quantity) == (51, 101)
    assert lines[price.id].period.start == START
    assert invoice.total == 1051
    assert api.invoices.create_preview({"subscription": made.id}).total == 1004
