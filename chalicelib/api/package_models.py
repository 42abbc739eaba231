"""What plans and add-ons look like over HTTP."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from chalicelib.api.billing_links import BillingLinkOut, links_from_domain
from chalicelib.api.entitlement_models import EntitlementModel
from chalicelib.api.migration_models import MigrationOut, migration_from_domain
from chalicelib.api.price_models import PriceIn, PriceOut, price_from_domain
from chalicelib.api.wire import (
    ChosenId,
    Description,
    Metadata,
    MetadataPatch,
    Name,
    Query,
    Revision,
    UtcInstant,
    Wire,
    absent,
    given,
)
from chalicelib.domain.billing import SyncStatus
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import PackageId
from chalicelib.domain.plans import (
    Effective,
    Migration,
    PackageContent,
    PricingType,
    Rollout,
    ScheduledPublication,
    Trial,
    TrialEnd,
    TrialUnit,
)
from chalicelib.services.count_subscribers import SubscriberCounts
from chalicelib.services.view_packages import PackageView, Which

Entitlements = Annotated[tuple[EntitlementModel, ...], Field(max_length=200)]
Prices = Annotated[tuple[PriceIn, ...], Field(max_length=100)]
AddonIds = Annotated[tuple[ChosenId, ...], Field(max_length=50)]
GraceDays = Annotated[
    int,
    Field(
        ge=0,
        le=365,
        description="Days of access while a payment is late; null: until the provider gives up.",
    ),
]
Quantity = Annotated[int, Field(ge=1, le=1_000_000)]


class PackageStatus(StrEnum):
    """Whether what is shown is a draft, was published, or belongs to an archived object."""

    DRAFT = "draft"
    PUBLISHED = "published"
    ARCHIVED = "archived"


class TrialModel(Wire):
    """The trial that a plan offers."""

    duration: Annotated[int, Field(ge=1, le=730)]
    unit: TrialUnit
    end_behavior: TrialEnd = TrialEnd.CONVERT_TO_PAID
    payment_method_required: bool = False


class PackageCreate(Wire):
    """What plans and add-ons are created with."""

    id: ChosenId
    product_id: ChosenId
    name: Name
    description: Description | None = None
    pricing_type: PricingType = PricingType.FREE
    entitlements: Entitlements = ()
    prices: Prices = ()
    metadata: Metadata = Field(default_factory=dict)


class PlanCreate(PackageCreate):
    """A plan to be, as a draft."""

    parent_plan_id: ChosenId | None = None
    compatible_addons: AddonIds = ()
    trial: TrialModel | None = None
    grace_period_days: GraceDays | None = None


class AddonCreate(PackageCreate):
    """An add-on to be, as a draft."""

    max_quantity: Quantity | None = None


class PackageUpdate(Wire):
    """Changes of the draft: absent fields stay, null clears, lists are replaced whole."""

    name: Name = absent("")
    description: Description | None = absent(None)
    pricing_type: PricingType = absent(PricingType.FREE)
    entitlements: Entitlements | None = absent(None)
    prices: Prices | None = absent(None)
    metadata: MetadataPatch | None = absent(None)
    revision: Revision | None = absent(None)


class PlanUpdate(PackageUpdate):
    """Changes of a plan's draft: absent fields stay, null clears, lists are replaced whole."""

    parent_plan_id: ChosenId | None = absent(None)
    compatible_addons: AddonIds | None = absent(None)
    trial: TrialModel | None = absent(None)
    grace_period_days: GraceDays | None = absent(None)


class AddonUpdate(PackageUpdate):
    """Changes of an add-on's draft: absent fields stay, null clears, lists are replaced whole."""

    max_quantity: Quantity | None = absent(None)


class RolloutIn(Wire):
    """Who gets the new version; with `all_customers`, present subscribers too, when `effective` says."""

    migration: Migration = Migration.NEW_CUSTOMERS
    effective: Effective = Effective.END_OF_PERIOD

    @property
    def rollout(self) -> Rollout:
        """The same inside."""
        return Rollout(migration=self.migration, effective=self.effective)


class PublishIn(RolloutIn):
    """Who gets the new version, and when it is published if not now."""

    publish_at: UtcInstant | None = None


class RollbackIn(RolloutIn):
    """Which version's content is published anew, and who gets it. A draft is lost only with `discard_draft`."""

    version: Annotated[int, Field(ge=1, le=999_999_999)]
    discard_draft: bool = False


class VersionQuery(Query):
    """Which content is shown: a version's number or `draft`; by default what is sold."""

    version: Annotated[str | None, Field(pattern=r"^(draft|[1-9][0-9]{0,8})$")] = None

    @property
    def which(self) -> Which:
        """The same in the services' words."""
        if self.version is None:
            return None
        return "draft" if self.version == "draft" else int(self.version)


class ScheduledPublicationOut(Wire):
    """When the draft is published and who gets it then; `error` says why it was not."""

    publish_at: datetime
    migration: Migration
    effective: Effective
    error: str | None


class SubscribersOut(Wire):
    """How many live subscriptions hold this version; not exact: at least so many."""

    count: int
    is_exact: bool


class PackageOut(Wire):
    """One content of a plan or add-on.

    `version` is the number of the version shown; of a draft, of the version it would replace, or null.
    `revision` rises with every change and guards edits. `migration` is the latest of its subscribers.
    `subscribers` is told in lists of versions only.
    """

    id: str
    product_id: str
    name: str
    description: str | None
    pricing_type: PricingType
    entitlements: tuple[EntitlementModel, ...]
    prices: tuple[PriceOut, ...]
    metadata: dict[str, str]
    status: PackageStatus
    version: int | None
    revision: int
    has_draft: bool
    sync_status: SyncStatus
    billing: tuple[BillingLinkOut, ...]
    published_at: datetime | None
    created_at: datetime
    migration: MigrationOut | None = None
    scheduled_publication: ScheduledPublicationOut | None = None
    subscribers: SubscribersOut | None = None


class PlanOut(PackageOut):
    """A plan: what a customer subscribes to."""

    object: Literal["plan"] = "plan"
    parent_plan_id: str | None
    compatible_addons: tuple[str, ...]
    trial: TrialModel | None
    grace_period_days: int | None


class AddonOut(PackageOut):
    """An add-on: what can be subscribed to beside a plan."""

    object: Literal["addon"] = "addon"
    max_quantity: int | None


class DraftDeletedOut(Wire):
    """The draft is gone."""

    object: Literal["plan_draft", "addon_draft"]
    id: str
    deleted: Literal[True] = True


P = TypeVar("P", bound=PackageOut)


def content_to_domain(body: PlanCreate | AddonCreate) -> PackageContent:
    """The first draft."""
    plan = body if isinstance(body, PlanCreate) else None
    addon = body if isinstance(body, AddonCreate) else None
    return PackageContent(
        name=body.name,
        description=body.description,
        pricing_type=body.pricing_type,
        parent_plan_id=_package_id(plan.parent_plan_id) if plan else None,
        entitlements=tuple(one.to_domain() for one in body.entitlements),
        prices=tuple(one.to_domain() for one in body.prices),
        compatible_addons=tuple(PackageId(one) for one in plan.compatible_addons) if plan else (),
        trial=_trial_to_domain(plan.trial) if plan else None,
        max_quantity=addon.max_quantity if addon else None,
        grace_period_days=plan.grace_period_days if plan else None,
        metadata=body.metadata,
    )


def changes_to_domain(body: PlanUpdate | AddonUpdate) -> dict[str, Any]:
    """The fields of the content that the caller named; `metadata` is still a patch."""
    changes = given(body, "name", "description", "pricing_type", "metadata")
    if "entitlements" in body.model_fields_set:
        changes["entitlements"] = tuple(one.to_domain() for one in body.entitlements or ())
    if "prices" in body.model_fields_set:
        changes["prices"] = tuple(one.to_domain() for one in body.prices or ())
    if isinstance(body, PlanUpdate):
        changes |= given(body, "parent_plan_id", "grace_period_days")
        if "compatible_addons" in body.model_fields_set:
            changes["compatible_addons"] = tuple(body.compatible_addons or ())
        if "trial" in body.model_fields_set:
            changes["trial"] = _trial_to_domain(body.trial)
    else:
        changes |= given(body, "max_quantity")
    return changes


def plan_from_domain(view: PackageView) -> PlanOut:
    """The plan as it is shown."""
    content = view.content
    trial = content.trial
    return PlanOut(
        **_shared(view),
        parent_plan_id=content.parent_plan_id,
        compatible_addons=content.compatible_addons,
        trial=TrialModel(
            duration=trial.duration,
            unit=trial.unit,
            end_behavior=trial.end_behavior,
            payment_method_required=trial.payment_method_required,
        )
        if trial
        else None,
        grace_period_days=content.grace_period_days,
    )


def addon_from_domain(view: PackageView) -> AddonOut:
    """The add-on as it is shown."""
    return AddonOut(**_shared(view), max_quantity=view.content.max_quantity)


def counted(shown: Iterable[P], counts: SubscriberCounts) -> Iterator[P]:
    """The versions, each with the number of its subscribers."""
    for one in shown:
        held = counts.by_version[one.version or 0]
        found = SubscribersOut(count=held, is_exact=counts.is_complete)
        yield one.model_copy(update={"subscribers": found})


def _shared(view: PackageView) -> dict[str, Any]:
    package, content = view.package, view.content
    status = PackageStatus.DRAFT if view.number is None else PackageStatus.PUBLISHED
    if package.status is Lifecycle.ARCHIVED:
        status = PackageStatus.ARCHIVED
    return {
        "id": package.id,
        "product_id": package.product_id,
        "name": content.name,
        "description": content.description,
        "pricing_type": content.pricing_type,
        "entitlements": tuple(EntitlementModel.from_domain(one) for one in content.entitlements),
        "prices": tuple(price_from_domain(price, view) for price in content.prices),
        "metadata": dict(content.metadata),
        "status": status,
        "version": view.number or package.published_version,
        "revision": package.revision,
        "has_draft": package.draft is not None,
        "sync_status": view.sync_status,
        "billing": links_from_domain(view.billing),
        "published_at": view.published_at,
        "created_at": package.created_at,
        "migration": migration_from_domain(view.migration) if view.migration else None,
        "scheduled_publication": _scheduled(package.scheduled) if package.scheduled else None,
    }


def _scheduled(scheduled: ScheduledPublication) -> ScheduledPublicationOut:
    return ScheduledPublicationOut(
        publish_at=scheduled.publish_at,
        migration=scheduled.rollout.migration,
        effective=scheduled.rollout.effective,
        error=scheduled.error,
    )


def _package_id(text: str | None) -> PackageId | None:
    return None if text is None else PackageId(text)


def _trial_to_domain(model: TrialModel | None) -> Trial | None:
    if model is None:
        return None
    return Trial(
        duration=model.duration,
        unit=model.unit,
        end_behavior=model.end_behavior,
        payment_method_required=model.payment_method_required,
    )
