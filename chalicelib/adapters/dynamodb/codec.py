"""Records as JSON text and back: exact for datetimes and decimals, lenient towards other releases' fields."""

from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from pydantic import TypeAdapter

R = TypeVar("R")

_ADAPTERS: Final[dict[type[Any], "TypeAdapter[Any]"]] = {}


def encode(record: object) -> str:
    """The record as JSON text."""
    return _adapter(type(record)).dump_json(record).decode()


def decode(kind: type[R], text: str) -> R:
    """The record of this kind; fields that the text lacks get their defaults."""
    record: R = _adapter(kind).validate_json(text)
    return record


def _adapter(kind: type[Any]) -> "TypeAdapter[Any]":
    # Imported late: a sixth of a cold start, which a worker that finds nothing to do need not pay.
    from pydantic import TypeAdapter  # noqa: PLC0415

    # Unknown fields of a stdlib dataclass are passed over: after a rollback, rows of the newer release can be read.
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
