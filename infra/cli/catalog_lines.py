"""A plan for people: one line for each change, its values below, and what it does elsewhere."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

Line = tuple[str, str | None]
"""A line's text and its style."""

SIGNS: Final = {"create": "+", "unarchive": "+", "update": "~", "publish": "~", "archive": "-"}
STYLES: Final = {"+": "green", "~": "yellow", "-": "red"}
TOTALS: Final = {"+": "to add", "~": "to change", "-": "to archive"}


def lines_of(report: Mapping[str, Any]) -> Iterator[Line]:
    """The plan, or what was done by it."""
    for change in report["changes"]:
        sign = SIGNS[change["action"]]
        word = "" if change["action"] in ("create", "update") else f" ({change['action']})"
        yield f"{sign} {change['kind']} {change['id']}{word}", STYLES[sign]
        if change["action"] not in ("archive", "unarchive"):
            yield from ((f"    {_difference(one)}", None) for one in change["changes"])
        yield from _effects(change)
    if report["unmanaged"]:
        yield f"Not in the document, left alone: {', '.join(report['unmanaged'])}", "dim"
    if report["drafts"]:
        yield f"Drafts that are not published: {', '.join(report['drafts'])}", "dim"


def total_of(report: Mapping[str, Any]) -> str:
    """The plan in one sentence."""
    counted = Counter(SIGNS[change["action"]] for change in report["changes"])
    if not counted:
        return "No changes: the catalog is as the document says."
    return ", ".join(f"{counted[sign]} {words}" for sign, words in TOTALS.items()) + "."


def _effects(change: Mapping[str, Any]) -> Iterator[Line]:
    effect = change["effect"]
    if change["replaces_draft"]:
        yield "    ! replaces a draft of other content", "bold red"
    if effect["stripe"]:
        yield f"    Stripe: {'; '.join(effect['stripe'])}", "cyan"
    if effect["subscribers"]:
        yield f"    Subscribers: {effect['subscribers']} hold it now", "cyan"


def _difference(one: Mapping[str, Any]) -> str:
    before, after = one["before"], one["after"]
    if before is None:
        return f"+ {one['path']}: {_value(after)}"
    if after is None:
        return f"- {one['path']}: {_value(before)}"
    return f"~ {one['path']}: {_value(before)} -> {_value(after)}"


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_value(item)}" for name, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
