"""A catalog document applied: only to the state its plan was made for, and only if all of it can be done.

There is no transaction around it. Every change is one, and each is found again by the next plan if it was not made:
after a crash, the same document applied once more does the rest.
"""

from dataclasses import dataclass

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.catalog_documents import WantedCatalog, state_hash
from chalicelib.domain.errors import StateMovedError
from chalicelib.domain.plans import Migration
from chalicelib.ports import Ports
from chalicelib.services.catalog_document import read_state
from chalicelib.services.change_catalog import carry_out
from chalicelib.services.plan_catalog import PlannedCatalog, plan_from


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedCatalog:
    """What was done, and the hash of the state that this led to."""

    plan: PlannedCatalog
    hash: str
    drafts: tuple[str, ...]


def apply_catalog(
    ports: Ports,
    cause: Cause,
    wanted: WantedCatalog,
    expected_hash: str,
    *,
    prune: bool = False,
    migration: Migration = Migration.NEW_CUSTOMERS,
) -> AppliedCatalog:
    """The catalog is as the document has it, and providers will be told.

    Raises:
        StateMovedError: The catalog is not in the state of this hash; nothing was written.
        InvalidError: The document can't be applied; nothing was written.
        VersionConflictError: Somebody else changed something meanwhile; what was done before that stays.
    """
    state = read_state(ports.store)
    found = state_hash(state)
    if found != expected_hash:
        raise StateMovedError(
            "The catalog changed since the plan was made; make a new one.", param="expected_hash"
        )
    plan = plan_from(ports, cause, state, wanted, prune=prune, migration=migration)
    for planned in plan.changes:
        carry_out(ports, cause, planned.change, migration)
    if not plan.changes:
        return AppliedCatalog(plan=plan, hash=found, drafts=state.drafts)
    after = read_state(ports.store)
    return AppliedCatalog(plan=plan, hash=state_hash(after), drafts=after.drafts)
