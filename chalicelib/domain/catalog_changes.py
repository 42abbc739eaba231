"""What turns the catalog as it is into the catalog as a document has it: changes, in the order of their dependence."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from chalicelib.domain.catalog_documents import (
    CatalogKind,
    CatalogState,
    Document,
    Held,
    HeldPackage,
    Wanted,
    WantedCatalog,
    WantedPackage,
    canonical,
    canonical_content,
    held_of,
    wanted_of,
)
from chalicelib.domain.errors import Violation
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.prices import default_price_id


class Action(StrEnum):
    """What becomes of an object. Plans and add-ons are published with their creation or update."""

    CREATE = "create"
    UPDATE = "update"
    PUBLISH = "publish"
    UNARCHIVE = "unarchive"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One value that differs, in JSON's types; None: it is not set. `prices` by itself is their order."""

    path: str
    before: object
    after: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One step. `at` is its object's place in the document, empty for what the document lacks."""

    action: Action
    kind: CatalogKind
    id: str
    at: str
    differences: tuple[Difference, ...] = ()
    held: Held | None
    wanted: Wanted | None

    @property
    def replaces_draft(self) -> bool:
        """Whether a draft with other content is overwritten by it."""
        if self.action is not Action.UPDATE or not isinstance(self.held, HeldPackage):
            return False
        return self.held.package.draft is not None and self.held.sold is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogPlan:
    """The changes in order, and what is there but not in the document, as `plan:pro`."""

    changes: tuple[Change, ...]
    unmanaged: tuple[str, ...]


def changes_between(state: CatalogState, wanted: WantedCatalog, *, prune: bool) -> CatalogPlan:
    """What must be done. What is only needed comes before what needs it, and is archived after it.

    What the document says is archived is not compared further; if it is not there at all, it is not made either.
    A draft that was never published is no part of any document: it is never pruned.
    """
    made: list[Change] = []
    archived: list[Change] = []
    unmanaged: list[str] = []
    for kind in CatalogKind:
        held = held_of(state, kind)
        for index, one in _by_parent(wanted_of(wanted, kind)):
            for change in _changes_of(kind, f"{kind.section}[{index}]", held.get(one.id), one):
                (archived if change.action is Action.ARCHIVE else made).append(change)
        listed = {one.id for one in wanted_of(wanted, kind)}
        for object_id, there in sorted(held.items()):
            if object_id in listed or _is_only_draft(there):
                continue
            if prune and there.status is Lifecycle.ACTIVE:
                archived.append(_archival(kind, "", there, None))
            elif not prune:
                unmanaged.append(f"{kind}:{object_id}")
    order = list(reversed(CatalogKind))
    archived.sort(key=lambda change: order.index(change.kind))
    return CatalogPlan(changes=(*made, *archived), unmanaged=tuple(unmanaged))


def duplicate_violations(wanted: WantedCatalog) -> tuple[Violation, ...]:
    """Every object that the document has twice."""
    found: list[Violation] = []
    for kind in CatalogKind:
        first: dict[str, int] = {}
        for index, one in enumerate(wanted_of(wanted, kind)):
            earlier = first.setdefault(one.id, index)
            if earlier != index:
                detail = f"{kind.section}[{earlier}] has the id {one.id!r} already."
                at = f"{kind.section}[{index}].id"
                found.append(Violation(param=at, code="duplicate", detail=detail))
    return tuple(found)


def _changes_of(kind: CatalogKind, at: str, held: Held | None, one: Wanted) -> Iterable[Change]:
    is_archived = one.status is Lifecycle.ARCHIVED
    if is_archived:
        if held is not None and held.status is Lifecycle.ACTIVE:
            yield _archival(kind, at, held, one)
        return
    after = canonical(one)
    if held is None:
        yield Change(
            action=Action.CREATE,
            kind=kind,
            id=one.id,
            at=at,
            differences=_differences({}, after),
            held=None,
            wanted=one,
        )
        return
    if held.status is Lifecycle.ARCHIVED:
        status = Difference(path="archived", before=True, after=None)
        yield Change(
            action=Action.UNARCHIVE,
            kind=kind,
            id=one.id,
            at=at,
            differences=(status,),
            held=held,
            wanted=one,
        )
    before = canonical(held)
    before.pop("archived", None)
    if before == after and not _is_only_draft(held):
        return
    yield Change(
        action=Action.PUBLISH if _is_drafted(held, one) else Action.UPDATE,
        kind=kind,
        id=one.id,
        at=at,
        differences=_differences({} if _is_only_draft(held) else before, after),
        held=held,
        wanted=one,
    )


def _archival(kind: CatalogKind, at: str, held: Held, wanted: Wanted | None) -> Change:
    status = Difference(path="archived", before=None, after=True)
    return Change(
        action=Action.ARCHIVE,
        kind=kind,
        id=held.id,
        at=at,
        differences=(status,),
        held=held,
        wanted=wanted,
    )


def _is_only_draft(held: Held) -> bool:
    return isinstance(held, HeldPackage) and held.sold is None


def _is_drafted(held: Held, wanted: Wanted) -> bool:
    """Whether the draft is what is wanted already: only its publication is missing."""
    if not isinstance(held, HeldPackage) or not isinstance(wanted, WantedPackage):
        return False
    draft = held.package.draft
    if draft is None or held.package.product_id != wanted.product_id:
        return False
    return canonical_content(draft) == canonical_content(wanted.content)


W = TypeVar("W", bound=Wanted)


def _by_parent(wanted: Sequence[W]) -> list[tuple[int, W]]:
    """The objects with their places in the document, parents before their children, else by id.

    Of a circle of parents somebody comes first all the same, and its publication is refused.
    """
    places: dict[str, tuple[int, W]] = {
        one.id: (index, one) for index, one in reversed(list(enumerate(wanted)))
    }
    ordered: dict[str, tuple[int, W]] = {}

    def visit(object_id: str) -> None:
        path: list[str] = []
        current: str | None = object_id
        while current in places and current not in ordered and current not in path:
            path.append(current)
            one = places[current][1]
            current = one.content.parent_plan_id if isinstance(one, WantedPackage) else None
        for visited in reversed(path):
            ordered[visited] = places[visited]

    for object_id in sorted(places):
        visit(object_id)
    return list(ordered.values())


# --- values that differ -------------------------------------------------------------------------

_KEYED: Final = frozenset({"entitlements", "prices"})


def _differences(before: Document, after: Document) -> tuple[Difference, ...]:
    return tuple(_fields("", before, after))


def _fields(at: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Difference]:
    for name in dict.fromkeys((*after, *before)):
        old, new = before.get(name), after.get(name)
        path = f"{at}.{name}" if at else name
        if old == new:
            continue
        if name in _KEYED:
            yield from _parts(path, old or [], new or [])
        elif isinstance(old, dict) and isinstance(new, dict):
            yield from _fields(path, old, new)
        else:
            yield Difference(path=path, before=old, after=new)


def _parts(path: str, old: Sequence[Document], new: Sequence[Document]) -> Iterable[Difference]:
    before = {part_key(part): part for part in old}
    after = {part_key(part): part for part in new}
    for key in dict.fromkeys((*after, *before)):
        at = f"{path}[{key}]"
        if key in before and key in after:
            yield from _fields(at, before[key], after[key])
        else:
            yield Difference(path=at, before=before.get(key), after=after.get(key))
    kept = [key for key in before if key in after]
    if kept != [key for key in after if key in before]:
        yield Difference(path=path, before=list(before), after=list(after))


def part_key(part: Mapping[str, Any]) -> str:
    """What tells a price or an entitlement of a document from its siblings."""
    if "model" in part:
        return str(part.get("id") or default_price_id(part))
    return str(part["feature_id"])
