"""What an import leaves behind: findings about what has no counterpart here, and ids that read well."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# Metadata of what was imported: the provider's id of what it was made of.
IMPORTED_FROM: Final = "imported_from"
NAME_LENGTH: Final = 250
_SLUG_LENGTH: Final = 48
_NO_WORD: Final = re.compile(r"[^a-z0-9]+")


class Severity(StrEnum):
    """Whether the object was left out, says something else now, or needs a look."""

    SKIPPED = "skipped"
    CHANGED = "changed"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One remark about one object at the provider; `reason` is a stable code."""

    severity: Severity
    billing_id: str
    reason: str
    detail: str


class Report:
    """The findings so far, in the order in which they were made."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def skipped(self, billing_id: str, reason: str, detail: str) -> None:
        """It is no part of the document."""
        self._add(Severity.SKIPPED, billing_id, reason, detail)

    def changed(self, billing_id: str, reason: str, detail: str) -> None:
        """It is part of the document, and says something else."""
        self._add(Severity.CHANGED, billing_id, reason, detail)

    def note(self, billing_id: str, reason: str, detail: str) -> None:
        """It is part of the document, and somebody should look at it."""
        self._add(Severity.NOTE, billing_id, reason, detail)

    def _add(self, severity: Severity, billing_id: str, reason: str, detail: str) -> None:
        found = Finding(severity=severity, billing_id=billing_id, reason=reason, detail=detail)
        if found not in self.findings:
            self.findings.append(found)


class Slugs:
    """Ids that are not taken yet, spelled after names."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def new(self, name: str, fallback: str) -> tuple[str, bool]:
        """The id, and whether it had to differ from what the name says because that was taken."""
        slug = _slug(name) or _slug(fallback) or "imported"
        found, number = slug, 1
        while found in self._taken:
            number += 1
            found = f"{slug}-{number}"
        self._taken.add(found)
        return found, number > 1


def name_of(name: str | None, fallback: str) -> str:
    """A name that fits, never an empty one."""
    return ((name or "").strip() or fallback)[:NAME_LENGTH]


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return _NO_WORD.sub("-", plain).strip("-")[:_SLUG_LENGTH].strip("-")
