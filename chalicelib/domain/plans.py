"""Plans and add-ons ("packages"): an editable draft, and numbered versions that never change once published."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from chalicelib.domain.entitlements import Entitlement, entitlement_violations
from chalicelib.domain.errors import Violation
from chalicelib.domain.features import Feature, Lifecycle
from chalicelib.domain.ids import FeatureId, PackageId, ProductId
from chalicelib.domain.prices import BillingPeriod, Price, PriceModel, price_violations


class PackageKind(StrEnum):
    """Whether the package is subscribed to by itself or beside a plan."""

    PLAN = "plan"
    ADDON = "addon"


class PricingType(StrEnum):
    """Whether anything is charged for, and whether the price is negotiated elsewhere."""

    FREE = "free"
    PAID = "paid"
    CUSTOM = "custom"


class Migration(StrEnum):
    """Who gets a newly published version: only those who subscribe from now on, or everybody."""

    NEW_CUSTOMERS = "new_customers"
    ALL_CUSTOMERS = "all_customers"


class TrialUnit(StrEnum):
    """The unit of a trial's duration."""

    DAY = "day"
    MONTH = "month"


class TrialEnd(StrEnum):
    """What follows a trial."""

    CONVERT_TO_PAID = "convert_to_paid"
    CANCEL_SUBSCRIPTION = "cancel_subscription"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The trial that a plan offers."""

    duration: int
    unit: TrialUnit
    end_behavior: TrialEnd = TrialEnd.CONVERT_TO_PAID
    payment_method_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageContent:
    """All that a version fixes."""

    name: str
    description: str | None = None
    pricing_type: PricingType = PricingType.FREE
    parent_plan_id: PackageId | None = None
    entitlements: tuple[Entitlement, ...] = ()
    prices: tuple[Price, ...] = ()
    compatible_addons: tuple[PackageId, ...] = ()
    trial: Trial | None = None
    max_quantity: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A plan or add-on as its editor sees it: the draft, and which version is sold now.

    `revision` rises with every change of this record; `latest_version` numbers publications without gaps.
    """

    kind: PackageKind
    id: PackageId
    product_id: ProductId
    draft: PackageContent | None
    published_version: int | None = None
    latest_version: int = 0
    status: Lifecycle = Lifecycle.ACTIVE
    revision: int = 1
    created_at: datetime

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one package from another."""
        return (self.kind, self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageVersion:
    """A published version: `entitlements` are the effective ones, inherited ones included."""

    kind: PackageKind
    id: PackageId
    number: int
    product_id: ProductId
    content: PackageContent
    entitlements: tuple[Entitlement, ...]
    migration: Migration
    published_at: datetime

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one version from another; numbers are padded so that text order is number order."""
        return (self.kind, self.id, version_key(self.number))

    def price(self, price_id: str) -> Price | None:
        """The price of that id in this version."""
        return next((price for price in self.content.prices if price.id == price_id), None)

    def prices_for(
        self, period: BillingPeriod, interval_count: int, currency: str
    ) -> tuple[Price, ...]:
        """All that is charged for one billing period in one currency."""
        return tuple(
            price
            for price in self.content.prices
            if (price.billing_period, price.interval_count, price.currency)
            == (period, interval_count, currency)
        )


def version_key(number: int) -> str:
    """A version number as text whose order is the numbers' order."""
    return f"{number:010d}"


def publication_violations(
    package: Package,
    content: PackageContent,
    features: Mapping[FeatureId, Feature],
    known_addons: Mapping[PackageId, Package],
) -> tuple[Violation, ...]:
    """Every reason why this content can't be published; empty when it can."""
    found = list(entitlement_violations(content.entitlements, features))
    found += price_violations(content.prices, features)

    refusals = [
        *_pricing_refusals(content),
        *_addon_refusals(package, content, known_addons),
        *_kind_refusals(package.kind, content),
    ]
    found += (Violation(param=param, code=code, detail=detail) for param, code, detail in refusals)
    return tuple(found)


_Refusal = tuple[str, str, str]
"""The field's path, a stable code, and what is wrong with it."""


def _pricing_refusals(content: PackageContent) -> Iterable[_Refusal]:
    if content.pricing_type is PricingType.PAID and not content.prices:
        yield "prices", "required", "A paid plan has at least one price."
    if content.pricing_type is not PricingType.PAID and content.prices:
        yield "prices", "not_allowed", f"A {content.pricing_type} plan has no prices."
    if content.trial is not None:
        yield "trial", "unsupported", "Trials can't be published yet."


def _addon_refusals(
    package: Package, content: PackageContent, known_addons: Mapping[PackageId, Package]
) -> Iterable[_Refusal]:
    for index, addon_id in enumerate(content.compatible_addons):
        at = f"compatible_addons[{index}]"
        addon = known_addons.get(addon_id)
        if package.kind is PackageKind.ADDON:
            yield at, "not_allowed", "An add-on has no add-ons."
        elif addon is None or addon.published_version is None:
            yield at, "unknown_addon", f"No published add-on has the id {addon_id!r}."
        elif addon.product_id != package.product_id:
            yield at, "other_product", f"The add-on {addon_id!r} belongs to another product."


def _kind_refusals(kind: PackageKind, content: PackageContent) -> Iterable[_Refusal]:
    if kind is PackageKind.PLAN:
        if content.max_quantity is not None:
            yield "max_quantity", "not_allowed", "Only add-ons have a max_quantity."
        return
    if content.parent_plan_id is not None:
        yield "parent_plan_id", "not_allowed", "An add-on has no parent plan."
    if any(price.model is PriceModel.PER_UNIT for price in content.prices):
        yield "prices", "unsupported", "An add-on is priced by flat fees, times its quantity."
