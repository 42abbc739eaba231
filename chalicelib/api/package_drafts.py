"""The drafts of plans and add-ons: made, shown, edited, discarded."""

from chalice.app import Blueprint

from chalicelib.api.http import Call, Reply, endpoint
from chalicelib.api.package_models import (
    DraftDeletedOut,
    VersionQuery,
    changes_to_domain,
    content_to_domain,
)
from chalicelib.api.package_nouns import C, Noun, O, U
from chalicelib.api.wire import ListOut, NoBody, NoQuery, PageQuery, listed
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.ids import PackageId, ProductId
from chalicelib.domain.plans import Package
from chalicelib.ports import Ports
from chalicelib.services import edit_package, view_packages


def serve_drafts(bp: Blueprint, noun: Noun[C, U, O]) -> None:
    """The blueprint has the routes of this kind of package that look at or change drafts."""
    one = noun.path_of_one

    @endpoint(
        bp,
        "POST",
        noun.path,
        scope=Scope.CATALOG_WRITE,
        summary=f"Create {noun.phrase}",
        answer=noun.out,
        body=noun.create,
        status=201,
        also={200: f"The {noun.name} existed with the same content."},
        name=f"create_{noun.kind}",
    )
    def create(call: Call[C, NoQuery]) -> Reply[O]:
        """It begins as a draft: contradictions with the catalog are looked for when it is published."""
        package, created = edit_package.create_package(
            call.ports,
            call.cause,
            noun.kind,
            PackageId(call.body.id),
            ProductId(call.body.product_id),
            content_to_domain(call.body),
        )
        return Reply(_edited(noun, call.ports, package), status=201 if created else 200)

    @endpoint(
        bp,
        "GET",
        noun.path,
        scope=Scope.CATALOG_READ,
        summary=f"List {noun.plural}",
        answer=noun.page,
        query=PageQuery,
        name=f"list_{noun.kind}s",
    )
    def list_all(call: Call[NoBody, PageQuery]) -> ListOut[O]:
        """In the order of their ids, archived ones included; each as it is sold, or else its draft."""
        views, cursor = view_packages.list_packages(
            call.ports, noun.kind, limit=call.query.limit, cursor=call.query.cursor
        )
        return listed(map(noun.shown, views), cursor)

    @endpoint(
        bp,
        "GET",
        one,
        scope=Scope.CATALOG_READ,
        summary=f"Get {noun.phrase}",
        answer=noun.out,
        query=VersionQuery,
        etag=True,
        name=f"get_{noun.kind}",
    )
    def get(call: Call[NoBody, VersionQuery]) -> O:
        """What is sold (before the first publication: the draft), or the version asked for."""
        package = noun.get(call.ports, call.path)
        return noun.shown(view_packages.show(call.ports, package, call.query.which))

    @endpoint(
        bp,
        "PATCH",
        one,
        scope=Scope.CATALOG_WRITE,
        summary=f"Edit the draft of {noun.phrase}",
        answer=noun.out,
        body=noun.update,
        name=f"update_{noun.kind}",
    )
    def update(call: Call[U, NoQuery]) -> O:
        """Without a draft, one is opened from what is sold. With `revision`, only if nothing changed since."""
        package = edit_package.edit_package(
            call.ports,
            call.cause,
            noun.kind,
            noun.id_in(call.path),
            changes_to_domain(call.body),
            revision=call.body.revision,
        )
        return _edited(noun, call.ports, package)

    @endpoint(
        bp,
        "DELETE",
        f"{one}/draft",
        scope=Scope.CATALOG_WRITE,
        summary=f"Discard the draft of {noun.phrase}",
        answer=DraftDeletedOut,
        name=f"delete_{noun.kind}_draft",
    )
    def delete_draft(call: Call[NoBody, NoQuery]) -> DraftDeletedOut:
        """What is sold stays; what was never published is gone altogether."""
        package_id = noun.id_in(call.path)
        edit_package.delete_draft(call.ports, call.cause, noun.kind, package_id)
        return DraftDeletedOut(object=noun.draft_object, id=package_id)


def _edited(noun: Noun[C, U, O], ports: Ports, package: Package) -> O:
    """The draft, or what is sold when the edit came to nothing."""
    which: view_packages.Which = "draft" if package.draft is not None else None
    return noun.shown(view_packages.show(ports, package, which))
