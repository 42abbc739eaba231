"""What a pricing table shows of a plan: the prices on the terms asked for, and how it compares with what is held.

Plans are compared by what they charge a month, on the terms that the customer pays on now where the other plan is
sold on them; where money can't tell (custom plans, no currency in common), by which one builds on the other.
"""

from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction

from chalicelib.domain.monthly import monthly_charge
from chalicelib.domain.plans import PackageVersion, PricingType
from chalicelib.domain.price_sets import selling_terms
from chalicelib.domain.prices import Price, Terms, prices_on
from chalicelib.domain.subscriptions import Subscription


class PlanRelation(StrEnum):
    """What a plan is to a customer who holds another of its product, or this one."""

    CURRENT = "current"
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    CHANGE = "change"


def shown_prices(
    prices: Sequence[Price], currency: str | None, country: str | None
) -> tuple[Price, ...]:
    """Everything that is charged in this currency (None: in each) and country, on any terms, in the package's order."""
    chosen: dict[str, Price] = {}
    for terms in selling_terms(prices):
        if currency in (None, terms.currency):
            chosen |= {price.id: price for price in prices_on(prices, terms, country) or ()}
    return tuple(price for price in prices if price.id in chosen)


def relation(
    offered: PackageVersion, held: Subscription, current: PackageVersion, country: str | None
) -> PlanRelation:
    """What the offered plan is to whoever holds `current` by this subscription."""
    if offered.id == held.plan_id:
        return PlanRelation.CURRENT
    ours, theirs = _charges(offered, held, current, country)
    if ours is not None and theirs is not None and ours != theirs:
        return PlanRelation.UPGRADE if ours > theirs else PlanRelation.DOWNGRADE
    if offered.content.parent_plan_id == held.plan_id:
        return PlanRelation.UPGRADE
    if current.content.parent_plan_id == offered.id:
        return PlanRelation.DOWNGRADE
    return PlanRelation.CHANGE


def _charges(
    offered: PackageVersion, held: Subscription, current: PackageVersion, country: str | None
) -> tuple[Fraction | None, Fraction | None]:
    """What each charges a month on terms that both are sold on; a free plan nothing, on any."""
    free = [one.content.pricing_type is PricingType.FREE for one in (offered, current)]
    if all(free):
        return Fraction(0), Fraction(0)
    if any(free):
        dear = current if free[0] else offered
        if dear.content.pricing_type is not PricingType.PAID:
            return None, None
        return (Fraction(0), Fraction(1)) if free[0] else (Fraction(1), Fraction(0))
    for terms in _common_terms(offered, held, current):
        charges = [
            monthly_charge(one, terms, country, 1, held.quantities) for one in (offered, current)
        ]
        if None not in charges:
            return charges[0], charges[1]
    return None, None


def _common_terms(
    offered: PackageVersion, held: Subscription, current: PackageVersion
) -> list[Terms]:
    """The terms that the customer pays on first, then others in its currency, then any."""
    theirs = selling_terms(current.content.prices)
    common = [terms for terms in selling_terms(offered.content.prices) if terms in theirs]

    def distance(terms: Terms) -> tuple[bool, bool, bool]:
        return (
            terms.currency != held.currency,
            terms.billing_period is not held.billing_period,
            terms.interval_count != held.interval_count,
        )

    return sorted(common, key=distance)
