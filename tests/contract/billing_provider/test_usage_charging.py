"""Meters and the prices that count them; items without quantity; payments that come after a trial."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.billing import CheckoutItem, CreatePrice, CreateProduct, MirrorPrice
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError
from chalicelib.domain.ids import FeatureId
from chalicelib.domain.meters import (
    CreateMeter,
    MeteredUsage,
    MirrorMeter,
    UpdateMeter,
    mirror_meter,
)
from chalicelib.domain.prices import PriceModel
from chalicelib.domain.subscriptions import SubscriptionStatus
from chalicelib.ports import UsageCharging
from tests.contract.billing_provider.samples import (
    CUSTOMER_METADATA,
    KEY,
    MONTHLY,
    mirror_price,
    mirror_product,
    observed,
    publish,
)
from tests.contract.billing_provider.worlds import CheckoutWorld, checkout_request
from tests.factories import a_feature


def a_meter(feature_id: str = "calls") -> MirrorMeter:
    meter = mirror_meter("test", a_feature(feature_id))
    assert meter is not None
    return meter


METER = a_meter()


def usage_price() -> MirrorPrice:
    price = mirror_price(2, "usage", model=PriceModel.USAGE_BASED, feature_id=FeatureId("calls"))
    return replace(price, meter=METER.event_name)


def charging(world: CheckoutWorld) -> UsageCharging:
    assert isinstance(world.provider, UsageCharging)
    return world.provider


def seen(world: CheckoutWorld, meter: MirrorMeter = METER) -> tuple[str, str, bool]:
    found = charging(world).observe_meters(frozenset([meter.event_name]))[meter.event_name]
    return (found.billing_id, found.display_name, found.active)


def test_meter_made_twice_is_one_and_is_seen(checkout_world: CheckoutWorld) -> None:
    made = charging(checkout_world).apply_meter(CreateMeter(meter=METER))
    assert charging(checkout_world).apply_meter(CreateMeter(meter=METER)) == made
    assert seen(checkout_world) == (made, "calls", True)


def test_meter_is_seen_only_when_asked_for(checkout_world: CheckoutWorld) -> None:
    charging(checkout_world).apply_meter(CreateMeter(meter=METER))
    other = frozenset([a_meter("other").event_name])
    assert charging(checkout_world).observe_meters(other) == {}


def test_meter_renamed_keeps_its_id(checkout_world: CheckoutWorld) -> None:
    made = charging(checkout_world).apply_meter(CreateMeter(meter=METER))
    renamed = replace(METER, display_name="API calls")
    charging(checkout_world).apply_meter(UpdateMeter(billing_id=made, meter=renamed))
    assert seen(checkout_world) == (made, "API calls", True)


def test_price_of_a_meter_that_is_not_there_waits(checkout_world: CheckoutWorld) -> None:
    provider = checkout_world.provider
    provider.apply(CreateProduct(product=mirror_product(usage_price())), "product")
    with pytest.raises(ProviderUnavailableError):
        provider.apply(CreatePrice(product_key=KEY, price=usage_price()), "price")


def test_price_of_a_meter_is_observed_as_it_was_wished(checkout_world: CheckoutWorld) -> None:
    charging(checkout_world).apply_meter(CreateMeter(meter=METER))
    publish(checkout_world.provider, usage_price())
    (found,) = observed(checkout_world.provider).prices
    assert found.fingerprint == usage_price().fingerprint


def test_usage_is_bought_without_quantity(checkout_world: CheckoutWorld) -> None:
    charging(checkout_world).apply_meter(CreateMeter(meter=METER))
    monthly, usage = publish(checkout_world.provider, MONTHLY, usage_price())
    customer = checkout_world.provider.ensure_customer(CUSTOMER_METADATA, "customer")
    items = (
        CheckoutItem(price_billing_id=monthly, quantity=1),
        CheckoutItem(price_billing_id=usage, quantity=None),
    )
    bought = checkout_world.subscribe(customer.billing_id, items, "buy")
    held = checkout_world.provider.get_subscription(bought)
    assert held is not None
    assert {item.price_billing_id: item.quantity for item in held.items} == {
        monthly: 1,
        usage: None,
    }


def test_checkout_with_trial_makes_a_subscription_in_trial(checkout_world: CheckoutWorld) -> None:
    (monthly,) = publish(checkout_world.provider, MONTHLY)
    customer = checkout_world.provider.ensure_customer(CUSTOMER_METADATA, "customer")
    item = CheckoutItem(price_billing_id=monthly, quantity=1)
    request = replace(checkout_request(customer.billing_id, item), trial_days=14)
    opened = checkout_world.provider.open_checkout(request, "checkout")
    checkout_world.pay(opened.billing_id)
    (held,) = checkout_world.provider.list_subscriptions(customer.billing_id)
    assert held.status is SubscriptionStatus.IN_TRIAL
    assert held.trial_end == held.started_at + timedelta(days=14)


def some_usage(world: CheckoutWorld, usage_id: str = "chg_1", value: int = 7) -> MeteredUsage:
    customer = world.provider.ensure_customer(CUSTOMER_METADATA, "customer")
    return MeteredUsage(
        id=usage_id,
        event_name=METER.event_name,
        customer_billing_id=customer.billing_id,
        value=value,
        at=world.clock.now(),
    )


def test_usage_reported_twice_counts_once(checkout_world: CheckoutWorld) -> None:
    charging(checkout_world).apply_meter(CreateMeter(meter=METER))
    for usage_id, value in (("chg_1", 7), ("chg_2", 5), ("chg_1", 7)):
        charging(checkout_world).report_usage(some_usage(checkout_world, usage_id, value))
    assert checkout_world.metered() == {"chg_1": "7", "chg_2": "5"}


def test_usage_whose_answer_was_lost_counts_once(checkout_world: CheckoutWorld) -> None:
    charging(checkout_world).apply_meter(CreateMeter(meter=METER))
    usage = some_usage(checkout_world)
    checkout_world.lose_answer("report_usage")
    try:
        charging(checkout_world).report_usage(usage)
    except ProviderUnavailableError:
        charging(checkout_world).report_usage(usage)
    assert checkout_world.metered() == {"chg_1": "7"}


def test_usage_without_its_meter_or_customer_is_refused(checkout_world: CheckoutWorld) -> None:
    with pytest.raises(ProviderRefusedError):
        charging(checkout_world).report_usage(some_usage(checkout_world))
    charging(checkout_world).apply_meter(CreateMeter(meter=METER))
    unknown = replace(some_usage(checkout_world), customer_billing_id="cus_unknown")
    with pytest.raises(ProviderRefusedError):
        charging(checkout_world).report_usage(unknown)
    assert checkout_world.metered() == {}
