"""Plans and add-ons ("packages"): an editable draft, and numbered versions that never change once published."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from chalicelib.domain.entitlements import Entitlement
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import FeatureId, PackageId, ProductId
from chalicelib.domain.prices import BillingPeriod, Price, PriceModel, Terms, prices_on


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


class Effective(StrEnum):
    """When a migrated subscriber gets the new version: at once, or with its next billing period."""

    IMMEDIATE = "immediate"
    END_OF_PERIOD = "end_of_period"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """Who gets a new version, and those who have an older one: when."""

    migration: Migration = Migration.NEW_CUSTOMERS
    effective: Effective = Effective.END_OF_PERIOD


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
    """All that a version fixes.

    `grace_period_days` is how long a plan still gives access while a payment is late (0: not at all); None: until
    the billing provider gives up.
    """

    name: str
    description: str | None = None
    pricing_type: PricingType = PricingType.FREE
    parent_plan_id: PackageId | None = None
    entitlements: tuple[Entitlement, ...] = ()
    prices: tuple[Price, ...] = ()
    compatible_addons: tuple[PackageId, ...] = ()
    trial: Trial | None = None
    max_quantity: int | None = None
    grace_period_days: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledPublication:
    """The draft, as it will be then, is to be published at `publish_at`; `error` says why it was not."""

    id: str
    publish_at: datetime
    rollout: Rollout
    scheduled_by: str
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A plan or add-on as its editor sees it: the draft, and which version is sold now.

    `revision` rises with every change of this record; `latest_version` numbers publications without gaps.
    `migration_id` is the latest migration of its subscribers.
    """

    kind: PackageKind
    id: PackageId
    product_id: ProductId
    draft: PackageContent | None
    published_version: int | None = None
    latest_version: int = 0
    status: Lifecycle = Lifecycle.ACTIVE
    scheduled: ScheduledPublication | None = None
    migration_id: str | None = None
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
        self,
        period: BillingPeriod,
        interval_count: int,
        currency: str,
        country: str | None = None,
    ) -> tuple[Price, ...]:
        """All that is charged on these terms in this country; nothing if the package is not sold on them."""
        terms = Terms(billing_period=period, interval_count=interval_count, currency=currency)
        return prices_on(self.content.prices, terms, country) or ()


def version_key(number: int) -> str:
    """A version number as text whose order is the numbers' order."""
    return f"{number:010d}"


def per_unit_features(content: PackageContent) -> set[FeatureId]:
    """The features that are bought by the unit."""
    return {
        price.feature_id
        for price in content.prices
        if price.model is PriceModel.PER_UNIT and price.feature_id is not None
    }
