"""The versions of plans and add-ons: published now or later, rolled back, listed, taken off sale."""

from chalice.app import Blueprint

from chalicelib.api.http import Call, endpoint
from chalicelib.api.package_models import PublishIn, RollbackIn, counted
from chalicelib.api.package_nouns import C, Noun, O, U
from chalicelib.api.wire import ListOut, NoBody, NoQuery, PageQuery, listed
from chalicelib.domain.api_keys import Scope
from chalicelib.services import (
    archive_package,
    count_subscribers,
    publish_package,
    rollback_package,
    schedule_publication,
    view_packages,
)


def serve_versions(bp: Blueprint, noun: Noun[C, U, O]) -> None:
    """The blueprint has the routes of this kind of package that look at or change what is sold."""
    one = noun.path_of_one

    @endpoint(
        bp,
        "POST",
        f"{one}/publish",
        scope=Scope.CATALOG_WRITE,
        summary=f"Publish the draft of {noun.phrase}",
        answer=noun.out,
        body=PublishIn,
        name=f"publish_{noun.kind}",
    )
    def publish(call: Call[PublishIn, NoQuery]) -> O:
        """The draft becomes the version that is sold from now on; it never changes again.

        Billing providers are told in the background: `sync_status` says how far they are. Existing
        subscribers stay on their version, unless `migration` is `all_customers`: then they are moved in
        the background, each when `effective` says, and `migration` shows how far that is.
        With `publish_at` the draft, as it will be then, is published within a minute of that time; until
        then `scheduled_publication` shows it, and after that only if it failed.
        """
        package_id = noun.id_in(call.path)
        if call.body.publish_at is not None:
            scheduled = schedule_publication.schedule_publication(
                call.ports,
                call.cause,
                noun.kind,
                package_id,
                call.body.publish_at,
                call.body.rollout,
            )
            return noun.shown(view_packages.show(call.ports, scheduled, "draft"))
        package, version = publish_package.publish_package(
            call.ports, call.cause, noun.kind, package_id, call.body.rollout
        )
        return noun.shown(view_packages.show_version(call.ports, package, version))

    @endpoint(
        bp,
        "DELETE",
        f"{one}/scheduled_publication",
        scope=Scope.CATALOG_WRITE,
        summary=f"Cancel the scheduled publication of {noun.phrase}",
        answer=noun.out,
        name=f"cancel_{noun.kind}_publication",
    )
    def cancel_publication(call: Call[NoBody, NoQuery]) -> O:
        """The draft stays and is not published by itself any more."""
        package = schedule_publication.cancel_scheduled_publication(
            call.ports, call.cause, noun.kind, noun.id_in(call.path)
        )
        return noun.shown(view_packages.show(call.ports, package))

    @endpoint(
        bp,
        "POST",
        f"{one}/rollback",
        scope=Scope.CATALOG_WRITE,
        summary=f"Roll {noun.phrase} back",
        answer=noun.out,
        body=RollbackIn,
        name=f"rollback_{noun.kind}",
    )
    def rollback(call: Call[RollbackIn, NoQuery]) -> O:
        """The content of an older version is published anew, under a new number.

        Refused with `draft_exists` while there is a draft, unless `discard_draft` says that it may be lost.
        """
        package, version = rollback_package.rollback_package(
            call.ports,
            call.cause,
            noun.kind,
            noun.id_in(call.path),
            call.body.version,
            call.body.rollout,
            discard_draft=call.body.discard_draft,
        )
        return noun.shown(view_packages.show_version(call.ports, package, version))

    @endpoint(
        bp,
        "GET",
        f"{one}/versions",
        scope=Scope.CATALOG_READ,
        summary=f"List the versions of {noun.phrase}",
        answer=noun.page,
        query=PageQuery,
        name=f"list_{noun.kind}_versions",
    )
    def list_versions(call: Call[NoBody, PageQuery]) -> ListOut[O]:
        """Every published version, newest first, with the number of its live subscriptions."""
        package = noun.get(call.ports, call.path)
        views, cursor = view_packages.list_versions(
            call.ports, package, limit=call.query.limit, cursor=call.query.cursor
        )
        counts = count_subscribers.count_subscribers(call.ports.store, noun.kind, package.id)
        return listed(counted(map(noun.shown, views), counts), cursor)

    @endpoint(
        bp,
        "POST",
        f"{one}/archive",
        scope=Scope.CATALOG_WRITE,
        summary=f"Archive {noun.phrase}",
        answer=noun.out,
        name=f"archive_{noun.kind}",
    )
    def archive(call: Call[NoBody, NoQuery]) -> O:
        """It takes no new subscribers; those who have it keep it."""
        package_id = noun.id_in(call.path)
        package = archive_package.archive_package(call.ports, call.cause, noun.kind, package_id)
        return noun.shown(view_packages.show(call.ports, package))

    @endpoint(
        bp,
        "POST",
        f"{one}/unarchive",
        scope=Scope.CATALOG_WRITE,
        summary=f"Unarchive {noun.phrase}",
        answer=noun.out,
        name=f"unarchive_{noun.kind}",
    )
    def unarchive(call: Call[NoBody, NoQuery]) -> O:
        """It is sold again, as it was; refused with `archived` while its product is archived."""
        package_id = noun.id_in(call.path)
        package = archive_package.unarchive_package(call.ports, call.cause, noun.kind, package_id)
        return noun.shown(view_packages.show(call.ports, package))
