"""The catalog of a provider's account as a document of ours. Nothing is written, neither here nor there."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.catalog_documents import (
    CatalogKind,
    Document,
    Wanted,
    WantedCatalog,
    WantedPackage,
    wanted_document,
    wanted_of,
)
from chalicelib.domain.catalog_import import import_catalog
from chalicelib.domain.errors import (
    BillingNotConfiguredError,
    InvalidError,
    Violation,
    invalid,
)
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import ProductId
from chalicelib.domain.import_report import IMPORTED_FROM, Finding, Severity
from chalicelib.domain.products import Product
from chalicelib.ports import CatalogSource, Ports
from chalicelib.services.catalog_document import read_state
from chalicelib.services.plan_catalog import plan_catalog

_PLACE: Final = re.compile(r"(features|products|addons|plans|coupons)\[(\d+)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogDraft:
    """The document, which `diff` accepts as it is, and what it does not say."""

    document: Document
    findings: tuple[Finding, ...]


def draft_import(
    ports: Ports, cause: Cause, product_id: ProductId, provider: str | None = None
) -> CatalogDraft:
    """What the provider's account sells, as a document; of several providers the first that can be read.

    Raises:
        BillingNotConfiguredError: No provider's catalog can be read.
        InvalidError: The named provider is none, or can't be read, or the product is archived.
    """
    source = _choose_source(ports, provider)
    held = ports.store.get(Product, product_id)
    if held is not None and held.status is Lifecycle.ARCHIVED:
        raise invalid("product_id", "archived", f"The product {product_id!r} is archived.")
    imported = import_catalog(
        source.foreign_catalog(), read_state(ports.store), product_id, ports.clock.now()
    )
    catalog, refused = _accepted(ports, cause, imported.catalog)
    return CatalogDraft(document=wanted_document(catalog), findings=(*imported.findings, *refused))


def _choose_source(ports: Ports, wished: str | None) -> CatalogSource:
    known = ports.providers.names()
    if wished is not None and wished not in known:
        detail = f"The environment has no billing provider {wished!r}."
        raise invalid("provider", "unknown_provider", detail)
    for name in known if wished is None else (wished,):
        provider = ports.providers.get(name)
        if isinstance(provider, CatalogSource):
            return provider
    if wished is None:
        raise BillingNotConfiguredError("No billing provider has a catalog that can be read.")
    detail = f"The billing provider {wished!r} has no catalog to read."
    raise invalid("provider", "no_catalog", detail)


def _accepted(
    ports: Ports, cause: Cause, catalog: WantedCatalog
) -> tuple[WantedCatalog, tuple[Finding, ...]]:
    """The catalog without what the rules refuse, tried out until nothing is refused any more."""
    findings: list[Finding] = []
    while True:
        try:
            plan_catalog(ports, cause, catalog)
        except InvalidError as error:
            refused = _by_place(error.violations)
            if not refused:
                raise
            for (section, index), fault in refused.items():
                one = wanted_of(catalog, _KINDS[section])[index]
                detail = f"Refused as {one.id!r} at {fault.param}: {fault.detail}"
                findings.append(
                    Finding(
                        severity=Severity.SKIPPED,
                        billing_id=_source(one),
                        reason=fault.code,
                        detail=detail,
                    )
                )
            catalog = _without(catalog, refused)
        else:
            return catalog, tuple(findings)


_KINDS: Final = {kind.section: kind for kind in CatalogKind}


def _by_place(violations: Sequence[Violation]) -> dict[tuple[str, int], Violation]:
    found: dict[tuple[str, int], Violation] = {}
    for fault in violations:
        match = _PLACE.match(fault.param)
        if match is not None:
            found.setdefault((match[1], int(match[2])), fault)
    return found


def _source(one: Wanted) -> str:
    metadata: Mapping[str, str] = (
        one.content.metadata if isinstance(one, WantedPackage) else getattr(one, "metadata", {})
    )
    return metadata.get(IMPORTED_FROM, str(one.id))


def _without(catalog: WantedCatalog, places: Mapping[tuple[str, int], Violation]) -> WantedCatalog:
    left: dict[str, Any] = {
        section: tuple(
            one
            for index, one in enumerate(wanted_of(catalog, kind))
            if (section, index) not in places
        )
        for section, kind in _KINDS.items()
    }
    return replace(catalog, **left)
