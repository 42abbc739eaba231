"""The paywall: everything that a pricing table shows, in one answer."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api import whose
from chalicelib.api.customers import Country, Currency
from chalicelib.api.entitlement_models import EntitlementModel
from chalicelib.api.http import Call, Reply, endpoint
from chalicelib.api.price_models import ShownPrice
from chalicelib.api.subscriptions import SubscriptionOut
from chalicelib.api.subscriptions import from_domain as subscription_from_domain
from chalicelib.api.wire import ChosenId, NoBody, Query, Wire
from chalicelib.domain.api_keys import KeyKind, Scope
from chalicelib.domain.entitlements import Entitlement
from chalicelib.domain.errors import ForbiddenError
from chalicelib.domain.features import Feature, FeatureType
from chalicelib.domain.ids import CustomerId, FeatureId, ProductId
from chalicelib.domain.paywalls import PlanRelation
from chalicelib.domain.plans import PricingType, TrialUnit
from chalicelib.services.view_paywall import Offer, Paywall, PaywallQuestion, view_paywall

bp = Blueprint(__name__)

# What everybody may see, anybody may keep for a moment; a publication shows within it.
_PUBLIC_CACHING: Final = {"Cache-Control": "public, max-age=60"}


class PaywallQuery(Query):
    """Which paywall."""

    product_id: Annotated[
        ChosenId | None, Field(description="Only this product's. Default: every product's.")
    ] = None
    customer_id: Annotated[
        ChosenId | None,
        Field(description="For whom. With a customer token: its own customer, said or not."),
    ] = None
    currency: Annotated[
        Currency | None,
        Field(description="Only prices in it. Default: the customer's where sold in it, else all."),
    ] = None
    country: Annotated[
        Country | None,
        Field(description="Whose prices. A customer's own country, where known, comes first."),
    ] = None


class PaywallProduct(Wire):
    """What groups the plans."""

    id: str
    name: str
    description: str | None


class PaywallEntitlement(EntitlementModel):
    """What the plan or add-on gives, in words for people."""

    feature_name: str
    feature_type: FeatureType | None
    unit: str | None


class PaywallTrial(Wire):
    """The plan's trial; each customer has one of a product."""

    duration: int
    unit: TrialUnit
    payment_method_required: bool
    available: bool


class PaywallAddon(Wire):
    """An add-on that fits one of the plans."""

    id: str
    product_id: str
    version: int
    name: str
    description: str | None
    pricing_type: PricingType
    prices: tuple[ShownPrice, ...]
    entitlements: tuple[PaywallEntitlement, ...]
    max_quantity: int | None


class PaywallPlan(Wire):
    """A plan on sale. `relation` is what it is to the plan that the customer holds of the product, if any."""

    id: str
    product_id: str
    version: int
    name: str
    description: str | None
    pricing_type: PricingType
    parent_plan_id: str | None
    prices: tuple[ShownPrice, ...]
    entitlements: tuple[PaywallEntitlement, ...]
    compatible_addons: tuple[str, ...]
    trial: PaywallTrial | None
    relation: PlanRelation | None


class PaywallOut(Wire):
    """Plans from the cheapest on. Without a customer nothing of customers is in it."""

    object: Literal["paywall"] = "paywall"
    id: str
    products: tuple[PaywallProduct, ...]
    customer_id: str | None
    currency: str | None
    country: str | None
    plans: tuple[PaywallPlan, ...]
    addons: tuple[PaywallAddon, ...]
    subscriptions: tuple[SubscriptionOut, ...]


@endpoint(
    bp,
    "GET",
    "/paywall",
    scope=Scope.PAYWALL_READ,
    whose=whose.OWN_UNLESS_NAMED,
    summary="Everything a pricing table needs",
    query=PaywallQuery,
    answer=PaywallOut,
    etag=True,
)
def get_paywall(call: Call[NoBody, PaywallQuery]) -> Reply[PaywallOut]:
    """Plans and add-ons on sale with prices, entitlements and trials; for a customer, with what it holds.

    A publishable key sees what everybody may see: with a `customer_id` it is refused.
    """
    query = call.query
    customer_id = call.token.customer_id if call.token is not None else query.customer_id
    is_public = call.key is not None and call.key.kind is KeyKind.PUBLISHABLE
    if is_public and customer_id is not None:
        raise ForbiddenError("A publishable key tells nothing of customers.")
    found = view_paywall(
        call.ports,
        PaywallQuestion(
            product_id=ProductId(query.product_id) if query.product_id else None,
            customer_id=CustomerId(customer_id) if customer_id else None,
            currency=query.currency,
            country=query.country,
        ),
    )
    return Reply(_shown(found, query.product_id), headers=_PUBLIC_CACHING if is_public else {})


def _shown(found: Paywall, product_id: str | None) -> PaywallOut:
    return PaywallOut(
        id=product_id or "all",
        products=tuple(
            PaywallProduct(id=one.id, name=one.name, description=one.description)
            for one in found.products
        ),
        customer_id=found.customer.id if found.customer is not None else None,
        currency=found.currency,
        country=found.country,
        plans=tuple(_plan(offer, found.features) for offer in found.plans),
        addons=tuple(_addon(offer, found.features) for offer in found.addons),
        subscriptions=tuple(subscription_from_domain(one) for one in found.subscriptions),
    )


def _plan(offer: Offer, features: Mapping[FeatureId, Feature]) -> PaywallPlan:
    version, content = offer.version, offer.version.content
    trial = content.trial
    return PaywallPlan(
        id=version.id,
        product_id=version.product_id,
        version=version.number,
        name=content.name,
        description=content.description,
        pricing_type=content.pricing_type,
        parent_plan_id=content.parent_plan_id,
        prices=tuple(ShownPrice.from_domain(one) for one in offer.prices),
        entitlements=tuple(_entitlement(one, features) for one in version.entitlements),
        compatible_addons=content.compatible_addons,
        trial=None
        if trial is None
        else PaywallTrial(
            duration=trial.duration,
            unit=trial.unit,
            payment_method_required=trial.payment_method_required,
            available=offer.has_trial,
        ),
        relation=offer.relation,
    )


def _addon(offer: Offer, features: Mapping[FeatureId, Feature]) -> PaywallAddon:
    version, content = offer.version, offer.version.content
    return PaywallAddon(
        id=version.id,
        product_id=version.product_id,
        version=version.number,
        name=content.name,
        description=content.description,
        pricing_type=content.pricing_type,
        prices=tuple(ShownPrice.from_domain(one) for one in offer.prices),
        entitlements=tuple(_entitlement(one, features) for one in version.entitlements),
        max_quantity=content.max_quantity,
    )


def _entitlement(
    entitlement: Entitlement, features: Mapping[FeatureId, Feature]
) -> PaywallEntitlement:
    feature = features.get(entitlement.feature_id)
    return PaywallEntitlement(
        **EntitlementModel.from_domain(entitlement).model_dump(),
        feature_name=feature.name if feature is not None else entitlement.feature_id,
        feature_type=feature.type if feature is not None else None,
        unit=feature.unit if feature is not None else None,
    )
