"""Which operations the installed SDK knows: method and path to the type of its parameters.

Read from the SDK's service modules with `ast`, so a bump of the SDK moves the stand-in with it.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import stripe

_PACKAGE = Path(stripe.__file__).parent
_PLACEHOLDER = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Operation:
    """Where the parameters of one operation are typed; no module when it takes none."""

    module: str | None
    name: str | None

    def params_type(self) -> type | None:
        """The TypedDict of its parameters."""
        if self.module is None or self.name is None:
            return None
        found = getattr(import_module(self.module), self.name)
        return found if isinstance(found, type) else None


def shape_of(path: str) -> str:
    """A path with every placeholder spelled alike, so that templates compare."""
    return _PLACEHOLDER.sub("{}", path)


def find(method: str, template: str) -> Operation | None:
    """The SDK's operation for this method and path template, or None when it has none."""
    return _operations_under(template.split("/")[2]).get((method, shape_of(template)))


@cache
def templates(first_segment: str) -> frozenset[tuple[str, str]]:
    """Every (METHOD, path with `{}`) the SDK knows under `/v1/<first_segment>`."""
    return frozenset(_operations_under(first_segment))


@cache
def _sources() -> dict[Path, str]:
    return {
        file: file.read_text(encoding="utf-8") for file in sorted(_PACKAGE.rglob("*_service.py"))
    }


@cache
def _operations_under(first_segment: str) -> dict[tuple[str, str], Operation]:
    # Parsing all service modules takes most of a second, the few of one noun some milliseconds.
    found: dict[tuple[str, str], Operation] = {}
    for text in _sources().values():
        if f'"/v1/{first_segment}' not in text:
            continue
        tree = ast.parse(text)
        origins = _imports(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                _read_method(node, origins, found)
    return found


def _imports(tree: ast.Module) -> dict[str, str]:
    return {
        alias.name: node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _read_method(
    function: ast.FunctionDef,
    origins: dict[str, str],
    found: dict[tuple[str, str], Operation],
) -> None:
    params = next((a for a in function.args.args if a.arg == "params"), None)
    named = (
        re.search(r"(\w+Params)", ast.unparse(params.annotation))
        if (params is not None and params.annotation is not None)
        else None
    )
    for call in ast.walk(function):
        if not (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr == "_request"
            and isinstance(call.args[0], ast.Constant)
        ):
            continue
        path = _path_of(call.args[1])
        if path is None or not path.startswith("/v1/"):
            continue
        name = named.group(1) if named else None
        found[(str(call.args[0].value).upper(), shape_of(path))] = Operation(
            origins.get(name) if name else None, name
        )


def _path_of(node: ast.expr) -> str | None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        node = node.func.value
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
