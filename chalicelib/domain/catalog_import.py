"""The translation of a catalog that others made into a document of ours, which a person edits and applies."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chalicelib.domain.catalog_documents import (
    CatalogState,
    HeldPackage,
    WantedCatalog,
    WantedPackage,
)
from chalicelib.domain.foreign_catalog import ForeignCatalog, ForeignProduct
from chalicelib.domain.ids import FeatureId, ProductId
from chalicelib.domain.import_coupons import imported_coupons
from chalicelib.domain.import_features import ImportedFeatures
from chalicelib.domain.import_packages import imported_packages
from chalicelib.domain.import_prices import imported_prices
from chalicelib.domain.import_report import IMPORTED_FROM, Finding, Report, Slugs
from chalicelib.domain.plans import PackageKind
from chalicelib.domain.prices import Price
from chalicelib.domain.products import Product

_MOST: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedCatalog:
    """The document, and what it does not say."""

    catalog: WantedCatalog
    findings: tuple[Finding, ...]


def import_catalog(
    foreign: ForeignCatalog, state: CatalogState, product_id: ProductId, now: datetime
) -> ImportedCatalog:
    """A document that adds what is sold there to what is sold here; nothing that is here is part of it."""
    report = Report()
    features = ImportedFeatures(state.features, now)
    packages = tuple(_packages(foreign, state, product_id, features, report))
    if len(packages) > _MOST:
        for one in packages[_MOST:]:
            source = one.content.metadata[IMPORTED_FROM]
            report.skipped(source, "too_many", f"A document has at most {_MOST} plans.")
        packages = packages[:_MOST]
    is_there = any(one.id == product_id for one in state.products)
    product = Product(id=product_id, name=str(product_id)[:250].capitalize(), created_at=now)
    coupons = tuple(imported_coupons(foreign.coupons, state.coupons, now, report))
    for left in coupons[_MOST:]:
        source = left.metadata[IMPORTED_FROM]
        report.skipped(source, "too_many", f"A document has at most {_MOST} coupons.")
    return ImportedCatalog(
        catalog=WantedCatalog(
            features=features.among(_counted(packages)),
            products=() if is_there or not packages else (product,),
            addons=tuple(one for one in packages if one.kind is PackageKind.ADDON),
            plans=tuple(one for one in packages if one.kind is PackageKind.PLAN),
            coupons=coupons[:_MOST],
        ),
        findings=tuple(report.findings),
    )


def _packages(
    foreign: ForeignCatalog,
    state: CatalogState,
    product_id: ProductId,
    features: ImportedFeatures,
    report: Report,
) -> Iterator[WantedPackage]:
    meters = {one.billing_id: one for one in foreign.meters}
    held = (*state.addons, *state.plans)
    slugs = Slugs(one.id for one in held)
    known = {source for one in held for source in _sources(one)}
    for product in foreign.products:
        refused = _refusal(product, known)
        if refused is not None:
            report.skipped(product.billing_id, *refused)
            continue
        prices: list[dict[str, Price]] = []
        for price in product.prices:
            found = imported_prices(price, product, meters, features, report)
            if found:
                prices.append(found)
        if not prices:
            report.skipped(product.billing_id, "no_prices", "No price of it can be sold here.")
            continue
        if product.has_metadata:
            report.note(product.billing_id, "metadata", "Its metadata is not taken over.")
        yield from imported_packages(product, prices, product_id, slugs, report)


def _refusal(product: ForeignProduct, known: set[str]) -> tuple[str, str] | None:
    if product.is_managed:
        return "managed", "It is a plan or add-on of Paygrade's already."
    if not product.active:
        return "archived", "It is not sold any more."
    if product.billing_id in known:
        return "already_imported", "An earlier import has brought it."
    return None


def _sources(held: HeldPackage) -> Iterator[str]:
    for content in (held.sold.content if held.sold is not None else None, held.package.draft):
        if content is not None and IMPORTED_FROM in content.metadata:
            yield content.metadata[IMPORTED_FROM]


def _counted(packages: Iterable[WantedPackage]) -> set[FeatureId]:
    return {
        price.feature_id
        for one in packages
        for price in one.content.prices
        if price.feature_id is not None
    }
