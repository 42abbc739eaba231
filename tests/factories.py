"""Records with sensible defaults; a test names only what it is about."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from chalicelib.domain.billing import PriceOwner, ProviderItem, ProviderSubscription
from chalicelib.domain.convergence import (
    METADATA_CUSTOMER,
    METADATA_ENVIRONMENT,
    METADATA_ID,
    METADATA_PLAN_VERSION,
    METADATA_TYPE,
)
from chalicelib.domain.customers import Customer
from chalicelib.domain.entitlements import Entitlement
from chalicelib.domain.features import Feature, FeatureType
from chalicelib.domain.ids import CustomerId, FeatureId, PackageId, ProductId, SubscriptionId
from chalicelib.domain.plans import (
    Migration,
    Package,
    PackageContent,
    PackageKind,
    PackageVersion,
    PricingType,
)
from chalicelib.domain.prices import BillingPeriod, Price, PriceModel
from chalicelib.domain.products import Product
from chalicelib.domain.subscriptions import Subscription, SubscriptionStatus
from tests.fakes.system import START

ACME = CustomerId("acme")
APP = ProductId("app")
ENVIRONMENT = "test"


def a_feature(feature_id: str, kind: FeatureType = FeatureType.METERED, **fields: Any) -> Feature:
    if kind is FeatureType.ENUM:
        fields.setdefault("values", ("a", "b", "c"))
    return Feature(id=FeatureId(feature_id), name=feature_id, type=kind, created_at=START, **fields)


def features_by_id(*features: Feature) -> dict[FeatureId, Feature]:
    return {feature.id: feature for feature in features}


def a_limit(feature_id: str, limit: int | None = 10, **fields: Any) -> Entitlement:
    """An allowance of a metered feature; `limit` None is unlimited."""
    return Entitlement(
        feature_id=FeatureId(feature_id), usage_limit=limit, is_unlimited=limit is None, **fields
    )


def a_value(feature_id: str, value: bool | int, **fields: Any) -> Entitlement:
    return Entitlement(feature_id=FeatureId(feature_id), value=value, **fields)


def a_price(price_id: str = "monthly", amount: int | None = 1000, **fields: Any) -> Price:
    fields.setdefault("model", PriceModel.FLAT_FEE)
    fields.setdefault("currency", "usd")
    fields.setdefault("billing_period", BillingPeriod.MONTH)
    if "feature_id" in fields and fields["feature_id"] is not None:
        fields["feature_id"] = FeatureId(fields["feature_id"])
    return Price(id=price_id, amount=amount, **fields)


def a_seat_price(price_id: str = "seats", amount: int = 500, **fields: Any) -> Price:
    fields.setdefault("feature_id", "seats")
    return a_price(price_id, amount, model=PriceModel.PER_UNIT, **fields)


def a_product(product_id: str = APP, **fields: Any) -> Product:
    return Product(id=ProductId(product_id), name=product_id, created_at=START, **fields)


def a_content(
    *, prices: Iterable[Price] = (), entitlements: Iterable[Entitlement] = (), **fields: Any
) -> PackageContent:
    held = tuple(prices)
    fields.setdefault("name", "Pro")
    fields.setdefault("pricing_type", PricingType.PAID if held else PricingType.FREE)
    return PackageContent(prices=held, entitlements=tuple(entitlements), **fields)


def a_package(
    package_id: str = "pro",
    *,
    kind: PackageKind = PackageKind.PLAN,
    product_id: str = APP,
    **fields: Any,
) -> Package:
    fields.setdefault("draft", None)
    fields.setdefault("published_version", 1)
    fields.setdefault("latest_version", fields["published_version"] or 0)
    fields.setdefault("created_at", START)
    return Package(kind=kind, id=PackageId(package_id), product_id=ProductId(product_id), **fields)


def a_version(
    package_id: str = "pro",
    number: int = 1,
    *,
    kind: PackageKind = PackageKind.PLAN,
    product_id: str = APP,
    content: PackageContent | None = None,
    **content_fields: Any,
) -> PackageVersion:
    held = content if content is not None else a_content(**content_fields)
    return PackageVersion(
        kind=kind,
        id=PackageId(package_id),
        number=number,
        product_id=ProductId(product_id),
        content=held,
        entitlements=held.entitlements,
        migration=Migration.NEW_CUSTOMERS,
        published_at=START,
    )


def a_customer(customer_id: str = ACME, **fields: Any) -> Customer:
    fields.setdefault("created_at", START)
    return Customer(id=CustomerId(customer_id), **fields)


def a_subscription(
    subscription_id: str = "subs_1", plan_id: str = "pro", **fields: Any
) -> Subscription:
    fields.setdefault("customer_id", ACME)
    fields.setdefault("product_id", APP)
    fields.setdefault("plan_version", 1)
    fields.setdefault("status", SubscriptionStatus.ACTIVE)
    fields.setdefault("started_at", START)
    return Subscription(id=SubscriptionId(subscription_id), plan_id=PackageId(plan_id), **fields)


def an_owner(
    package_id: str = "pro",
    price: Price | None = None,
    *,
    kind: PackageKind = PackageKind.PLAN,
    versions: tuple[int, ...] = (1,),
    product_id: str = APP,
) -> PriceOwner:
    return PriceOwner(
        kind=kind,
        package_id=PackageId(package_id),
        product_id=ProductId(product_id),
        price=price or a_price(),
        versions=versions,
    )


def a_provider_subscription(
    billing_id: str = "sub_1",
    items: Mapping[str, int | None] | Iterable[str] = ("price_pro",),
    **fields: Any,
) -> ProviderSubscription:
    """Items by the provider's price id; without quantities one of each."""
    quantities = items if isinstance(items, Mapping) else dict.fromkeys(items, 1)
    fields.setdefault("customer_billing_id", "cus_1")
    fields.setdefault("status", SubscriptionStatus.ACTIVE)
    fields.setdefault("currency", "usd")
    fields.setdefault("started_at", START)
    fields.setdefault("created_at", START)
    fields.setdefault("current_period_start", START)
    fields.setdefault("current_period_end", START + timedelta(days=31))
    return ProviderSubscription(
        billing_id=billing_id,
        items=tuple(
            ProviderItem(price_billing_id=price, quantity=quantity)
            for price, quantity in quantities.items()
        ),
        **fields,
    )


def our_metadata(
    subscription_id: str = "subs_1",
    *,
    customer_id: str = ACME,
    plan_version: str = "pro=1",
    **more: str,
) -> dict[str, str]:
    """What a subscription of ours carries at the provider."""
    return {
        METADATA_ID: subscription_id,
        METADATA_TYPE: "subscription",
        METADATA_ENVIRONMENT: ENVIRONMENT,
        METADATA_CUSTOMER: customer_id,
        METADATA_PLAN_VERSION: plan_version,
        **more,
    }


def later(**delta: float) -> datetime:
    return START + timedelta(**delta)
