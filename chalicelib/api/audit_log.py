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
    metadata: dict[str, str]
    sequence: int
    previous_hash: str
    hash: str


class AuditedEntityOut(Wire):
    """Something that the log tells of."""

    object: Literal["audited_entity"] = "audited_entity"
    entity: str


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
        metadata=dict(entry.metadata),
        sequence=entry.sequence,
        previous_hash=entry.previous_hash,
        hash=entry.hash,
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
    """Newest first. Each entry's `hash` is of all it holds and of `previous_hash`: see `paygrade audit verify`."""
    query = call.query
    page = call.ports.store.list_within(
        AuditEntry, query.entity, limit=query.limit, cursor=query.cursor, newest_first=True
    )
    return list_answer(page, from_domain)


@endpoint(
    bp,
    "GET",
    "/audit_log/entities",
    scope=Scope.OPERATIONS_READ,
    summary="List everything that has a history",
    query=PageQuery,
    answer=ListOut[AuditedEntityOut],
)
def list_audited_entities(call: Call[NoBody, PageQuery]) -> ListOut[AuditedEntityOut]:
    """In no particular order; what was deleted is among them."""
    query = call.query
    page = call.ports.store.list_within(AuditEntry, limit=query.limit, cursor=query.cursor)
    return list_answer(page, lambda first: AuditedEntityOut(entity=first.entity))
