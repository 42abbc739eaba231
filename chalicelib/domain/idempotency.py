"""Idempotency keys of API requests: one execution, one answer, however often the request is sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

# The header that marks an answer which was given before.
REPLAYED: Final = "Idempotent-Replayed"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyRecord:
    """The claim of a key and, once there, its answer.

    A claim without an answer binds until `claimed_until`: after that its invocation can't be running any more
    and a retry takes over. The whole record is forgotten at `expires_at`, whether or not it is deleted by then.
    """

    key: str
    fingerprint: str
    claim: str
    claimed_until: datetime
    expires_at: datetime
    status: int | None = None
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one key from another: a digest of caller and key."""
        return (self.key,)
