"""Why a check is answered as it is, and what would have to be bought for a yes. Off the hot path: reads the catalog."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

from chalicelib.domain.customers import Customer
from chalicelib.domain.decisions import Decision, DeniedReason, decide
from chalicelib.domain.entitlements import Entitlement
from chalicelib.domain.explanations import Considered, explain
from chalicelib.domain.features import Feature
from chalicelib.domain.ids import FeatureId, PackageId
from chalicelib.domain.monthly import monthly_charge
from chalicelib.domain.orders import Order, choose_terms
from chalicelib.domain.plans import PackageKind, PackageVersion, PricingType
from chalicelib.domain.price_amounts import price_amount
from chalicelib.domain.prices import Price, PriceModel, Terms
from chalicelib.domain.snapshot_documents import SnapshotDocument, document_of, epoch_ms
from chalicelib.domain.snapshots import bought_share
from chalicelib.ports import HotRead, Ports
from chalicelib.services.check_access import Checked, FeatureTypes, answer_from, usage_of
from chalicelib.services.check_many import Check
from chalicelib.services.view_packages import versions_on_sale


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A plan that would grant what was asked. `amount` is charged for each period; None: it is negotiated.

    `quantities` are the units that have to be bought for it.
    """

    plan: PackageVersion
    quantities: dict[FeatureId, int]
    terms: Terms | None
    amount: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """An answer, every source of the customer with what it came to, and the cheapest way to a yes."""

    checked: Checked
    considered: tuple[Considered, ...]
    cheapest: Offer | None


# What no plan can change.
_BEYOND_PLANS = frozenset(
    {
        DeniedReason.FEATURE_NOT_FOUND,
        DeniedReason.CUSTOMER_NOT_FOUND,
        DeniedReason.CUSTOMER_IS_ARCHIVED,
        DeniedReason.CUSTOMER_RESOURCE_NOT_FOUND,
        DeniedReason.FEATURE_TYPE_MISMATCH,
    }
)


class Explainer:
    """Explains answers at one instant; reads the plans on sale once, when the first no asks for them."""

    def __init__(self, ports: Ports, feature_type: FeatureTypes) -> None:
        """Nothing is read yet."""
        self._ports = ports
        self._feature_type = feature_type
        self._now = ports.clock.now()

    @cached_property
    def _plans(self) -> tuple[PackageVersion, ...]:
        on_sale = versions_on_sale(self._ports.store)
        return tuple(version for version in on_sale if version.kind is PackageKind.PLAN)

    def explained(self, hot: HotRead | None, check: Check) -> Explained:
        """The answer as a check gives it, with its reasons; the cheapest plan is looked for only behind a no."""
        checked = answer_from(hot, self._feature_type, check.feature_id, check.question, self._now)
        if hot is None:
            return Explained(checked=checked, considered=(), cheapest=None)
        document = document_of(hot.document)
        considered = explain(document, check.feature_id, check.question, epoch_ms(self._now))
        cheapest = None
        if checked.decision.denied_reason not in (None, *_BEYOND_PLANS):
            cheapest = self._cheapest(hot, check, checked.decision)
        return Explained(checked=checked, considered=considered, cheapest=cheapest)

    def _cheapest(self, hot: HotRead, check: Check, denied: Decision) -> Offer | None:
        """The plan that gives it for the least a month, before any in another currency, before what is negotiated."""
        customer = self._ports.store.get(Customer, check.customer_id)
        feature = self._ports.store.get(Feature, check.feature_id)
        if customer is None or feature is None:
            return None
        now_ms = epoch_ms(self._now)
        usage = usage_of(hot, now_ms)
        asked = check.question.usage if check.question.usage is not None else 1
        needed = (denied.current_usage or 0) + asked
        ranked: list[tuple[tuple[bool, bool, Fraction, PackageId], Offer]] = []
        for plan in self._plans:
            units = dict(_units(plan, feature.id, needed))
            document = document_of(hot.document)
            if not _add(document, plan, feature, units, now_ms):
                continue
            if decide(document, usage, feature.id, check.question, now_ms).has_access:
                offer, monthly = _offer(plan, customer, units)
                ranked.append((_rank(offer, monthly, customer), offer))
        return min(ranked, key=lambda one: one[0])[1] if ranked else None


def _rank(
    offer: Offer, monthly: Fraction, customer: Customer
) -> tuple[bool, bool, Fraction, PackageId]:
    is_foreign = offer.terms is not None and customer.currency not in (None, offer.terms.currency)
    return (offer.amount is None, is_foreign, monthly, offer.plan.id)


def _units(
    plan: PackageVersion, feature_id: FeatureId, needed: int
) -> Iterator[tuple[FeatureId, int]]:
    """What has to be bought by the unit: of the feature as many as are needed, of others the least."""
    for price in plan.content.prices:
        if price.model is PriceModel.PER_UNIT and price.feature_id is not None:
            least = price.min_quantity or 1
            wanted = max(least, needed) if price.feature_id == feature_id else least
            yield price.feature_id, min(wanted, price.max_quantity or wanted)


def _add(
    document: SnapshotDocument,
    plan: PackageVersion,
    feature: Feature,
    units: dict[FeatureId, int],
    now_ms: int,
) -> bool:
    """The document as if the customer had the plan besides; whether that says anything of the feature."""
    own: Entitlement | None = next(
        (one for one in plan.entitlements if one.feature_id == feature.id), None
    )
    index = len(document["sources"])
    share = bought_share(own, feature, units.get(feature.id), index)
    if share is None:
        return False
    document["sources"].append(
        {"type": "plan", "id": plan.id, "subscription_id": "subs_", "start": now_ms}
    )
    entry = document["features"].setdefault(feature.id, {"type": feature.type, "shares": []})
    entry["shares"].append(share)
    return True


def _offer(
    plan: PackageVersion, customer: Customer, units: dict[FeatureId, int]
) -> tuple[Offer, Fraction]:
    free = Offer(plan=plan, quantities=units, terms=None, amount=Decimal(0))
    if plan.content.pricing_type is not PricingType.PAID:
        is_free = plan.content.pricing_type is PricingType.FREE
        return (free if is_free else replace(free, amount=None)), Fraction(0)
    terms = choose_terms(Order(customer_id=customer.id, plan_id=plan.id), plan, customer.currency)
    prices = plan.prices_for(
        terms.billing_period, terms.interval_count, terms.currency, customer.country
    )
    amount = sum((_charge(price, units) for price in prices), Decimal(0))
    monthly = monthly_charge(plan, terms, customer.country, 1, units) or Fraction(0)
    return Offer(plan=plan, quantities=units, terms=terms, amount=amount), monthly


def _charge(price: Price, units: dict[FeatureId, int]) -> Decimal:
    """What is charged for each period; nothing for what is charged once or by usage."""
    if price.billing_period is None or price.model is PriceModel.USAGE_BASED:
        return Decimal(0)
    is_counted = price.model is PriceModel.PER_UNIT and price.feature_id is not None
    return price_amount(price, units[price.feature_id] if is_counted and price.feature_id else 1)
