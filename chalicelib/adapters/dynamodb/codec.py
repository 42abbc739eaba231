"""Records as JSON text and back: exact for datetimes and decimals, lenient towards other releases' fields."""

from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter

R = TypeVar("R")


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    # Unknown fields of a stdlib dataclass are passed over: after a rollback, rows of the newer release can be read.
    return TypeAdapter(kind)


def encode(record: object) -> str:
    """The record as JSON text."""
    return _adapter(cast("Hashable", type(record))).dump_json(record).decode()


def decode(kind: type[R], text: str) -> R:
    """The record of this kind; fields that the text lacks get their defaults."""
    record: R = _adapter(cast("Hashable", kind)).validate_json(text)
    return record
