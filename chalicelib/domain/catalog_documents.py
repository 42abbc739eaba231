"""The catalog as one document: its canonical form, the digest of a state, and what turns a state into a document.

Canonical is: objects in the order of their ids, what equals its default left out, everything a server adds left
out. The order of prices is kept, because the first recurring one is what providers show first.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from typing import Any, Final

from chalicelib.domain.coupons import Coupon
from chalicelib.domain.features import Feature, Lifecycle, default_usage_kind
from chalicelib.domain.ids import PackageId, ProductId
from chalicelib.domain.plain import plain
from chalicelib.domain.plans import Package, PackageContent, PackageKind, PackageVersion
from chalicelib.domain.prices import default_price_id
from chalicelib.domain.products import Product

Document = dict[str, Any]
"""In JSON's types, with the names that the API has."""


class CatalogKind(StrEnum):
    """What a catalog consists of, in the order in which one thing needs another."""

    FEATURE = "feature"
    PRODUCT = "product"
    ADDON = "addon"
    PLAN = "plan"
    COUPON = "coupon"

    @property
    def section(self) -> str:
        """The part of the document that lists these."""
        return f"{self.value}s"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPackage:
    """A plan or add-on as it is: its record, and the version that is sold (None: it is only a draft yet)."""

    package: Package
    sold: PackageVersion | None

    @property
    def id(self) -> PackageId:
        """The package's id."""
        return self.package.id

    @property
    def status(self) -> Lifecycle:
        """Whether it is on the shelf."""
        return self.package.status


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPackage:
    """A plan or add-on as a document has it."""

    kind: PackageKind
    id: PackageId
    product_id: ProductId
    content: PackageContent
    status: Lifecycle = Lifecycle.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogState:
    """The whole catalog as it is now."""

    features: tuple[Feature, ...] = ()
    products: tuple[Product, ...] = ()
    addons: tuple[HeldPackage, ...] = ()
    plans: tuple[HeldPackage, ...] = ()
    coupons: tuple[Coupon, ...] = ()

    @property
    def drafts(self) -> tuple[str, ...]:
        """The plans and add-ons with something that is not published, as `plan:pro`."""
        packages = (held.package for held in (*self.addons, *self.plans))
        return tuple(sorted(f"{one.kind}:{one.id}" for one in packages if one.draft is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedCatalog:
    """The catalog as a document has it, in the document's order."""

    features: tuple[Feature, ...] = ()
    products: tuple[Product, ...] = ()
    addons: tuple[WantedPackage, ...] = ()
    plans: tuple[WantedPackage, ...] = ()
    coupons: tuple[Coupon, ...] = ()


Held = Feature | Product | HeldPackage | Coupon
Wanted = Feature | Product | WantedPackage | Coupon


def held_of(state: CatalogState, kind: CatalogKind) -> Mapping[str, Held]:
    """What there is of the kind, by id."""
    found: Sequence[Held] = getattr(state, kind.section)
    return {one.id: one for one in found}


def wanted_of(catalog: WantedCatalog, kind: CatalogKind) -> Sequence[Wanted]:
    """What the document has of the kind, in its order."""
    found: Sequence[Wanted] = getattr(catalog, kind.section)
    return found


# --- the canonical form -------------------------------------------------------------------------


def document_of(state: CatalogState) -> Document:
    """The canonical document: what is sold or was until it was archived; drafts are no part of it."""
    return {
        CatalogKind.FEATURE.section: _in_order(map(canonical, state.features)),
        CatalogKind.PRODUCT.section: _in_order(map(canonical, state.products)),
        CatalogKind.ADDON.section: _in_order(_published(state.addons)),
        CatalogKind.PLAN.section: _in_order(_published(state.plans)),
        CatalogKind.COUPON.section: _in_order(map(canonical, state.coupons)),
    }


def wanted_document(catalog: WantedCatalog) -> Document:
    """The document in its canonical form, whatever way it was written."""
    return {
        kind.section: _in_order(canonical(one) for one in wanted_of(catalog, kind))
        for kind in CatalogKind
    }


def state_hash(state: CatalogState) -> str:
    """A digest of all that a document can change: the published catalog and the drafts."""
    drafts = [
        {"draft": canonical(_as_wanted(held.package, held.package.draft))}
        for held in (*state.addons, *state.plans)
        if held.package.draft is not None
    ]
    text = json.dumps([document_of(state), drafts], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(one: Held | Wanted) -> Document:
    """One object of the document."""
    if isinstance(one, HeldPackage):
        content = one.sold.content if one.sold is not None else one.package.draft
        assert content is not None  # noqa: S101 -- a package is sold or a draft
        return canonical(_as_wanted(one.package, content))
    found = _with_status(one)
    if isinstance(one, Feature):
        if one.usage_kind is default_usage_kind(one.type, one.meter):
            found.pop("usage_kind", None)
    elif isinstance(one, Coupon) and one.percent_off is not None:
        found["percent_off"] = float(one.percent_off)  # no money: a number for the API, too
    elif isinstance(one, WantedPackage):
        found |= canonical_content(one.content)
    return found


def canonical_content(content: PackageContent) -> Document:
    """The content of a plan or add-on; equal for contents that mean the same."""
    found = _set_fields(content)
    if content.entitlements:
        found["entitlements"] = sorted(
            (_entitlement(one) for one in found["entitlements"]), key=lambda one: one["feature_id"]
        )
    if content.prices:
        found["prices"] = [_price(one) for one in found["prices"]]
    if content.compatible_addons:
        found["compatible_addons"] = sorted(content.compatible_addons)
    return found


def _as_wanted(package: Package, content: PackageContent) -> WantedPackage:
    return WantedPackage(
        kind=package.kind,
        id=package.id,
        product_id=package.product_id,
        content=content,
        status=package.status,
    )


def _published(packages: Iterable[HeldPackage]) -> Iterable[Document]:
    return (canonical(held) for held in packages if held.sold is not None)


def _in_order(documents: Iterable[Document]) -> list[Document]:
    return sorted(documents, key=lambda one: str(one["id"]))


_SERVERS_OWN: Final = frozenset(
    {"status", "version", "created_at", "incarnation", "kind", "content"}
)


def _with_status(one: Feature | Product | WantedPackage | Coupon) -> Document:
    found = {name: value for name, value in _set_fields(one).items() if name not in _SERVERS_OWN}
    if one.status is Lifecycle.ARCHIVED:
        found["archived"] = True
    return found


def _entitlement(document: Document) -> Document:
    # The values of an enum are a set.
    return document | {"values": sorted(document["values"])} if "values" in document else document


def _price(document: Document) -> Document:
    if document["id"] == default_price_id(document):
        return {name: value for name, value in document.items() if name != "id"}
    return document


def _set_fields(value: Any) -> Document:  # noqa: ANN401 -- any dataclass of the domain
    """The fields that differ from their defaults, in JSON's types, nested ones likewise."""
    return {
        one.name: _small(getattr(value, one.name))
        for one in fields(value)
        if getattr(value, one.name) not in (None, _default(one))
    }


def _small(value: Any) -> Any:  # noqa: ANN401 -- any value of the domain
    if is_dataclass(value):
        return _set_fields(value)
    if isinstance(value, tuple):
        return [_small(item) for item in value]
    return plain(value)


def _default(field: Any) -> object:  # noqa: ANN401 -- dataclasses do not export their fields' type
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else MISSING
