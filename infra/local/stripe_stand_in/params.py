"""Form bodies with brackets to nested values, still all strings."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from infra.local.stripe_stand_in.errors import malformed

_SEGMENT = re.compile(r"\[([^\[\]]*)\]")


def decode_form(text: str) -> dict[str, Any]:
    """`a[b][0]=x` as `{"a": {"b": {"0": "x"}}}`; `a[]=x` numbers itself."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, strict_parsing=False):
        head, bracket, _ = name.partition("[")
        path = [head, *_SEGMENT.findall(name)] if bracket else [name]
        _place(tree, path, value, name)
    return tree


def _place(tree: dict[str, Any], path: list[str], value: str, name: str) -> None:
    node = tree
    for segment, following in zip(path, [*path[1:], None], strict=True):
        key = segment or str(len(node))
        if following is None:
            node[key] = value
            return
        child = node.setdefault(key, {})
        if not isinstance(child, dict):
            raise malformed("Invalid request parameters: conflicting types", name)
        node = child


def as_list(raw: Any) -> list[Any] | None:
    """The values of an indexed tree in index order, or None when it is no list."""
    if isinstance(raw, dict) and all(key.isdigit() for key in raw):
        return [raw[key] for key in sorted(raw, key=int)]
    return None


def flat_name(parent: str, key: str) -> str:
    """How Stripe names a nested parameter in an error."""
    return f"{parent}[{key}]" if parent else key
