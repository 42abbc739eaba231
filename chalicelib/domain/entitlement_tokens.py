"""A customer's snapshot and usage, signed: whoever has it answers checks without asking anybody.

Evaluated by the same `decide`. It is as true as at `iat`: what time changes it knows, what happens since it does not,
until `exp`. Whoever takes one verifies the signature, `iss`, `aud`, `env` and `exp` first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from chalicelib.domain.decisions import Decision, Question, Used, decide
from chalicelib.domain.snapshot_documents import SnapshotDocument

AUDIENCE: Final = "paygrade:entitlements"
MIN_TTL_SECONDS: Final = 30
MAX_TTL_SECONDS: Final = 3600
DEFAULT_TTL_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class CarriedUsage:
    """A counter as the token carries it."""

    used: int
    period_start_ms: int


def claims(
    *,
    issuer: str,
    environment: str,
    customer_id: str,
    document: SnapshotDocument,
    usage: Mapping[str, Used],
    now: datetime,
    expires_at: datetime,
) -> dict[str, Any]:
    """What is signed. `usage` holds, by counter, what was used and when its period began."""
    return {
        "iss": issuer,
        "aud": AUDIENCE,
        "env": environment,
        "sub": customer_id,
        "iat": int(now.timestamp()),
        "exp": int(expires_at.timestamp()),
        "version": document["version"],
        "snapshot": document,
        "usage": {
            name: [counter.used, counter.period_start_ms] for name, counter in sorted(usage.items())
        },
    }


def evaluate(
    verified: Mapping[str, Any], feature_id: str, question: Question, now_ms: int
) -> Decision:
    """The answer that the claims of a verified token give at this instant; they must not have expired by then."""
    usage = {name: CarriedUsage(*counter) for name, counter in verified["usage"].items()}
    document: SnapshotDocument = verified["snapshot"]
    return decide(document, usage, feature_id, question, now_ms)
