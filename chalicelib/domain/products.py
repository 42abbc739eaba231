"""Products: what a customer can hold at most one live subscription of; they group plans."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import ProductId


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A line of plans."""

    id: ProductId
    name: str
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    status: Lifecycle = Lifecycle.ACTIVE
    version: int = 1
    created_at: datetime

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one product from another."""
        return (self.id,)
