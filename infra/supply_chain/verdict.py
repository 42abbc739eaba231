"""Whether what is known of the locked packages lets them pass."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Protocol

from infra.supply_chain.accepted import Accepted
from infra.supply_chain.errors import AuditError
from infra.supply_chain.index import IndexSilentError, Newest
from infra.supply_chain.locks import Pin
from infra.supply_chain.tools import Audited

AT_ONCE: Final = 8
# pip-audit asks one page after the other: several of them at once take a share of the time. A package stands in the
# locks at no more versions than this, and one pip-audit takes a package only once.
SHARES: Final = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """A known vulnerability of a locked release, under all of its names."""

    pin: Pin
    ids: tuple[str, ...]
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        """For a person who has to do something about it."""
        fixed = ", ".join(self.fixed_in) or "no release yet"
        return f"{self.pin}: {', '.join(self.ids)}; fixed in {fixed}"


@dataclass(frozen=True, slots=True)
class Unknown:
    """A locked release that nobody told anything about."""

    pin: Pin
    why: str


@dataclass(slots=True)
class Told:
    """What there is to know of one group of packages."""

    findings: list[Finding] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)


class Index(Protocol):
    """The package index."""

    def newest(self, project: str) -> Newest:
        """See `infra.supply_chain.index`."""


def ask(pins: Sequence[Pin], audit: Callable[[list[Pin]], list[Audited]], index: Index) -> Told:
    """All of the releases are in it: found, unknown, or free of what is known.

    Raises:
        AuditError: pip-audit left one out, or the index can't be asked.
    """
    shares = [list(pins[start::SHARES]) for start in range(min(SHARES, len(pins)))]
    told = Told()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        skipped = []
        for share, audited in zip(shares, pool.map(audit, shares), strict=True):
            by_name = {one.name: one for one in audited}
            if by_name.keys() != {pin.name for pin in share}:
                raise AuditError("pip-audit reports other packages than it was asked for.")
            for pin in share:
                one = by_name[pin.name]
                if one.skip_reason is not None:
                    skipped.append(pin)
                told.findings.extend(
                    Finding(pin, (found.id, *sorted(found.aliases)), tuple(found.fix_versions))
                    for found in one.vulns
                )
        for again in pool.map(lambda pin: _second_look(pin, index), skipped):
            told.findings.extend(again.findings)
            told.unknown.extend(again.unknown)
    told.findings.sort(key=str)
    told.unknown.sort(key=lambda one: one.pin)
    return told


def settle(told: Iterable[Told], accepted: Sequence[Accepted]) -> tuple[list[str], list[str]]:
    """What fails the audit, and what was found and is accepted."""
    everything = list(told)
    findings = [one for group in everything for one in group.findings]
    silent = {one.pin.name for group in everything for one in group.unknown}
    failures, lived_with, used = [], [], set()
    for finding in findings:
        entries = [
            one for one in accepted if one.package == finding.pin.name and one.id in finding.ids
        ]
        used.update(entries)
        if entries:
            lived_with.append(f"{finding}; until {entries[0].expires}: {entries[0].reason}")
        else:
            failures.append(str(finding))
    # Of a package that the index is silent about nobody can say that its vulnerability is gone.
    failures.extend(
        f"{one.id} of {one.package} is accepted, but not found: take it out"
        for one in accepted
        if one not in used and one.package not in silent
    )
    return failures, lived_with


def _second_look(pin: Pin, index: Index) -> Told:
    try:
        page = index.newest(pin.name)
    except IndexSilentError as silence:
        return Told(unknown=[Unknown(pin, str(silence))])
    if page.info.version != pin.version:
        why = f"the index tells of {page.info.version} alone"
        return Told(unknown=[Unknown(pin, why)])
    return Told(findings=_distinct(pin, page))


def _distinct(pin: Pin, page: Newest) -> list[Finding]:
    """Each vulnerability once, though every database lists it under a name of its own, the others' as aliases."""
    found: list[Finding] = []
    for one in page.vulnerabilities:
        ids = {one.id, *one.aliases}
        if one.withdrawn is None and not any(ids.intersection(other.ids) for other in found):
            found.append(Finding(pin, tuple(sorted(ids)), tuple(one.fixed_in)))
    return found
