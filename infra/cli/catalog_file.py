"""A catalog document as a YAML file: read strictly, and written so that only what differs changes."""

import io
import json
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from chalicelib.api.catalog_models import canonical_document
from chalicelib.api.problems import from_pydantic
from chalicelib.domain.catalog_changes import part_key
from infra.cli.errors import CliError

Document = dict[str, Any]
Node = MutableMapping[str, Any]

SECTIONS: Final = ("features", "products", "addons", "plans", "coupons")
HEADER: Final = "The price list. Amounts are in minor units (2900 usd = $29.00)."
ENTITLEMENTS: Final = "entitlements"
PRICES: Final = "prices"
_EPOCH: Final = datetime.fromtimestamp(0, UTC)  # a document has no times; the domain's objects do


class BadFileError(CliError):
    """The file is no catalog document; each fault has its place."""

    def __init__(self, detail: str, faults: Sequence[str] = ()) -> None:
        super().__init__(detail, code="bad_file", title="Bad catalog file")
        self._faults = list(faults)

    def lines(self) -> list[str]:
        """What is wrong, and where."""
        return [self.detail, *(f"  {fault}" for fault in self._faults)]

    def problem(self) -> dict[str, Any]:
        """The error as problem JSON."""
        return super().problem() | {"faults": self._faults}


def read_text(file: Path) -> str:
    """The file's text; raises `CliError` if it can't be read."""
    try:
        return file.read_bytes().decode()
    except (OSError, ValueError) as error:
        raise BadFileError(f"{file} can't be read: {error}.") from error


def document_in(text: str, name: str) -> Document:
    """The document that the YAML text is, in JSON's types; raises `BadFileError`."""
    try:
        content = YAML(typ="safe", pure=True).load(text)
        document = json.loads(json.dumps({} if content is None else content, default=str))
    except (YAMLError, ValueError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise BadFileError(f"{name} is not YAML that JSON can say: {reason}.") from error
    if not isinstance(document, dict):
        raise BadFileError(f"{name} is not a mapping with {', '.join(SECTIONS)}.")
    return document


def pulled(text: str | None, catalog: Document, name: str) -> str:
    """The text of a file that says what the catalog is: the same one if it says so already.

    Otherwise only the values that differ are changed; comments and the order of objects stay.
    """
    if text is None or not text.strip():
        return _dumped(_fresh(catalog))
    said = _canonical(document_in(text, name), name)
    if said == catalog:
        return text
    yaml = _yaml()
    tree = yaml.load(text)
    if not isinstance(tree, CommentedMap):  # nothing but comments
        return text + _dumped(_fresh(catalog), header=False)
    for section in SECTIONS:
        wanted = catalog[section]
        if section in tree:
            _merge_list(tree, section, said.get(section, []), wanted, _id_of)
        elif wanted:
            tree[section] = _node(wanted)
    merged = _dumped(tree, header=False)
    # An alias shares one value between places that differ now: then what it says goes before how it looks.
    if _canonical(document_in(merged, name), name) != catalog:
        return _dumped(_fresh(catalog))
    return merged


def _canonical(document: Document, name: str) -> Document:
    try:
        return canonical_document(document, _EPOCH)
    except ValidationError as error:
        faults = [f"{one.param}: {one.detail}" for one in from_pydantic(error).violations]
        raise BadFileError(f"{name} is not a catalog.", faults) from error


def _id_of(part: Mapping[str, Any]) -> str:
    return str(part["id"])


def _merge_list(
    parent: Node, name: str, said: Sequence[Document], wanted: Sequence[Document], key_of: Any
) -> None:
    """The list under this name has what is wanted; what stays keeps its place, unless order has a meaning."""
    items: MutableSequence[Any] | None = parent[name]
    if not items:
        parent[name] = _node(wanted)
        return
    said_by, wanted_by = ({key_of(one): one for one in each} for each in (said, wanted))
    for index in reversed(range(len(items))):
        key = key_of(items[index])
        if key not in wanted_by:
            del items[index]
        elif said_by[key] != wanted_by[key]:
            _merge(items[index], said_by[key], wanted_by[key])
    present = [key_of(item) for item in items]
    for index, (key, one) in enumerate(wanted_by.items()):
        if key not in present:
            place = index if name == PRICES else len(present)
            items.insert(place, _node(one))
            present.insert(place, key)
    if name == PRICES and present != list(wanted_by):
        by_key = {key_of(item): item for item in items}
        parent[name] = _styled(CommentedSeq(by_key[key] for key in wanted_by), items)


def _merge(node: Node, said: Document, wanted: Document) -> None:
    for name in [name for name in said if name not in wanted]:
        del node[name]
    for name, value in wanted.items():
        old = said.get(name)
        if old == value:
            continue
        if name in (ENTITLEMENTS, PRICES) and name in node:
            _merge_list(node, name, old or [], value, part_key)
        elif isinstance(old, dict) and isinstance(value, dict):
            _merge(node[name], old, value)
        else:
            node[name] = _styled(_node(value), node.get(name))


def _fresh(catalog: Document) -> CommentedMap:
    tree = CommentedMap()
    for section in SECTIONS:
        if catalog[section]:
            tree[section] = _node(catalog[section])
            if len(tree) > 1:
                tree.yaml_set_comment_before_after_key(section, before="\n")
    return tree


def _node(value: Any) -> Any:
    """The value as a tree of YAML: lists of words and small mappings of words on one line each."""
    if isinstance(value, dict):
        return CommentedMap({name: _node(item) for name, item in value.items()})
    if not isinstance(value, list):
        return value
    items = CommentedSeq(_node(item) for item in value)
    if not any(isinstance(item, dict | list) for item in value):
        items.fa.set_flow_style()
    for item in items:
        is_flat = isinstance(item, CommentedMap) and "name" not in item
        if is_flat and not any(
            isinstance(inner, CommentedMap | CommentedSeq) for inner in item.values()
        ):
            item.fa.set_flow_style()
    return items


def _styled(value: Any, like: Any) -> Any:
    """The value, written on one line or several as the other one was."""
    if isinstance(value, CommentedSeq) and isinstance(like, CommentedSeq):
        (value.fa.set_flow_style if like.fa.flow_style() else value.fa.set_block_style)()
    return value


def _yaml() -> YAML:
    yaml = YAML(pure=True)
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 100_000
    yaml.preserve_quotes = True
    return yaml


def _dumped(tree: CommentedMap, *, header: bool = True) -> str:
    if not tree:
        return f"# {HEADER}\n" if header else "{}\n"
    stream = io.StringIO()
    _yaml().dump(tree, stream)
    return (f"# {HEADER}\n\n" if header else "") + stream.getvalue()
