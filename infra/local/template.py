"""Reads infra/template.yaml, so that the local stack and AWS come from one text.

Only what that template uses is understood; anything else is refused by name, never guessed.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

TEMPLATE_PATH: Final = Path(__file__).parents[1] / "template.yaml"

GetAttribute = Callable[[str, str], str]


class TemplateError(ValueError):
    """The template uses something the local stack does not understand."""


@dataclass(frozen=True, slots=True)
class Call:
    """One intrinsic function of CloudFormation, not yet evaluated."""

    function: str
    argument: Any


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags (`!Ref x`) kept as calls."""


def _call(loader: _Loader, tag: str, node: yaml.Node) -> Call:
    if isinstance(node, yaml.ScalarNode):
        return Call(tag, loader.construct_scalar(node))
    if isinstance(node, yaml.SequenceNode):
        return Call(tag, loader.construct_sequence(node, deep=True))
    raise TemplateError(f"!{tag} with a mapping is not understood")


_Loader.add_multi_constructor("!", _call)


class Template:
    """The template with its parameters filled in."""

    def __init__(self, document: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        self._document = document
        defaults = {
            name: declared["Default"]
            for name, declared in document["Parameters"].items()
            if "Default" in declared
        }
        self._parameters = defaults | dict(parameters)

    @classmethod
    def load(cls, parameters: Mapping[str, str], path: Path = TEMPLATE_PATH) -> "Template":
        """The template of this checkout."""
        text = path.read_text()
        document = yaml.load(text, _Loader)  # noqa: S506  # nosec B506  # a SafeLoader
        return cls(document, parameters)

    def resources(self, kind: str, get_attribute: GetAttribute) -> dict[str, dict[str, Any]]:
        """Properties by logical id of all resources of one kind, with every call evaluated."""
        return {
            logical_id: self._evaluate(resource.get("Properties", {}), get_attribute)
            for logical_id, resource in self._document["Resources"].items()
            if resource["Type"] == kind
        }

    def _evaluate(self, value: Any, get_attribute: GetAttribute) -> Any:
        if isinstance(value, Call):
            return self._apply(value, get_attribute)
        if isinstance(value, dict):
            return {name: self._evaluate(part, get_attribute) for name, part in value.items()}
        if isinstance(value, list):
            return [self._evaluate(part, get_attribute) for part in value]
        return value

    def _apply(self, call: Call, get_attribute: GetAttribute) -> Any:
        match call.function, call.argument:
            case "Ref", str(name) if name in self._parameters:
                return self._parameters[name]
            case "Sub", str(text):
                return re.sub(r"\$\{(\w+)\}", lambda found: self._parameters[found[1]], text)
            case "GetAtt", str(path):
                return get_attribute(*path.split(".", 1))
            case "If", [str(condition), then, otherwise]:
                chosen = then if self._holds(condition) else otherwise
                return self._evaluate(chosen, get_attribute)
            case "Equals", [left, right]:
                return self._evaluate(left, get_attribute) == self._evaluate(right, get_attribute)
            case "Not", [condition]:
                return not self._evaluate(condition, get_attribute)
        raise TemplateError(f"!{call.function} {call.argument!r} is not understood")

    def _holds(self, condition: str) -> bool:
        return bool(self._evaluate(self._document["Conditions"][condition], _no_attributes))


def _no_attributes(logical_id: str, name: str) -> str:
    raise TemplateError(f"!GetAtt {logical_id}.{name} is not understood in a condition")
