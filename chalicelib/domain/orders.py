"""Orders: what a customer asks to subscribe to, resolved against the catalog into lines with our own prices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from chalicelib.domain.errors import InvalidError, Violation, invalid
from chalicelib.domain.ids import CustomerId, FeatureId, PackageId, derived_id
from chalicelib.domain.plans import PackageKind, PackageVersion, PricingType
from chalicelib.domain.prices import BillingPeriod, Price, PriceModel
from chalicelib.domain.subscriptions import SubscribedAddon


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonOrder:
    """So many of an add-on."""

    id: PackageId
    quantity: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The wish: catalog ids and quantities only, never a price. None lets the catalog choose.

    `billing_provider` None: whoever is able to take the payment.
    """

    customer_id: CustomerId
    plan_id: PackageId
    billing_period: BillingPeriod | None = None
    currency: str | None = None
    addons: tuple[AddonOrder, ...] = ()
    quantities: Mapping[FeatureId, int] = field(default_factory=dict)
    success_url: str | None = None
    cancel_url: str | None = None
    billing_provider: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One price of one package, so many times."""

    kind: PackageKind
    package_id: PackageId
    price: Price
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedOrder:
    """The order with everything decided. `lines` is empty when nothing is to be paid."""

    plan: PackageVersion
    addons: tuple[SubscribedAddon, ...]
    quantities: Mapping[FeatureId, int]
    billing_period: BillingPeriod | None
    currency: str | None
    lines: tuple[OrderLine, ...]

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
            *(f"{addon.id}@{addon.version}" for addon in self.addons),
            order.success_url or "",
            order.cancel_url or "",
            *(f"{key}={value}" for key, value in sorted(order.metadata.items())),
        )


def price_order(
    order: Order,
    plan: PackageVersion,
    addons: Mapping[PackageId, PackageVersion],
    default_currency: str | None,
) -> PricedOrder:
    """The order with prices, period, currency and quantities chosen; raises `InvalidError` if they don't fit.

    Without a wish the period is the month if the plan has monthly prices, and the currency the customer's
    own if the plan is sold in it, otherwise those of the plan's first price.
    """
    held = _addons(order, plan, addons)
    if not plan.content.prices:
        _refuse_unknown_quantities(order, ())
        if plan.content.pricing_type is PricingType.FREE:
            _refuse_priced_addons(order, plan, addons)
        return PricedOrder(
            plan=plan, addons=held, quantities={}, billing_period=None, currency=None, lines=()
        )
    period, currency = _choose_terms(order, plan.content.prices, default_currency)
    charged = plan.prices_for(period, 1, currency)
    if not charged:
        raise invalid(
            "billing_period" if order.currency is None else "currency",
            "no_such_price",
            f"The plan {plan.id!r} has no price for the period {period!r} in {currency!r}.",
        )
    _refuse_unknown_quantities(order, charged)
    lines = [
        OrderLine(
            kind=PackageKind.PLAN,
            package_id=plan.id,
            price=price,
            quantity=_quantity(order, price),
        )
        for price in charged
    ]
    # In one order whatever the request's: a provider compares repeated requests byte for byte.
    for index, wished in sorted(enumerate(order.addons), key=lambda one: one[1].id):
        lines += _addon_lines(f"addons[{index}]", wished, addons[wished.id], period, currency)
    return PricedOrder(
        plan=plan,
        addons=held,
        quantities={
            line.price.feature_id: line.quantity
            for line in lines
            if line.price.model is PriceModel.PER_UNIT and line.price.feature_id is not None
        },
        billing_period=period,
        currency=currency,
        lines=tuple(lines),
    )


def _addon_lines(
    at: str, wished: AddonOrder, addon: PackageVersion, period: BillingPeriod, currency: str
) -> Iterable[OrderLine]:
    if not addon.content.prices:
        # What the provider doesn't charge for, it can't tell us about when we look at its truth.
        detail = f"The add-on {addon.id!r} has no prices: it can't be bought with a paid plan yet."
        raise invalid(at, "unsupported", detail)
    prices = addon.prices_for(period, 1, currency)
    if not prices:
        detail = f"The add-on {addon.id!r} has no price for the period {period!r} in {currency!r}."
        raise invalid(at, "no_such_price", detail)
    for price in prices:
        yield OrderLine(
            kind=PackageKind.ADDON, package_id=addon.id, price=price, quantity=wished.quantity
        )


def _choose_terms(
    order: Order, prices: Sequence[Price], default_currency: str | None
) -> tuple[BillingPeriod, str]:
    recurring = [
        price for price in prices if price.billing_period is not None and price.interval_count == 1
    ]
    if not recurring:
        raise invalid("plan_id", "no_such_price", "The plan has no recurring price.")
    periods = {price.billing_period for price in recurring}
    fallback = (
        BillingPeriod.MONTH if BillingPeriod.MONTH in periods else recurring[0].billing_period
    )
    period = order.billing_period or fallback or BillingPeriod.MONTH
    currencies = {price.currency for price in recurring if price.billing_period is period}
    if order.currency is not None:
        return period, order.currency
    if default_currency in currencies and default_currency is not None:
        return period, default_currency
    first = (price.currency for price in recurring if price.billing_period is period)
    return period, next(first, recurring[0].currency)


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


def _quantity(order: Order, price: Price) -> int:
    if price.model is not PriceModel.PER_UNIT or price.feature_id is None:
        return 1
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


def _refuse_unknown_quantities(order: Order, charged: Sequence[Price]) -> None:
    counted = {price.feature_id for price in charged if price.model is PriceModel.PER_UNIT}
    unknown = sorted(set(order.quantities) - counted)
    if unknown:
        raise invalid(
            f"quantities.{unknown[0]}",
            "not_sold_by_unit",
            f"The plan doesn't sell {unknown[0]!r} by the unit.",
        )


def _refuse_priced_addons(
    order: Order, plan: PackageVersion, addons: Mapping[PackageId, PackageVersion]
) -> None:
    for index, wished in enumerate(order.addons):
        if addons[wished.id].content.prices:
            detail = f"The plan {plan.id!r} is free: the add-on {wished.id!r} would not be charged."
            raise invalid(f"addons[{index}]", "no_such_price", detail)
