"""The catalog as one document over HTTP."""

import json

from chalice.app import Blueprint

from chalicelib.api.catalog_models import (
    CatalogApplyIn,
    CatalogApplyOut,
    CatalogDiffOut,
    CatalogIn,
    CatalogOut,
    applied_from_domain,
    diff_from_domain,
    json_schema,
    parsed,
)
from chalicelib.api.http import Call, Text, endpoint
from chalicelib.api.wire import NoBody, NoQuery
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.catalog_documents import document_of, state_hash
from chalicelib.services.apply_catalog import apply_catalog
from chalicelib.services.catalog_document import read_state
from chalicelib.services.plan_catalog import plan_catalog

bp = Blueprint(__name__)


@endpoint(
    bp,
    "GET",
    "/catalog",
    scope=Scope.CATALOG_READ,
    summary="Get the whole catalog",
    answer=CatalogOut,
    etag=True,
)
def get_catalog(call: Call[NoBody, NoQuery]) -> CatalogOut:
    """One document in canonical form: what is sold, and what was until it was archived.

    Drafts are no part of it, but of what `hash` stands for.
    """
    state = read_state(call.ports.store)
    return CatalogOut(
        hash=state_hash(state),
        environment=call.ports.environment.name,
        drafts=state.drafts,
        catalog=parsed(document_of(state)),
    )


@endpoint(
    bp,
    "GET",
    "/catalog/schema",
    scope=Scope.CATALOG_READ,
    summary="Get the JSON Schema of catalog documents",
    answer=Text,
    media_type="application/schema+json",
    etag=True,
)
def get_catalog_schema(_: Call[NoBody, NoQuery]) -> Text:
    """For editors and for checks before anything is sent."""
    return Text(body=json.dumps(json_schema()), media_type="application/schema+json")


@endpoint(
    bp,
    "POST",
    "/catalog/diff",
    scope=Scope.CATALOG_READ,
    summary="Compare a document with the catalog",
    answer=CatalogDiffOut,
    body=CatalogIn,
)
def diff_catalog(call: Call[CatalogIn, NoQuery]) -> CatalogDiffOut:
    """What applying the document would do; nothing is written.

    A document that can't be applied is refused with every reason, by its place in the document. What the
    document lacks is left alone and listed as `unmanaged`, or archived with `prune`.
    """
    plan = plan_catalog(
        call.ports,
        call.cause,
        call.body.catalog.to_domain(call.ports.clock.now()),
        prune=call.body.prune,
        migration=call.body.migration,
    )
    return diff_from_domain(plan, call.ports.environment.name)


@endpoint(
    bp,
    "POST",
    "/catalog/apply",
    scope=Scope.CATALOG_WRITE,
    summary="Apply a document to the catalog",
    answer=CatalogApplyOut,
    body=CatalogApplyIn,
)
def post_catalog(call: Call[CatalogApplyIn, NoQuery]) -> CatalogApplyOut:
    """The catalog becomes what the document says; plans and add-ons that differ are published.

    Refused with `state_moved` unless the catalog has the `expected_hash` that the diff was given with. All of it
    is checked before anything is written. If it is cut short, the same document applied again does the rest.
    """
    applied = apply_catalog(
        call.ports,
        call.cause,
        call.body.catalog.to_domain(call.ports.clock.now()),
        call.body.expected_hash,
        prune=call.body.prune,
        migration=call.body.migration,
    )
    return applied_from_domain(applied, call.ports.environment.name)
