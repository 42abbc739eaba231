"""Values of the domain in JSON's types: for the audit log and for reports of drift."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from chalicelib.domain.money import canonical_decimal


def plain(value: Any) -> object:  # noqa: ANN401 -- any value of the domain
    """The same value in JSON's types."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal | datetime):
        return canonical_decimal(value) if isinstance(value, Decimal) else value.isoformat()
    if isinstance(value, Mapping):
        return {str(plain(name)): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return value
