"""The catalog document over HTTP: the bodies that the single objects are created with, list by list."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

from pydantic import Field, PlainSerializer

from chalicelib.api.coupons import CouponCreate
from chalicelib.api.features import FeatureCreate
from chalicelib.api.package_models import AddonCreate, PlanCreate, content_to_domain
from chalicelib.api.products import ProductCreate
from chalicelib.api.wire import Wire
from chalicelib.domain.catalog_changes import Action
from chalicelib.domain.catalog_documents import (
    CatalogKind,
    Document,
    WantedCatalog,
    WantedPackage,
    wanted_document,
)
from chalicelib.domain.coupons import Coupon
from chalicelib.domain.features import Feature, Lifecycle
from chalicelib.domain.ids import PackageId, ProductId
from chalicelib.domain.plans import Migration, PackageKind
from chalicelib.domain.products import Product
from chalicelib.services.apply_catalog import AppliedCatalog
from chalicelib.services.plan_catalog import PlannedCatalog, PlannedChange

SCHEMA_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_Archived = Annotated[
    bool, Field(description="It is not sold any more; the rest of it is not compared.")
]


class CatalogFeature(FeatureCreate):
    """A feature of the document."""

    archived: _Archived = False


class CatalogProduct(ProductCreate):
    """A product of the document."""

    archived: _Archived = False


class CatalogAddon(AddonCreate):
    """An add-on of the document, as it is to be sold."""

    archived: _Archived = False


class CatalogPlan(PlanCreate):
    """A plan of the document, as it is to be sold."""

    archived: _Archived = False


class CatalogCoupon(CouponCreate):
    """A coupon of the document."""

    archived: _Archived = False


class CatalogModel(Wire):
    """The whole catalog. In canonical form: in the order of ids, without what equals its default."""

    features: Annotated[tuple[CatalogFeature, ...], Field(max_length=1000)] = ()
    products: Annotated[tuple[CatalogProduct, ...], Field(max_length=1000)] = ()
    addons: Annotated[tuple[CatalogAddon, ...], Field(max_length=1000)] = ()
    plans: Annotated[tuple[CatalogPlan, ...], Field(max_length=1000)] = ()
    coupons: Annotated[tuple[CatalogCoupon, ...], Field(max_length=1000)] = ()

    def to_domain(self, now: datetime) -> WantedCatalog:
        """The same document inside."""
        return WantedCatalog(
            features=tuple(
                _with_status(one.to_domain(now), archived=one.archived) for one in self.features
            ),
            products=tuple(
                _with_status(one.to_domain(now), archived=one.archived) for one in self.products
            ),
            addons=tuple(_package(PackageKind.ADDON, one) for one in self.addons),
            plans=tuple(_package(PackageKind.PLAN, one) for one in self.plans),
            coupons=tuple(
                _with_status(one.to_domain(now), archived=one.archived) for one in self.coupons
            ),
        )


def parsed(document: object) -> CatalogModel:
    """The document as the model; raises pydantic's `ValidationError`."""
    return CatalogModel.model_validate_json(json.dumps(document))


def canonical_document(document: object, now: datetime) -> Document:
    """The canonical form of a document, whatever way it was written; raises pydantic's `ValidationError`."""
    return small(parsed(wanted_document(parsed(document).to_domain(now))))


def small(model: CatalogModel) -> Document:
    """The document in JSON's types, without what it leaves to the defaults."""
    return model.model_dump(mode="json", exclude_unset=True)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of documents."""
    schema = {**CatalogModel.model_json_schema(), "title": "Paygrade catalog"}
    return {"$schema": SCHEMA_DIALECT, **schema}


class CatalogIn(Wire):
    """A document to compare with the catalog."""

    faults_within: ClassVar[str | None] = "catalog"

    catalog: CatalogModel
    prune: Annotated[bool, Field(description="Archive what the document lacks.")] = False
    migration: Migration = Migration.NEW_CUSTOMERS


class CatalogApplyIn(CatalogIn):
    """A document to apply, and the `hash` of the state that its plan was made for."""

    expected_hash: Annotated[str, Field(min_length=1, max_length=128)]


class CatalogOut(Wire):
    """The whole catalog as it is sold. `drafts` lists what has changes that are not published, as `plan:pro`."""

    object: Literal["catalog"] = "catalog"
    hash: str
    environment: str
    drafts: tuple[str, ...]
    # A lambda declares no type of its own, so that the published schema stays the model's.
    catalog: Annotated[CatalogModel, PlainSerializer(lambda model: small(model))]  # noqa: PLW0108


class DifferenceOut(Wire):
    """One value that differs; null: not set. The path is inside the object, e.g. `prices[base].amount`."""

    path: str
    before: Any
    after: Any


class CatalogEffectOut(Wire):
    """What the change does elsewhere: at Stripe, if it holds what is sold now, and to how many who hold it now.

    `subscribers` is null where that does not apply or can't be told quickly. They keep what they have.
    """

    stripe: tuple[str, ...]
    subscribers: int | None


class CatalogChangeOut(Wire):
    """One change. Plans and add-ons are published with it; `replaces_draft`: a draft of other content is lost."""

    action: Action
    kind: CatalogKind
    id: str
    changes: tuple[DifferenceOut, ...]
    replaces_draft: bool
    effect: CatalogEffectOut


class CatalogChangesOut(Wire):
    """All changes, in the order in which they are made. `unmanaged`: there, but not in the document."""

    hash: str
    environment: str
    changes: tuple[CatalogChangeOut, ...]
    unmanaged: tuple[str, ...]
    drafts: tuple[str, ...]


class CatalogDiffOut(CatalogChangesOut):
    """The plan. `unmanaged`: there, but not in the document; `hash` is that of the state it is for."""

    object: Literal["catalog_diff"] = "catalog_diff"


class CatalogApplyOut(CatalogChangesOut):
    """What was done. `hash` is that of the state now."""

    object: Literal["catalog_apply"] = "catalog_apply"


def diff_from_domain(plan: PlannedCatalog, environment: str) -> CatalogDiffOut:
    """The plan as it is shown."""
    return CatalogDiffOut(
        hash=plan.hash,
        environment=environment,
        changes=_changes(plan.changes),
        unmanaged=plan.unmanaged,
        drafts=plan.drafts,
    )


def applied_from_domain(applied: AppliedCatalog, environment: str) -> CatalogApplyOut:
    """The report as it is shown."""
    return CatalogApplyOut(
        hash=applied.hash,
        environment=environment,
        changes=_changes(applied.plan.changes),
        unmanaged=applied.plan.unmanaged,
        drafts=applied.drafts,
    )


def _changes(planned: Sequence[PlannedChange]) -> tuple[CatalogChangeOut, ...]:
    return tuple(
        CatalogChangeOut(
            action=one.change.action,
            kind=one.change.kind,
            id=one.change.id,
            changes=tuple(
                DifferenceOut(path=each.path, before=each.before, after=each.after)
                for each in one.change.differences
            ),
            replaces_draft=one.change.replaces_draft,
            effect=CatalogEffectOut(stripe=one.billing, subscribers=one.subscribers),
        )
        for one in planned
    )


T = TypeVar("T", Feature, Product, Coupon)


def _with_status(one: T, *, archived: bool) -> T:
    return replace(one, status=_status(archived=archived))


def _status(*, archived: bool) -> Lifecycle:
    return Lifecycle.ARCHIVED if archived else Lifecycle.ACTIVE


def _package(kind: PackageKind, model: CatalogAddon | CatalogPlan) -> WantedPackage:
    return WantedPackage(
        kind=kind,
        id=PackageId(model.id),
        product_id=ProductId(model.product_id),
        content=content_to_domain(model),
        status=_status(archived=model.archived),
    )
