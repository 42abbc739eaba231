"""Whether an answer has the shape the SDK's annotated classes promise.

Tests call this on everything the stand-in answers, so that a field a later version of the SDK
requires is missed here and not by whoever reads it.
"""

from __future__ import annotations

import typing
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Any, ForwardRef, Literal

import stripe
import typing_extensions as te
from stripe._object_classes import OBJECT_CLASSES

from infra.local.stripe_stand_in import shape

_NUMBERS: dict[Any, tuple[type, ...]] = {
    str: (str,),
    int: (int,),
    bool: (bool,),
    float: (int, float),
    Decimal: (str,),
}


def problems(answer: Any, at: str = "") -> list[str]:
    """What is wrong with an API object, each with its place; empty when nothing is."""
    if not isinstance(answer, dict) or "object" not in answer:
        return [f"{at}: no API object"]
    if answer.get("deleted") is True:
        return [] if {"id", "object"} <= answer.keys() else [f"{at}: a deleted object lacks its id"]
    if answer["object"] == "list":
        return _list(answer, at)
    if answer["object"] not in OBJECT_CLASSES:
        return [f"{at}: unknown object {answer['object']!r}"]
    return _fields(shape.sdk_class(answer["object"]), answer, at or answer["object"])


def _list(answer: dict[str, Any], at: str) -> list[str]:
    found = [
        f"{at}: list lacks {name}" for name in ("data", "has_more", "url") if name not in answer
    ]
    for i, element in enumerate(answer.get("data", [])):
        found += problems(element, f"{at}[{i}]")
    return found


@cache
def _annotations(cls: type) -> dict[str, Any]:
    origins: dict[str, Any] = {n: te.get_origin(hint) for n, hint in cls.__annotations__.items()}
    return {
        name: cls.__annotations__[name]
        for name, origin in origins.items()
        if origin is not typing.ClassVar and not name.startswith("_")
    }


def _fields(cls: type, value: dict[str, Any], at: str) -> list[str]:
    hints = _annotations(cls)
    found = [f"{at}.{name}: unknown field" for name in value if name not in hints]
    for name, hint in hints.items():
        if name in value:
            found += _value(hint, value[name], f"{at}.{name}")
        elif not shape.nullable(hint):
            found.append(f"{at}.{name}: missing")
    return found


def _value(hint: Any, value: Any, at: str) -> list[str]:
    origin: Any = te.get_origin(hint)
    arguments: tuple[Any, ...] = te.get_args(hint)
    name = getattr(origin, "__name__", "")
    if _is_union(origin):
        found = _union(arguments, value, at)
    elif hint in _NUMBERS:
        fits = isinstance(value, _NUMBERS[hint]) and (hint is bool or not isinstance(value, bool))
        found = [] if fits else [f"{at}: {value!r} is no {hint.__name__}"]
    elif origin is Literal:
        found = [] if value in arguments else [f"{at}: {value!r} is none of {arguments}"]
    elif origin is list or name == "UntypedStripeObject":
        found = _collection(list if origin is list else dict, arguments[0], value, at)
    elif name == "ListObject" or isinstance(hint, ForwardRef | str):
        found = problems(value, at)
    elif isinstance(hint, type) and issubclass(hint, stripe.StripeObject):
        found = _object(hint, value, at)
    else:
        found = []
    return found


def _collection(kind: type[Any], inner: Any, value: Any, at: str) -> list[str]:
    if not isinstance(value, kind):
        return [f"{at}: {value!r} is no {kind.__name__}"]
    entries = value.items() if kind is dict else enumerate(value)
    return [problem for key, v in entries for problem in _value(inner, v, f"{at}[{key}]")]


def _object(cls: type, value: Any, at: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{at}: {value!r} is no {cls.__name__}"]
    return problems(value, at) if hasattr(cls, "OBJECT_NAME") else _fields(cls, value, at)


def _is_union(origin: Any) -> bool:
    return origin is typing.Union or getattr(origin, "__name__", "") == "UnionType"


def _union(options: tuple[Any, ...], value: Any, at: str) -> list[str]:
    failures: list[str] = []
    for option in options:
        if option is NoneType:
            if value is None:
                return []
            continue
        found = _value(option, value, at)
        if not found:
            return []
        # Of several misfits the one for the same kind of value says most.
        if isinstance(value, dict) != (option is str):
            failures = failures or found
    return failures or [f"{at}: {value!r} fits nothing allowed here"]
