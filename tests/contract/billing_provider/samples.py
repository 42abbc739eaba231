"""What is sold, to whom, in the contract tests."""

from dataclasses import replace

from chalicelib.domain.billing import (
    CheckoutItem,
    CreatePrice,
    CreateProduct,
    MirrorPrice,
    MirrorProduct,
    ObservedProduct,
    ProviderSubscription,
    SetDefaultPrice,
)
from chalicelib.domain.ids import FeatureId
from chalicelib.domain.prices import BillingPeriod, Price, PriceModel, fingerprint
from chalicelib.ports import BillingProvider
from tests.contract.billing_provider.worlds import World

CUSTOMER_METADATA = {
    "paygrade_entity_id": "acme",
    "paygrade_entity_url": "https://api.example/v1/customers/acme",
    "paygrade_environment": "test",
}


def mirror_price(amount: int = 1000, slot: str = "monthly", **changes: object) -> MirrorPrice:
    price = Price(
        id=slot,
        model=PriceModel.FLAT_FEE,
        currency="usd",
        billing_period=BillingPeriod.MONTH,
        amount=amount,
    )
    price = replace(price, **changes)  # type: ignore[arg-type]
    return MirrorPrice(
        lookup_key=f"paygrade:test:plan:pro:{slot}",
        fingerprint=fingerprint(price),
        price=price,
        metadata={"paygrade_entity_id": slot},
    )


def mirror_product(*prices: MirrorPrice, name: str = "Pro", active: bool = True) -> MirrorProduct:
    return MirrorProduct(
        product_key="pg_test_plan_pro",
        name=name,
        description="For teams",
        active=active,
        metadata={"paygrade_entity_id": "pro"},
        prices=prices,
        default_lookup_key=prices[0].lookup_key if prices else None,
    )


MONTHLY = mirror_price()
SEATS = mirror_price(700, "seats", model=PriceModel.PER_UNIT, feature_id=FeatureId("seats"))
PRODUCT = mirror_product(MONTHLY)
KEY = PRODUCT.product_key


def observed(provider: BillingProvider) -> ObservedProduct:
    found = provider.observe_product(KEY)
    assert found is not None
    return found


def publish(provider: BillingProvider, *prices: MirrorPrice) -> list[str]:
    """The product with these prices, the first its default; returns the prices' ids."""
    provider.apply(CreateProduct(product=mirror_product(*prices)), "product")
    made = [
        provider.apply(CreatePrice(product_key=KEY, price=price), f"price-{index}")
        for index, price in enumerate(prices)
    ]
    default = SetDefaultPrice(product_key=KEY, lookup_key=prices[0].lookup_key)
    provider.apply(default, "default")
    return made


def shop(world: World) -> tuple[str, tuple[CheckoutItem, CheckoutItem]]:
    """A customer's id and what it is about to buy: the plan and three seats."""
    monthly, seats = publish(world.provider, MONTHLY, SEATS)
    customer = world.provider.ensure_customer(CUSTOMER_METADATA, "customer")
    items = (
        CheckoutItem(price_billing_id=monthly, quantity=1),
        CheckoutItem(price_billing_id=seats, quantity=3),
    )
    return customer.billing_id, items


def subscribed(world: World) -> ProviderSubscription:
    """The only subscription of a customer that has just been subscribed."""
    customer_id, items = shop(world)
    world.subscribe(customer_id, items, "subscription")
    (found,) = world.provider.list_subscriptions(customer_id)
    return found
