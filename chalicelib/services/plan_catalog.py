"""What a catalog document would do: found by comparison, tried out over the real services, and written nowhere."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.catalog_changes import (
    Action,
    CatalogPlan,
    Change,
    changes_between,
    duplicate_violations,
)
from chalicelib.domain.catalog_documents import (
    CatalogKind,
    CatalogState,
    HeldPackage,
    WantedCatalog,
    state_hash,
)
from chalicelib.domain.catalog_effects import Sold, coupon_step, expected_steps
from chalicelib.domain.coupons import Coupon
from chalicelib.domain.errors import (
    DomainError,
    InvalidError,
    StoreUnavailableError,
    VersionConflictError,
    Violation,
)
from chalicelib.domain.features import Feature
from chalicelib.domain.plans import Migration, Package, PackageKind
from chalicelib.ports import Ports
from chalicelib.services.catalog_document import read_state
from chalicelib.services.change_catalog import carry_out, refusal
from chalicelib.services.count_subscribers import count_subscribers
from chalicelib.services.listing import all_within
from chalicelib.services.rehearsal import rehearsed
from chalicelib.services.view_packages import sold_version

# A plan may have many changes; each count is some reads.
_COUNTED_AT_MOST: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChange:
    """A change that can be made, what providers will be told, and how many hold the plan or add-on now.

    `subscribers` is None where nobody can, or where there are too many to count in passing.
    """

    change: Change
    billing: tuple[str, ...] = ()
    subscribers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCatalog:
    """All changes in an order in which they can be made, for the state that has this hash."""

    hash: str
    changes: tuple[PlannedChange, ...]
    unmanaged: tuple[str, ...]
    drafts: tuple[str, ...]


def plan_catalog(
    ports: Ports,
    cause: Cause,
    wanted: WantedCatalog,
    *,
    prune: bool = False,
    migration: Migration = Migration.NEW_CUSTOMERS,
) -> PlannedCatalog:
    """The plan; raises `InvalidError` with every reason why the document can't be applied, by place in it."""
    return plan_from(
        ports, cause, read_state(ports.store), wanted, prune=prune, migration=migration
    )


def plan_from(
    ports: Ports,
    cause: Cause,
    state: CatalogState,
    wanted: WantedCatalog,
    *,
    prune: bool,
    migration: Migration,
) -> PlannedCatalog:
    """The plan that starts from this state; raises `InvalidError`."""
    violations = duplicate_violations(wanted)
    if violations:
        raise InvalidError(violations)
    plan = changes_between(state, wanted, prune=prune)
    return PlannedCatalog(
        hash=state_hash(state),
        changes=_rehearse(ports, cause, plan, migration),
        unmanaged=plan.unmanaged,
        drafts=state.drafts,
    )


def _rehearse(
    ports: Ports, cause: Cause, plan: CatalogPlan, migration: Migration
) -> tuple[PlannedChange, ...]:
    """The changes in the order in which they succeeded; one that others stood in the way of is tried after them.

    An add-on that gives up a currency, say, has to wait for the plans that were sold in it.
    """
    stage = rehearsed(ports)
    done: list[PlannedChange] = []
    left: Sequence[Change] = plan.changes
    while left:
        refused: list[tuple[Change, DomainError]] = []
        for change in left:
            before = _sold(stage, change)
            try:
                carry_out(stage, cause, change, migration)
            except (StoreUnavailableError, VersionConflictError):
                raise  # no fault of the document
            except DomainError as error:
                refused.append((change, error))
            else:
                done.append(_with_effect(stage, change, before))
        if len(refused) == len(left):
            raise InvalidError(_root_causes(refused))
        left = [change for change, _ in refused]
    return tuple(done)


def _root_causes(refused: Sequence[tuple[Change, DomainError]]) -> list[Violation]:
    """All faults but those that are there only because something else could not be made."""
    missing = [repr(str(change.id)) for change, _ in refused if change.action is not Action.ARCHIVE]
    found = [fault for change, error in refused for fault in refusal(error, change)]
    roots = [fault for fault in found if not _follows_from(fault, missing)]
    return roots or found


def _follows_from(fault: Violation, missing: Iterable[str]) -> bool:
    is_reference = fault.code.startswith("unknown_") or fault.code == "not_published"
    return is_reference and any(name in fault.detail for name in missing)


def _with_effect(stage: Ports, change: Change, before: Sold | None) -> PlannedChange:
    one = change.wanted or change.held
    is_told = bool(stage.providers.names())
    if isinstance(one, Coupon) and is_told:
        return PlannedChange(change=change, billing=(coupon_step(change.action, one.name),))
    if change.kind not in (CatalogKind.ADDON, CatalogKind.PLAN):
        return PlannedChange(change=change)
    steps: tuple[str, ...] = ()
    if is_told:
        steps = expected_steps(
            before,
            _sold(stage, change),
            {feature.id: feature for feature in all_within(stage.store, Feature)},
            environment=stage.environment.name,
            public_url=stage.environment.public_url,
        )
    held = change.held
    subscribers = None
    if isinstance(held, HeldPackage):
        counts = count_subscribers(
            stage.store, held.package.kind, held.id, at_most=_COUNTED_AT_MOST
        )
        subscribers = counts.by_version.total() if counts.is_complete else None
    return PlannedChange(change=change, billing=steps, subscribers=subscribers)


def _sold(stage: Ports, change: Change) -> Sold | None:
    if change.kind not in (CatalogKind.ADDON, CatalogKind.PLAN):
        return None
    package = stage.store.get(Package, PackageKind(change.kind.value), change.id)
    version = sold_version(stage.store, package) if package is not None else None
    return (package, version) if package is not None and version is not None else None
