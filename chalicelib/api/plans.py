"""Plans over HTTP."""

from chalice.app import Blueprint

from chalicelib.api.diff_models import (
    DiffOut,
    ImpactOut,
    diff_from_domain,
    impact_from_domain,
)
from chalicelib.api.http import Call, Reply, endpoint
from chalicelib.api.package_models import (
    DraftDeletedOut,
    PlanCreate,
    PlanOut,
    PlanUpdate,
    PublishIn,
    RollbackIn,
    VersionQuery,
    changes_to_domain,
    content_to_domain,
    counted,
    plan_from_domain,
)
from chalicelib.api.wire import ListOut, NoBody, NoQuery, PageQuery, listed
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.ids import PackageId, ProductId
from chalicelib.domain.plans import Package, PackageKind
from chalicelib.services import (
    archive_package,
    count_subscribers,
    diff_package,
    edit_package,
    publish_package,
    reckon_impact,
    rollback_package,
    schedule_publication,
    view_packages,
)

bp = Blueprint(__name__)

_KIND = PackageKind.PLAN


@endpoint(
    bp,
    "POST",
    "/plans",
    scope=Scope.CATALOG_WRITE,
    summary="Create a plan",
    answer=PlanOut,
    body=PlanCreate,
    status=201,
    also={200: "The plan existed with the same content."},
)
def create_plan(call: Call[PlanCreate, NoQuery]) -> Reply[PlanOut]:
    """It begins as a draft: contradictions with the catalog are looked for when it is published."""
    package, created = edit_package.create_package(
        call.ports,
        call.cause,
        _KIND,
        PackageId(call.body.id),
        ProductId(call.body.product_id),
        content_to_domain(call.body),
    )
    return Reply(_edited(call, package), status=201 if created else 200)


@endpoint(
    bp,
    "GET",
    "/plans",
    scope=Scope.CATALOG_READ,
    summary="List plans",
    answer=ListOut[PlanOut],
    query=PageQuery,
)
def list_plans(call: Call[NoBody, PageQuery]) -> ListOut[PlanOut]:
    """In the order of their ids, archived ones included; each as it is sold, or else its draft."""
    views, cursor = view_packages.list_packages(
        call.ports, _KIND, limit=call.query.limit, cursor=call.query.cursor
    )
    return listed(map(plan_from_domain, views), cursor)


@endpoint(
    bp,
    "GET",
    "/plans/{plan_id}",
    scope=Scope.CATALOG_READ,
    summary="Get a plan",
    answer=PlanOut,
    query=VersionQuery,
    etag=True,
)
def get_plan(call: Call[NoBody, VersionQuery]) -> PlanOut:
    """What is sold (before the first publication: the draft), or the version asked for."""
    package = _get(call)
    return plan_from_domain(view_packages.show(call.ports, package, call.query.which))


@endpoint(
    bp,
    "PATCH",
    "/plans/{plan_id}",
    scope=Scope.CATALOG_WRITE,
    summary="Edit the draft of a plan",
    answer=PlanOut,
    body=PlanUpdate,
)
def update_plan(call: Call[PlanUpdate, NoQuery]) -> PlanOut:
    """Without a draft, one is opened from what is sold. With `revision`, only if nothing changed since."""
    package = edit_package.edit_package(
        call.ports,
        call.cause,
        _KIND,
        PackageId(call.path["plan_id"]),
        changes_to_domain(call.body),
        revision=call.body.revision,
    )
    return _edited(call, package)


@endpoint(
    bp,
    "DELETE",
    "/plans/{plan_id}/draft",
    scope=Scope.CATALOG_WRITE,
    summary="Discard the draft of a plan",
    answer=DraftDeletedOut,
)
def delete_plan_draft(call: Call[NoBody, NoQuery]) -> DraftDeletedOut:
    """What is sold stays; a plan that was never published is gone altogether."""
    plan_id = PackageId(call.path["plan_id"])
    edit_package.delete_draft(call.ports, call.cause, _KIND, plan_id)
    return DraftDeletedOut(object="plan_draft", id=plan_id)


@endpoint(
    bp,
    "GET",
    "/plans/{plan_id}/diff",
    scope=Scope.CATALOG_READ,
    summary="Compare the draft of a plan with what is sold",
    answer=DiffOut,
)
def diff_plan(call: Call[NoBody, NoQuery]) -> DiffOut:
    """What publishing the draft would change, and for whom, if everybody got it."""
    plan_id = PackageId(call.path["plan_id"])
    return diff_from_domain(diff_package.diff_package(call.ports, _KIND, plan_id))


@endpoint(
    bp,
    "POST",
    "/plans/{plan_id}/impact",
    scope=Scope.CATALOG_WRITE,
    summary="Count whom the draft of a plan affects",
    answer=ImpactOut,
    status=202,
)
def count_plan_impact(call: Call[NoBody, NoQuery]) -> ImpactOut:
    """For more subscribers than are counted at once: the count is under way, and the diff shows how far it is.

    It is of the draft as it is now; editing the draft makes it `stale`.
    """
    run = reckon_impact.start_impact(call.ports, _KIND, PackageId(call.path["plan_id"]))
    return impact_from_domain(run.status, run.tally)


@endpoint(
    bp,
    "POST",
    "/plans/{plan_id}/publish",
    scope=Scope.CATALOG_WRITE,
    summary="Publish the draft of a plan",
    answer=PlanOut,
    body=PublishIn,
)
def publish_plan(call: Call[PublishIn, NoQuery]) -> PlanOut:
    """The draft becomes the version that is sold from now on; it never changes again.

    Billing providers are told in the background: `sync_status` says how far they are. Existing
    subscribers stay on their version, unless `migration` is `all_customers`: then they are moved in
    the background, each when `effective` says, and `migration` shows how far that is.
    With `publish_at` the draft, as it will be then, is published within a minute of that time; until
    then `scheduled_publication` shows it, and after that only if it failed.
    """
    plan_id = PackageId(call.path["plan_id"])
    if call.body.publish_at is not None:
        scheduled = schedule_publication.schedule_publication(
            call.ports, call.cause, _KIND, plan_id, call.body.publish_at, call.body.rollout
        )
        return plan_from_domain(view_packages.show(call.ports, scheduled, "draft"))
    package, version = publish_package.publish_package(
        call.ports, call.cause, _KIND, plan_id, call.body.rollout
    )
    return plan_from_domain(view_packages.show_version(call.ports, package, version))


@endpoint(
    bp,
    "DELETE",
    "/plans/{plan_id}/scheduled_publication",
    scope=Scope.CATALOG_WRITE,
    summary="Cancel the scheduled publication of a plan",
    answer=PlanOut,
)
def cancel_plan_publication(call: Call[NoBody, NoQuery]) -> PlanOut:
    """The draft stays and is not published by itself any more."""
    package = schedule_publication.cancel_scheduled_publication(
        call.ports, call.cause, _KIND, PackageId(call.path["plan_id"])
    )
    return plan_from_domain(view_packages.show(call.ports, package))


@endpoint(
    bp,
    "POST",
    "/plans/{plan_id}/rollback",
    scope=Scope.CATALOG_WRITE,
    summary="Roll a plan back",
    answer=PlanOut,
    body=RollbackIn,
)
def rollback_plan(call: Call[RollbackIn, NoQuery]) -> PlanOut:
    """The content of an older version is published anew, under a new number.

    Refused with `draft_exists` while there is a draft, unless `discard_draft` says that it may be lost.
    """
    package, version = rollback_package.rollback_package(
        call.ports,
        call.cause,
        _KIND,
        PackageId(call.path["plan_id"]),
        call.body.version,
        call.body.rollout,
        discard_draft=call.body.discard_draft,
    )
    return plan_from_domain(view_packages.show_version(call.ports, package, version))


@endpoint(
    bp,
    "GET",
    "/plans/{plan_id}/versions",
    scope=Scope.CATALOG_READ,
    summary="List the versions of a plan",
    answer=ListOut[PlanOut],
    query=PageQuery,
)
def list_plan_versions(call: Call[NoBody, PageQuery]) -> ListOut[PlanOut]:
    """Every published version, newest first, with the number of its live subscriptions."""
    package = _get(call)
    views, cursor = view_packages.list_versions(
        call.ports, package, limit=call.query.limit, cursor=call.query.cursor
    )
    counts = count_subscribers.count_subscribers(call.ports.store, _KIND, package.id)
    return listed(counted(map(plan_from_domain, views), counts), cursor)


@endpoint(
    bp,
    "POST",
    "/plans/{plan_id}/archive",
    scope=Scope.CATALOG_WRITE,
    summary="Archive a plan",
    answer=PlanOut,
)
def archive_plan(call: Call[NoBody, NoQuery]) -> PlanOut:
    """It takes no new subscribers; those who have it keep it."""
    plan_id = PackageId(call.path["plan_id"])
    package = archive_package.archive_package(call.ports, call.cause, _KIND, plan_id)
    return plan_from_domain(view_packages.show(call.ports, package))


@endpoint(
    bp,
    "POST",
    "/plans/{plan_id}/unarchive",
    scope=Scope.CATALOG_WRITE,
    summary="Unarchive a plan",
    answer=PlanOut,
)
def unarchive_plan(call: Call[NoBody, NoQuery]) -> PlanOut:
    """It is sold again, as it was; refused with `archived` while its product is archived."""
    plan_id = PackageId(call.path["plan_id"])
    package = archive_package.unarchive_package(call.ports, call.cause, _KIND, plan_id)
    return plan_from_domain(view_packages.show(call.ports, package))


def _get(call: Call[NoBody, VersionQuery] | Call[NoBody, PageQuery]) -> Package:
    return view_packages.get_package(call.ports.store, _KIND, PackageId(call.path["plan_id"]))


def _edited(
    call: Call[PlanCreate, NoQuery] | Call[PlanUpdate, NoQuery], package: Package
) -> PlanOut:
    """The draft, or what is sold when the edit came to nothing."""
    which: view_packages.Which = "draft" if package.draft is not None else None
    return plan_from_domain(view_packages.show(call.ports, package, which))
