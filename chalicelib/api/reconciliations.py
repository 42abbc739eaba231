"""Reconciliations: comparing everything with the billing providers, and the reports of it."""

from datetime import datetime
from typing import Any, Literal

from chalice.app import Blueprint

from chalicelib.api.http import Call, endpoint
from chalicelib.api.wire import ListOut, NoBody, NoQuery, PageQuery, Wire, list_answer
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.reconciliations import (
    Drift,
    DriftAction,
    DriftKind,
    DriftPolicy,
    Reconciliation,
    ReconciliationStatus,
)
from chalicelib.services.start_reconciliation import start_reconciliation

bp = Blueprint(__name__)


class ReconciliationIn(Wire):
    """What is done about drift of the catalog; left out, the environment's policy counts."""

    policy: DriftPolicy | None = None


class DriftOut(Wire):
    """One difference that was found."""

    kind: DriftKind
    entity: str
    ours: dict[str, Any] | None
    theirs: dict[str, Any] | None
    action: DriftAction


class ReconciliationOut(Wire):
    """A run and its report; `drifts_omitted` are counted but not listed.

    `standing` is what the run before has reported already and nobody has acted on: no news, but still so.
    """

    object: Literal["reconciliation"] = "reconciliation"
    id: str
    status: ReconciliationStatus
    trigger: str
    policy: DriftPolicy
    started_at: datetime
    finished_at: datetime | None
    counts: dict[str, int]
    drifts: tuple[DriftOut, ...]
    standing: tuple[DriftOut, ...]
    drifts_omitted: int
    error: str | None


def _drift(drift: Drift) -> DriftOut:
    return DriftOut(
        kind=drift.kind,
        entity=drift.entity,
        ours=dict(drift.ours) if drift.ours is not None else None,
        theirs=dict(drift.theirs) if drift.theirs is not None else None,
        action=drift.action,
    )


def from_domain(run: Reconciliation) -> ReconciliationOut:
    """The run as it is shown."""
    return ReconciliationOut(
        id=run.id,
        status=run.status,
        trigger=run.trigger,
        policy=run.policy,
        started_at=run.started_at,
        finished_at=run.finished_at,
        counts=dict(run.counts),
        drifts=tuple(_drift(drift) for drift in run.drifts),
        standing=tuple(_drift(drift) for drift in run.standing),
        drifts_omitted=run.drifts_omitted,
        error=run.error,
    )


@endpoint(
    bp,
    "POST",
    "/reconciliations",
    scope=Scope.OPERATIONS_WRITE,
    summary="Start a reconciliation",
    body=ReconciliationIn,
    answer=ReconciliationOut,
    status=202,
)
def post_reconciliation(call: Call[ReconciliationIn, NoQuery]) -> ReconciliationOut:
    """A run is under way; if one was already, that one is returned. Poll it until it is not `running`.

    With the `policy` `report` nothing is changed in a provider's catalog; one that is returned keeps its own.
    """
    return from_domain(
        start_reconciliation(call.ports, call.cause.actor, call.body.policy, call.cause)
    )


@endpoint(
    bp,
    "GET",
    "/reconciliations",
    scope=Scope.OPERATIONS_READ,
    summary="List reconciliations",
    query=PageQuery,
    answer=ListOut[ReconciliationOut],
)
def list_reconciliations(call: Call[NoBody, PageQuery]) -> ListOut[ReconciliationOut]:
    """Newest first."""
    query = call.query
    page = call.ports.store.list_within(
        Reconciliation, limit=query.limit, cursor=query.cursor, newest_first=True
    )
    return list_answer(page, from_domain)


@endpoint(
    bp,
    "GET",
    "/reconciliations/{reconciliation_id}",
    scope=Scope.OPERATIONS_READ,
    summary="Retrieve a reconciliation",
    answer=ReconciliationOut,
)
def retrieve_reconciliation(call: Call[NoBody, NoQuery]) -> ReconciliationOut:
    """The run with all that it has found so far."""
    run = call.ports.store.get(Reconciliation, call.path["reconciliation_id"])
    if run is None:
        raise NotFoundError("reconciliation", call.path["reconciliation_id"])
    return from_domain(run)
