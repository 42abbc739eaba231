"""The audit log of one entity."""

from datetime import datetime
from typing import Annotated, Any, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.http import Call, endpoint
from chalicelib.api.wire import ListOut, NoBody, PageQuery, Wire, list_answer
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.audit_log import AuditEntry

bp = Blueprint(__name__)


class AuditEntryOut(Wire):
    """Who changed what, why, from what to what."""

    object: Literal["audit_entry"] = "audit_entry"
    id: str
    entity: str
    action: str
    actor: str
    cause: str
    at: datetime
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def from_domain(entry: AuditEntry) -> AuditEntryOut:
    """The entry as it is shown."""
    return AuditEntryOut(
        id=entry.id,
        entity=entry.entity,
        action=entry.action,
        actor=entry.actor,
        cause=entry.cause,
        at=entry.at,
        before=dict(entry.before) if entry.before is not None else None,
        after=dict(entry.after) if entry.after is not None else None,
    )


class AuditQuery(PageQuery):
    """Whose history is wanted."""

    entity: Annotated[
        str,
        Field(
            pattern=r"^[a-z_]+:[A-Za-z0-9._:@+\-]{1,128}$",
            description="`plan:pro`, `customer:acme`, `subscription:subs_...`",
        ),
    ]


@endpoint(
    bp,
    "GET",
    "/audit_log",
    scope=Scope.OPERATIONS_READ,
    summary="Read an entity's history",
    query=AuditQuery,
    answer=ListOut[AuditEntryOut],
)
def list_audit_log(call: Call[NoBody, AuditQuery]) -> ListOut[AuditEntryOut]:
    """Newest first."""
    query = call.query
    page = call.ports.store.list_within(
        AuditEntry, query.entity, limit=query.limit, cursor=query.cursor, newest_first=True
    )
    return list_answer(page, from_domain)
