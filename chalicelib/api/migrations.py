"""Migrations over HTTP: how far subscribers are on their way to a newly published version."""

from chalice.app import Blueprint

from chalicelib.api.http import Call, endpoint
from chalicelib.api.migration_models import MigrationOut, migration_from_domain
from chalicelib.api.wire import ListOut, NoBody, NoQuery, PageQuery, list_answer
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.migrations import MigrationRun
from chalicelib.services import migrate_subscribers

bp = Blueprint(__name__)


@endpoint(
    bp,
    "GET",
    "/migrations",
    scope=Scope.CATALOG_READ,
    summary="List migrations",
    answer=ListOut[MigrationOut],
    query=PageQuery,
)
def list_migrations(call: Call[NoBody, PageQuery]) -> ListOut[MigrationOut]:
    """Newest first. A migration is started by publishing with `all_customers`."""
    query = call.query
    page = call.ports.store.list_within(
        MigrationRun, limit=query.limit, cursor=query.cursor, newest_first=True
    )
    return list_answer(page, migration_from_domain)


@endpoint(
    bp,
    "GET",
    "/migrations/{migration_id}",
    scope=Scope.CATALOG_READ,
    summary="Get a migration",
    answer=MigrationOut,
    etag=True,
)
def get_migration(call: Call[NoBody, NoQuery]) -> MigrationOut:
    """How far it is. Poll it until it is not `running`."""
    return migration_from_domain(
        migrate_subscribers.get_migration(call.ports, call.path["migration_id"])
    )


@endpoint(
    bp,
    "POST",
    "/migrations/{migration_id}/cancel",
    scope=Scope.CATALOG_WRITE,
    summary="Cancel a migration",
    answer=MigrationOut,
)
def cancel_migration(call: Call[NoBody, NoQuery]) -> MigrationOut:
    """Nobody else is moved; those who were stay moved. One that has ended stays as it ended."""
    return migration_from_domain(
        migrate_subscribers.cancel_migration(call.ports, call.cause, call.path["migration_id"])
    )
