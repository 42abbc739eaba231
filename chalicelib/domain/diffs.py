"""Differences between two contents of a plan or add-on, in an order that never depends on how they were written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chalicelib.domain.plain import plain
from chalicelib.domain.plans import PackageContent


class ChangeKind(StrEnum):
    """What became of an entitlement or a price."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartChange:
    """One entitlement (`id`: its feature) or price that differs.

    `before` and `after` hold the fields that differ, in JSON's types; of an added or removed one all that are set.
    """

    id: str
    change: ChangeKind
    before: Mapping[str, object] | None
    after: Mapping[str, object] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One other field that differs, in JSON's types; None: not set."""

    field: str
    before: object
    after: object


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentDiff:
    """All that differs: parts in the order of their ids, fields in the order of their names."""

    entitlements: tuple[PartChange, ...] = ()
    prices: tuple[PartChange, ...] = ()
    fields: tuple[FieldChange, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.entitlements or self.prices or self.fields)


_PARTS: Final = frozenset({"entitlements", "prices"})
_Part = Mapping[str, object]


def diff_contents(before: PackageContent | None, after: PackageContent) -> ContentDiff:
    """What turns the one content into the other; from None, all that there is."""
    old = _fields(before)
    new = _fields(after)
    return ContentDiff(
        entitlements=_parts(
            _by(old, "entitlements", "feature_id"), _by(new, "entitlements", "feature_id")
        ),
        prices=_parts(_by(old, "prices", "id"), _by(new, "prices", "id")),
        fields=tuple(
            FieldChange(field=name, before=old.get(name), after=new.get(name))
            for name in sorted({*old, *new} - _PARTS)
            if old.get(name) != new.get(name)
        ),
    )


def _fields(content: PackageContent | None) -> dict[str, object]:
    document = plain(content)
    if not isinstance(document, dict):
        return {}
    listed = document.get("compatible_addons")
    if isinstance(listed, list):
        # Which add-ons a plan takes is a set, whatever order they are written in.
        document["compatible_addons"] = sorted(listed)
    return {name: value for name, value in document.items() if not _is_unset(value)}


def _is_unset(value: object) -> bool:
    return value is None or value in ([], {})


def _by(document: Mapping[str, object], name: str, key: str) -> dict[str, _Part]:
    parts = document.get(name, [])
    assert isinstance(parts, list)  # noqa: S101 -- a tuple of dataclasses, made plain
    return {str(part[key]): part for part in parts}


def _parts(old: Mapping[str, _Part], new: Mapping[str, _Part]) -> tuple[PartChange, ...]:
    return tuple(_changed_parts(old, new))


def _changed_parts(old: Mapping[str, _Part], new: Mapping[str, _Part]) -> Iterable[PartChange]:
    for part_id in sorted({*old, *new}):
        before, after = old.get(part_id), new.get(part_id)
        if before is None or after is None:
            yield PartChange(
                id=part_id,
                change=ChangeKind.ADDED if before is None else ChangeKind.REMOVED,
                before=_set_fields(before),
                after=_set_fields(after),
            )
        elif _canonical(before) != _canonical(after):
            names = sorted(name for name in after if _value(before, name) != _value(after, name))
            yield PartChange(
                id=part_id,
                change=ChangeKind.CHANGED,
                before={name: before[name] for name in names},
                after={name: after[name] for name in names},
            )


def _set_fields(part: _Part | None) -> _Part | None:
    if part is None:
        return None
    return {name: value for name, value in part.items() if not _is_unset(value)}


def _canonical(part: _Part) -> dict[str, object]:
    return {name: _value(part, name) for name in part}


def _value(part: _Part, name: str) -> object:
    value = part[name]
    # The values of an enum are a set; tiers are a list of mappings, whose order counts.
    if name == "values" and isinstance(value, list):
        return sorted(value)
    return value
