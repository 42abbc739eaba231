"""Orders: what a customer asks to subscribe to, resolved against the catalog into lines with our own prices."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.domain.billing import CheckoutMode
from chalicelib.domain.errors import InvalidError, Violation, invalid
from chalicelib.domain.ids import CustomerId, FeatureId, PackageId, SubscriptionId, derived_id
from chalicelib.domain.plans import PackageKind, PackageVersion, PricingType
from chalicelib.domain.price_sets import selling_terms
from chalicelib.domain.prices import BillingPeriod, Price, PriceModel, Terms, prices_on
from chalicelib.domain.subscriptions import SubscribedAddon


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonOrder:
    """So many of an add-on."""

    id: PackageId
    quantity: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The wish: catalog ids and quantities only, never a price. None lets the catalog choose.

    With a `resource_id` the plan is for that resource of the customer (a workspace, a project).

    `trial` None: the plan's, if the customer has not had one of the product. `trial_until` is its end in the place of
    the plan's duration. `start_at` None: now.

    `is_self_service`: the customer orders without anybody of the application's in between.

    `billing_provider` None: whoever is able to take the payment. `ui_mode` is where it is taken, if any is. `replaces`
    is the subscription that nobody bills and that ends once this one is there.
    """

    customer_id: CustomerId
    plan_id: PackageId
    resource_id: str | None = None
    billing_period: BillingPeriod | None = None
    interval_count: int | None = None
    currency: str | None = None
    addons: tuple[AddonOrder, ...] = ()
    quantities: Mapping[FeatureId, int] = field(default_factory=dict)
    trial: bool | None = None
    trial_until: datetime | None = None
    start_at: datetime | None = None
    coupon: str | None = None
    promotion_code: str | None = None
    success_url: str | None = None
    cancel_url: str | None = None
    return_url: str | None = None
    ui_mode: CheckoutMode = CheckoutMode.HOSTED
    billing_provider: str | None = None
    replaces: SubscriptionId | None = None
    is_self_service: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One price of one package, so many times; no quantity where usage decides."""

    kind: PackageKind
    package_id: PackageId
    price: Price
    quantity: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedOrder:
    """The order with everything decided. `lines` is empty when nothing is to be paid."""

    plan: PackageVersion
    addons: tuple[SubscribedAddon, ...]
    quantities: Mapping[FeatureId, int]
    billing_period: BillingPeriod | None
    interval_count: int = 1
    currency: str | None
    lines: tuple[OrderLine, ...]

    @property
    def unbilled_addons(self) -> dict[PackageId, int]:
        """How many of each add-on that the provider's subscription will have no flat fee for, and so not tell."""
        told = {
            line.package_id
            for line in self.lines
            if line.kind is PackageKind.ADDON
            and line.price.model in (PriceModel.FLAT_FEE, PriceModel.PER_UNIT)
        }
        return {addon.id: addon.quantity for addon in self.addons if addon.id not in told}

    def terms(self, order: Order) -> str:
        """A digest of all that the customer agreed to: equal terms may share one checkout."""
        lines = [
            f"{line.kind}:{line.package_id}:{line.price.id}x{line.quantity}" for line in self.lines
        ]
        return derived_id(
            "",
            order.customer_id,
            f"{self.plan.id}@{self.plan.number}",
            *sorted(lines),
            *(f"{addon.id}@{addon.version}x{addon.quantity}" for addon in self.addons),
            *([] if order.resource_id is None else [f"resource={order.resource_id}"]),
            f"trial={order.trial}/{order.trial_until}",
            f"coupon={order.coupon}/{order.promotion_code}",
            order.success_url or "",
            order.cancel_url or "",
            f"ui_mode={order.ui_mode}",
            order.return_url or "",
            *(f"{key}={value}" for key, value in sorted(order.metadata.items())),
        )


def price_order(
    order: Order,
    plan: PackageVersion,
    addons: Mapping[PackageId, PackageVersion],
    default_currency: str | None,
    country: str | None = None,
) -> PricedOrder:
    """The order with prices, period, currency and quantities chosen; raises `InvalidError` if they don't fit.

    Without a wish the period is the month if the plan has monthly prices, and the currency the customer's
    own if the plan is sold in it, otherwise those of the plan's first price. Where the customer's country has
    a price of its own, that is charged.
    """
    held = _addons(order, plan, addons)
    if not plan.content.prices:
        _refuse_unknown_quantities(order, set())
        if plan.content.pricing_type is PricingType.FREE:
            _refuse_priced_addons(order, plan, addons)
        return PricedOrder(
            plan=plan, addons=held, quantities={}, billing_period=None, currency=None, lines=()
        )
    terms = choose_terms(order, plan, default_currency)
    charged = [
        (PackageKind.PLAN, plan.id, 1, price)
        for price in prices_on(plan.content.prices, terms, country) or ()
    ]
    # In one order whatever the request's: a provider compares repeated requests byte for byte.
    for index, wished in sorted(enumerate(order.addons), key=lambda one: one[1].id):
        prices = prices_on(addons[wished.id].content.prices, terms, country)
        if prices is None:
            detail = f"The add-on {wished.id!r} has no price for {_named(terms)}."
            raise invalid(f"addons[{index}]", "no_such_price", detail)
        charged += ((PackageKind.ADDON, wished.id, wished.quantity, price) for price in prices)
    counted = {price.feature_id for *_, price in charged if price.model is PriceModel.PER_UNIT}
    _refuse_unknown_quantities(order, counted)
    lines = [
        OrderLine(
            kind=kind, package_id=package_id, price=price, quantity=_quantity(order, price, times)
        )
        for kind, package_id, times, price in charged
    ]
    return PricedOrder(
        plan=plan,
        addons=held,
        quantities=_bought(lines),
        billing_period=terms.billing_period,
        interval_count=terms.interval_count,
        currency=terms.currency,
        lines=tuple(lines),
    )


def choose_terms(order: Order, plan: PackageVersion, default_currency: str | None) -> Terms:
    """The terms that the order wishes, or those that suit best; raises `InvalidError` if the plan is not sold so."""
    sold = selling_terms(plan.content.prices)
    if not sold:
        raise invalid("plan_id", "no_such_price", "The plan has no recurring price.")
    fitting = [
        terms
        for terms in sold
        if order.billing_period in (None, terms.billing_period)
        and order.interval_count in (None, terms.interval_count)
        and order.currency in (None, terms.currency)
    ]
    if not fitting:
        raise invalid(
            "billing_period" if order.currency is None else "currency",
            "no_such_price",
            f"The plan {plan.id!r} is not sold so; it is for "
            f"{', '.join(_named(terms) for terms in sold)}.",
        )

    def rank(terms: Terms) -> tuple[bool, bool, bool, int]:
        return (
            terms.interval_count != 1,
            terms.billing_period is not BillingPeriod.MONTH,
            terms.currency != default_currency,
            sold.index(terms),
        )

    return min(fitting, key=rank)


def _named(terms: Terms) -> str:
    return f"{terms.interval_count} {terms.billing_period} in {terms.currency!r}"


def _bought(lines: Sequence[OrderLine]) -> dict[FeatureId, int]:
    found: dict[FeatureId, int] = {}
    for line in lines:
        feature_id = line.price.feature_id
        if line.price.model is PriceModel.PER_UNIT and feature_id and line.quantity is not None:
            if feature_id in found:
                detail = f"More than one part of the order sells {feature_id!r} by the unit."
                raise invalid("addons", "sold_twice", detail)
            found[feature_id] = line.quantity
    return found


def _addons(
    order: Order, plan: PackageVersion, versions: Mapping[PackageId, PackageVersion]
) -> tuple[SubscribedAddon, ...]:
    violations: list[Violation] = []
    seen: set[PackageId] = set()
    for index, wished in enumerate(order.addons):
        at = f"addons[{index}]"

        def refuse(field_name: str, code: str, detail: str, at: str = at) -> None:
            violations.append(Violation(param=f"{at}.{field_name}", code=code, detail=detail))

        version = versions.get(wished.id)
        if version is None:
            refuse("id", "unknown_addon", f"No published add-on has the id {wished.id!r}.")
            continue
        if wished.id in seen:
            refuse("id", "duplicate", f"The add-on {wished.id!r} is listed twice.")
        seen.add(wished.id)
        if wished.id not in plan.content.compatible_addons:
            refuse(
                "id",
                "incompatible_addon",
                f"The plan {plan.id!r} doesn't take the add-on {wished.id!r}.",
            )
        most = version.content.max_quantity
        if any(price.model is PriceModel.PER_UNIT for price in version.content.prices):
            most = 1  # how many is said by its units
        if wished.quantity < 1 or (most is not None and wished.quantity > most):
            refuse(
                "quantity", "out_of_range", f"The quantity is between 1 and {most or 'any number'}."
            )
    if violations:
        raise InvalidError(violations)
    return tuple(
        SubscribedAddon(id=wished.id, version=versions[wished.id].number, quantity=wished.quantity)
        for wished in sorted(order.addons, key=lambda one: one.id)
    )


def _quantity(order: Order, price: Price, times: int) -> int | None:
    """How many of the price are charged; `times` is how many of its package are taken."""
    if price.model is PriceModel.USAGE_BASED:
        return None
    if price.model is not PriceModel.PER_UNIT or price.feature_id is None:
        return times
    least = price.min_quantity or 1
    quantity = order.quantities.get(price.feature_id, least)
    if quantity < least or (price.max_quantity is not None and quantity > price.max_quantity):
        most = f"at most {price.max_quantity}" if price.max_quantity else "without end"
        raise invalid(
            f"quantities.{price.feature_id}",
            "out_of_range",
            f"{price.feature_id!r} is sold from {least} units, {most}.",
        )
    return quantity


def _refuse_unknown_quantities(order: Order, counted: Collection[FeatureId | None]) -> None:
    unknown = sorted(set(order.quantities) - set(counted))
    if unknown:
        raise invalid(
            f"quantities.{unknown[0]}",
            "not_sold_by_unit",
            f"Nothing in the order sells {unknown[0]!r} by the unit.",
        )


def _refuse_priced_addons(
    order: Order, plan: PackageVersion, addons: Mapping[PackageId, PackageVersion]
) -> None:
    for index, wished in enumerate(order.addons):
        if addons[wished.id].content.prices:
            detail = f"The plan {plan.id!r} is free: the add-on {wished.id!r} would not be charged."
            raise invalid(f"addons[{index}]", "no_such_price", detail)


def refuse_beyond_self_service(
    order: Order, plan: PackageVersion, addons: Mapping[PackageId, PackageVersion]
) -> None:
    """Nothing, unless customers who order for themselves ask for what only the application may give.

    A coupon by its id needs no code; who bills may mean that nobody does; and custom packages have no price at all.
    """
    if not order.is_self_service:
        return
    for param, value in (
        ("coupon", order.coupon),
        ("billing_provider", order.billing_provider),
        ("metadata", order.metadata or None),
        ("trial", order.trial_until),
        ("start_at", order.start_at),
    ):
        if value is not None:
            raise invalid(param, "not_allowed", "A customer token may not choose this.")
    if plan.content.pricing_type is PricingType.CUSTOM:
        raise invalid("plan_id", "not_for_sale", f"The plan {plan.id!r} is sold by people.")
    for index, wished in enumerate(order.addons):
        version = addons.get(wished.id)
        if version is not None and version.content.pricing_type is PricingType.CUSTOM:
            detail = f"The add-on {wished.id!r} is sold by people."
            raise invalid(f"addons[{index}]", "not_for_sale", detail)
