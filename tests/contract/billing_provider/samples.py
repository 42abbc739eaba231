"""What is sold, to whom, in the contract tests."""

from dataclasses import replace
from datetime import timedelta

from chalicelib.domain.billing import (
    CheckoutItem,
    CheckoutRequest,
    CreatePrice,
    CreateProduct,
    MirrorPrice,
    MirrorProduct,
    ObservedProduct,
    SetDefaultPrice,
)
from chalicelib.domain.ids import FeatureId
from chalicelib.domain.prices import BillingPeriod, Price, PriceModel, fingerprint
from chalicelib.ports import CheckoutProvider
from tests.contract.billing_provider.worlds import START, World

CUSTOMER_METADATA = {"paygrade_entity_id": "acme", "paygrade_environment": "test"}


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


def observed(provider: CheckoutProvider) -> ObservedProduct:
    found = provider.observe_product(KEY)
    assert found is not None
    return found


def publish(provider: CheckoutProvider, *prices: MirrorPrice) -> list[str]:
    """The product with these prices, the first its default; returns the prices' ids."""
    provider.apply(CreateProduct(product=mirror_product(*prices)), "product")
    made = [
        provider.apply(CreatePrice(product_key=KEY, price=price), f"price-{index}")
        for index, price in enumerate(prices)
    ]
    default = SetDefaultPrice(product_key=KEY, lookup_key=prices[0].lookup_key)
    provider.apply(default, "default")
    return made


def checkout_request(customer_id: str, *items: CheckoutItem) -> CheckoutRequest:
    return CheckoutRequest(
        customer_billing_id=customer_id,
        reference="chk_1",
        items=items,
        success_url="https://app.example/ok?session_id={CHECKOUT_SESSION_ID}",
        cancel_url="https://app.example/back",
        expires_at=START + timedelta(hours=23),
        metadata={"paygrade_entity_id": "subs_1", "paygrade_customer": "acme"},
    )


def shop(world: World) -> tuple[str, CheckoutRequest]:
    """A customer's id and what it is about to buy: the plan and three seats."""
    monthly, seats = publish(world.provider, MONTHLY, SEATS)
    customer = world.provider.ensure_customer(CUSTOMER_METADATA, "customer")
    request = checkout_request(
        customer.billing_id,
        CheckoutItem(price_billing_id=monthly, quantity=1),
        CheckoutItem(price_billing_id=seats, quantity=3),
    )
    return customer.billing_id, request
