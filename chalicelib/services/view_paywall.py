"""The catalog as a pricing table needs it, for anybody or for one customer."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.features import Feature, Lifecycle
from chalicelib.domain.ids import CustomerId, FeatureId, PackageId, ProductId
from chalicelib.domain.monthly import monthly_amount
from chalicelib.domain.paywalls import PlanRelation, relation, shown_prices
from chalicelib.domain.plans import PackageKind, PackageVersion, PricingType
from chalicelib.domain.prices import Price
from chalicelib.domain.products import Product
from chalicelib.domain.subscriptions import Subscription
from chalicelib.domain.trials import TrialUse
from chalicelib.ports import Ports
from chalicelib.services.listing import all_within
from chalicelib.services.manage_customers import get_customer
from chalicelib.services.snapshots import published_version
from chalicelib.services.view_packages import versions_on_sale

_SHELVES = (PricingType.FREE, PricingType.PAID, PricingType.CUSTOM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A plan or add-on on sale. `relation` is None where the customer is unknown or holds nothing of the product."""

    version: PackageVersion
    prices: tuple[Price, ...]
    has_trial: bool = False
    relation: PlanRelation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Paywall:
    """What is on sale of one product, or of all, and what the customer holds of it."""

    products: tuple[Product, ...]
    plans: tuple[Offer, ...]
    addons: tuple[Offer, ...]
    features: Mapping[FeatureId, Feature]
    customer: Customer | None
    subscriptions: tuple[Subscription, ...]
    currency: str | None
    country: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaywallQuestion:
    """Which paywall is wanted; a customer's own country and currency decide where it has them and nothing is said."""

    product_id: ProductId | None = None
    customer_id: CustomerId | None = None
    currency: str | None = None
    country: str | None = None


def view_paywall(ports: Ports, asked: PaywallQuestion) -> Paywall:
    """The plans on sale, cheapest first, with the add-ons that fit one of them.

    Raises:
        NotFoundError: There is no such product or customer.
    """
    customer = get_customer(ports, asked.customer_id) if asked.customer_id is not None else None
    products = _products(ports, asked.product_id)
    # Orders charge by the customer's country, whatever a page says.
    country = (customer.country if customer is not None else None) or asked.country
    names = {product.id for product in products}
    on_sale = tuple(versions_on_sale(ports.store, names))
    held = _held(ports, customer, names)
    tried = _tried(ports, customer, names)

    def offer(version: PackageVersion) -> Offer:
        prices = version.content.prices
        shown = shown_prices(prices, asked.currency, country)
        if asked.currency is None and customer is not None and customer.currency is not None:
            shown = shown_prices(prices, customer.currency, country) or shown
        mine = held.get(version.product_id) if version.kind is PackageKind.PLAN else None
        return Offer(
            version=version,
            prices=shown,
            has_trial=version.content.trial is not None and version.product_id not in tried,
            relation=relation(version, *mine, country) if mine is not None else None,
        )

    plans = sorted(
        (offer(one) for one in on_sale if one.kind is PackageKind.PLAN), key=_place_in_table
    )
    fitting = {name for plan in plans for name in plan.version.content.compatible_addons}
    addons = [offer(one) for one in on_sale if one.kind is PackageKind.ADDON and one.id in fitting]
    return Paywall(
        products=products,
        plans=tuple(plans),
        addons=tuple(sorted(addons, key=_place_in_table)),
        features={feature.id: feature for feature in all_within(ports.store, Feature)},
        customer=customer,
        subscriptions=tuple(subscription for subscription, _ in held.values()),
        currency=asked.currency or (customer.currency if customer is not None else None),
        country=country,
    )


def _products(ports: Ports, product_id: ProductId | None) -> tuple[Product, ...]:
    if product_id is None:
        found = all_within(ports.store, Product)
        return tuple(one for one in found if one.status is Lifecycle.ACTIVE)
    product = ports.store.get(Product, product_id)
    if product is None or product.status is Lifecycle.ARCHIVED:
        raise NotFoundError("product", product_id)
    return (product,)


def _held(
    ports: Ports, customer: Customer | None, products: set[ProductId]
) -> dict[ProductId, tuple[Subscription, PackageVersion]]:
    """The customer's live subscription of each product, with the version of the plan that it is to."""
    if customer is None:
        return {}
    now = ports.clock.now()
    stored = all_within(ports.store, Subscription, customer.id)
    live = (one for one in (each.at(now) for each in stored) if one.is_live)
    return {
        one.product_id: (
            one,
            published_version(ports, PackageKind.PLAN, one.plan_id, one.plan_version),
        )
        for one in live
        if one.product_id in products
    }


def _tried(
    ports: Ports, customer: Customer | None, products: set[ProductId]
) -> frozenset[ProductId]:
    """The products of which the customer has had its one trial."""
    if customer is None:
        return frozenset()
    uses = all_within(ports.store, TrialUse, customer.id)
    return frozenset(use.product_id for use in uses if use.product_id in products)


def _place_in_table(offer: Offer) -> tuple[int, Fraction, PackageId]:
    recurring = (monthly_amount(one, one.min_quantity or 1) for one in offer.prices)
    content = offer.version.content
    return (
        _SHELVES.index(content.pricing_type),
        min(recurring, default=Fraction(0)),
        offer.version.id,
    )
