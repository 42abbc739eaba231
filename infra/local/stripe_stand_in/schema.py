"""What the SDK's own types allow a request to hold: a closed set of names, types and literals.

The stand-in then cannot accept by shape what Stripe would refuse. Only the shapes come from here;
state rules live with the resources.
"""

from __future__ import annotations

import re
import sys
import typing
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from types import NoneType, SimpleNamespace
from typing import Any, Literal

import typing_extensions as te
from stripe._request_options import RequestOptions

from infra.local.stripe_stand_in.errors import StripeError, malformed
from infra.local.stripe_stand_in.params import as_list, flat_name

_OPTION_NAMES = frozenset(RequestOptions.__annotations__)
_INTEGER = re.compile(r"-?\d+\Z")
_SCALARS: dict[Any, str] = {
    str: "string",
    int: "integer",
    bool: "boolean",
    float: "number",
    Decimal: "decimal",
    Any: "any",
    object: "any",
}


@dataclass(frozen=True, slots=True)
class Scalar:
    """A plain value of this kind."""

    kind: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these literals."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list, indexed in the form."""

    item: Spec


@dataclass(frozen=True, slots=True)
class MapOf:
    """Free keys, all of one kind of value."""

    value: Spec


@dataclass(frozen=True, slots=True)
class Hash:
    """A closed set of named parameters."""

    cls: type


@dataclass(frozen=True, slots=True)
class OneOf:
    """Whichever of these fits."""

    options: tuple[Spec, ...]


Spec = Scalar | Choice | ListOf | MapOf | Hash | OneOf
# `""` in Stripe's form language: unset this.
UNSET = Choice(("",))


@dataclass(frozen=True, slots=True)
class Fields:
    """The parameters of one TypedDict."""

    specs: dict[str, Spec]
    required: frozenset[str]


@cache
def fields_of(cls: type) -> Fields:
    """The parameters a TypedDict of the SDK allows, without the per-request options."""
    # The inherited request options are left out first: they name types of another module.
    own = SimpleNamespace(
        __annotations__={
            name: hint for name, hint in cls.__annotations__.items() if name not in _OPTION_NAMES
        }
    )
    hints = te.get_type_hints(own, vars(sys.modules[cls.__module__]), include_extras=True)
    specs = {name: _spec(hint) for name, hint in hints.items()}
    # Not `__required_keys__`: postponed annotations hide NotRequired from it.
    origins: dict[str, Any] = {name: te.get_origin(hint) for name, hint in hints.items()}
    required = {name for name, origin in origins.items() if origin is not te.NotRequired}
    return Fields(specs, frozenset(required))


def _spec(hint: Any) -> Spec:
    origin: Any = te.get_origin(hint)
    arguments: tuple[Any, ...] = te.get_args(hint)
    if origin in (te.NotRequired, te.Required):
        found = _spec(arguments[0])
    elif hint in _SCALARS:
        found = Scalar(_SCALARS[hint])
    elif origin is Literal:
        found = Choice(tuple("true" if v is True else str(v) for v in arguments))
    elif origin is list:
        found = ListOf(_spec(arguments[0]))
    elif origin is dict or getattr(origin, "__name__", "") == "UntypedStripeObject":
        found = MapOf(_spec(arguments[-1]))
    elif _is_union(origin):
        found = _union([_spec(argument) for argument in arguments if argument is not NoneType])
    else:
        found = Hash(hint) if isinstance(hint, type) else Scalar("any")
    return found


def _is_union(origin: Any) -> bool:
    return origin is typing.Union or getattr(origin, "__name__", "") == "UnionType"


def _union(options: list[Spec]) -> Spec:
    choices = [value for o in options if isinstance(o, Choice) for value in o.values]
    others = [o for o in dict.fromkeys(options) if not isinstance(o, Choice)]
    if [value for value in choices if value]:
        # The SDK writes `Literal[...] | str` to stay open to new values; the API does not.
        others = [o for o in others if o != Scalar("string")]
    merged: list[Spec] = [Choice(tuple(dict.fromkeys(choices)))] if choices else []
    merged += others
    return merged[0] if len(merged) == 1 else OneOf(tuple(merged))


def check_hash(cls: type, raw: dict[str, Any], parent: str = "") -> dict[str, Any]:
    """The typed parameters; raises Stripe's refusal for the first thing that does not fit."""
    fields = fields_of(cls)
    unknown = [name for name in raw if name not in fields.specs]
    if unknown:
        raise unknown_parameters([flat_name(parent, name) for name in unknown])
    typed = {
        name: check(fields.specs[name], value, flat_name(parent, name))
        for name, value in raw.items()
    }
    for name in sorted(fields.required - typed.keys()):
        raise missing_parameter(flat_name(parent, name))
    return typed


def unknown_parameters(names: list[str]) -> StripeError:
    """Stripe's answer to a name it does not know."""
    plural = "s" if len(names) > 1 else ""
    return malformed(
        f"Received unknown parameter{plural}: {', '.join(names)}", names[0], "parameter_unknown"
    )


def missing_parameter(name: str) -> StripeError:
    """Stripe's answer to a parameter that must be there."""
    return malformed(f"Missing required param: {name}.", name, "parameter_missing")


def check(spec: Spec, raw: Any, name: str) -> Any:
    """One typed value, `""` kept where Stripe lets it unset."""
    if isinstance(spec, OneOf):
        return _check_one_of(spec, raw, name)
    if isinstance(spec, MapOf) and raw == "":
        return ""
    if isinstance(spec, Hash | MapOf):
        return _check_object(spec, raw, name)
    if isinstance(spec, ListOf):
        values = as_list(raw)
        if values is None:
            raise malformed("Invalid array", name)
        return [check(spec.item, value, f"{name}[{i}]") for i, value in enumerate(values)]
    return _check_scalar(spec, raw, name)


def _check_object(spec: Hash | MapOf, raw: Any, name: str) -> dict[str, Any]:
    if raw == "":
        raise _not_unsettable(name)
    if not isinstance(raw, dict):
        raise malformed("Invalid object", name)
    if isinstance(spec, Hash):
        return check_hash(spec.cls, raw, name)
    return {key: _map_value(spec.value, v, flat_name(name, key)) for key, v in raw.items()}


def _not_unsettable(name: str) -> StripeError:
    return malformed(
        f"You passed an empty string for '{name}'. We assume empty values are an attempt to "
        f"unset a parameter; however '{name}' cannot be unset. You should remove '{name}' "
        "from your request or supply a non-empty value.",
        name,
        "parameter_invalid_empty",
    )


def _map_value(spec: Spec, raw: Any, name: str) -> Any:
    # An empty value in a map takes the key away, whatever the map holds.
    return "" if raw == "" else check(spec, raw, name)


def _check_one_of(spec: OneOf, raw: Any, name: str) -> Any:
    if raw == "" and any(isinstance(o, Choice) and "" in o.values for o in spec.options):
        return ""
    if raw == "" and any(isinstance(o, MapOf) for o in spec.options):
        return ""
    # The refusal of an option with the same form as the value explains most, so it goes last.
    options = sorted(
        (option for option in spec.options if option != UNSET),
        key=lambda option: isinstance(raw, dict) == isinstance(option, Hash | MapOf | ListOf),
    )
    refused = malformed("Invalid value", name)
    for option in options:
        try:
            return check(option, raw, name)
        except StripeError as failure:
            refused = failure
    raise refused


def _check_scalar(spec: Scalar | Choice, raw: Any, name: str) -> Any:
    if isinstance(spec, Scalar) and spec.kind == "any":
        return raw
    if not isinstance(raw, str):
        noun = "string" if isinstance(spec, Choice) else spec.kind
        raise malformed(f"Invalid {noun}: {raw}", name)
    if isinstance(spec, Choice):
        if raw not in spec.values:
            allowed = [value for value in spec.values if value]
            listed = " or ".join(
                [", ".join(allowed[:-1]), allowed[-1]] if len(allowed) > 1 else allowed
            )
            raise malformed(f"Invalid {name}: must be one of {listed}", name)
        return True if spec.values == ("true",) else raw
    if raw == "":
        raise _not_unsettable(name)
    return _convert(spec.kind, raw, name)


def _convert(kind: str, raw: str, name: str) -> Any:
    if kind == "integer":
        if not _INTEGER.match(raw):
            raise malformed(f"Invalid integer: {raw}", name, "parameter_invalid_integer")
        return int(raw)
    if kind == "boolean":
        if raw not in ("true", "false"):
            raise malformed(f"Invalid boolean: {raw}", name)
        return raw == "true"
    if kind in ("number", "decimal"):
        try:
            number = Decimal(raw)
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite():
            raise malformed(f"Invalid decimal: {raw}", name)
        return number
    return raw
