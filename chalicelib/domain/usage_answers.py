"""Decisions as JSON and back: what was answered once is answered again."""

import json
from dataclasses import asdict
from typing import Any

from chalicelib.domain.decisions import Decision, DeniedReason


def from_decision(decision: Decision, snapshot_version: int | None) -> str:
    """The decision and the version of the snapshot that gave it, as text."""
    return json.dumps([asdict(decision), snapshot_version], separators=(",", ":"))


def to_decision(text: str) -> tuple[Decision, int | None]:
    """The decision that the text tells, and the snapshot's version."""
    fields, version = json.loads(text)
    known: dict[str, Any] = {
        name: fields[name] for name in Decision.__dataclass_fields__ if name in fields
    }
    reason = known["denied_reason"]
    known["denied_reason"] = None if reason is None else DeniedReason(reason)
    known["sources"] = tuple(known["sources"])
    known["values"] = None if known["values"] is None else tuple(known["values"])
    return Decision(**known), version
