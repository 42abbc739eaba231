"""The audit log: who changed what, why, from what to what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """On whose behalf and by which request or event something happens.

    `operation_id` is equal for a retry of the same operation, so that ids derived from it are equal too.
    """

    actor: str
    request_id: str
    operation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change of one entity (`plan:pro`, `customer:acme`); ids sort by time."""

    id: str
    entity: str
    action: str
    actor: str
    cause: str
    at: datetime
    before: Mapping[str, object] | None = None
    after: Mapping[str, object] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one entry from another, by entity."""
        return (self.entity, self.id)
