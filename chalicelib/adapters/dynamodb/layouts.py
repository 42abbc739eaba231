"""Every kind of record that can be stored, and where."""

from collections.abc import Mapping
from typing import Any, Final

from chalicelib.adapters.dynamodb import catalog, customers, operations
from chalicelib.adapters.dynamodb.layout import Layout

LAYOUTS: Final[Mapping[type[Any], Layout]] = {
    **catalog.LAYOUTS,
    **customers.LAYOUTS,
    **operations.LAYOUTS,
}
