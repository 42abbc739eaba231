"""The import of what a billing provider's account sells already, over HTTP."""

from collections import Counter
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import Field, PlainSerializer

from chalicelib.api.catalog_models import CatalogModel, parsed, small
from chalicelib.api.http import Call, endpoint
from chalicelib.api.wire import ChosenId, NoQuery, Wire
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.ids import ProductId
from chalicelib.domain.import_report import Severity
from chalicelib.services.import_catalog import draft_import

bp = Blueprint(__name__)


class CatalogImportIn(Wire):
    """Whose catalog is read (by default the first provider's that can be), and what groups the plans."""

    provider: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    product_id: ChosenId = "imported"


class ImportFindingOut(Wire):
    """One remark about one of the provider's objects. `reason` is a stable code.

    `skipped`: it is no part of the document; `changed`: it says something else there; `note`: it needs a look.
    """

    severity: Severity
    billing_id: str
    reason: str
    detail: str


class ImportCountsOut(Wire):
    """How many objects the document has, and how many remarks of each severity there are."""

    features: int
    addons: int
    plans: int
    prices: int
    coupons: int
    skipped: int
    changed: int
    notes: int


class CatalogImportOut(Wire):
    """A draft: a document for `diff` and `apply`, and what it does not say."""

    object: Literal["catalog_import"] = "catalog_import"
    # A lambda declares no type of its own, so that the published schema stays the model's.
    catalog: Annotated[CatalogModel, PlainSerializer(lambda model: small(model))]  # noqa: PLW0108
    report: tuple[ImportFindingOut, ...]
    counts: ImportCountsOut


@endpoint(
    bp,
    "POST",
    "/catalog/import",
    scope=Scope.CATALOG_WRITE,
    summary="Draft a document of what a provider sells already",
    answer=CatalogImportOut,
    body=CatalogImportIn,
)
def import_catalog(call: Call[CatalogImportIn, NoQuery]) -> CatalogImportOut:
    """Reads the provider's products, prices and coupons; nothing is written, neither here nor there.

    What is Paygrade's already, here or there, is no part of the document. Edit it, then `diff` and `apply` it.
    """
    draft = draft_import(
        call.ports, call.cause, ProductId(call.body.product_id), call.body.provider
    )
    catalog = parsed(draft.document)
    severities = Counter(one.severity for one in draft.findings)
    return CatalogImportOut(
        catalog=catalog,
        report=tuple(
            ImportFindingOut(
                severity=one.severity,
                billing_id=one.billing_id,
                reason=one.reason,
                detail=one.detail,
            )
            for one in draft.findings
        ),
        counts=ImportCountsOut(
            features=len(catalog.features),
            addons=len(catalog.addons),
            plans=len(catalog.plans),
            prices=sum(len(one.prices) for one in (*catalog.addons, *catalog.plans)),
            coupons=len(catalog.coupons),
            skipped=severities[Severity.SKIPPED],
            changed=severities[Severity.CHANGED],
            notes=severities[Severity.NOTE],
        ),
    )
