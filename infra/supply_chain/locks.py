"""What is locked: each package at a version, with the hashes of its files."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from infra.supply_chain.errors import AuditError

RUNTIME: Final = Path("requirements.txt")
TOOLS: Final = Path("infra/locks")
# In the package there are two files of it, which Chalice adds: those that are installed where the package is built,
# from this lock (infra/packaging/build.py).
SHIPPED_BESIDES: Final = ("chalice", TOOLS / "dev.txt")

_PIN: Final = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*)(\[[^\]]*\])?==(?P<version>[^\s;]+)(?P<rest>(\s.*)?)"
)
_HASH: Final = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


@dataclass(frozen=True, slots=True, order=True)
class Pin:
    """One release of one package. Its marker is left out: it counts wherever anybody installs it."""

    name: str
    version: str
    hashes: frozenset[str]
    locks: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({', '.join(self.locks)})"


def read_lock(text: str, lock: str) -> list[Pin]:
    """Every package of the lock, in its order.

    Raises:
        AuditError: A line is no pin, or a pin has no hash.
    """
    joined = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^\s*#.*\n?", "", text))
    pins = []
    for line in filter(str.strip, joined.splitlines()):
        found = _PIN.fullmatch(line)
        hashes = frozenset(_HASH.findall(line))
        if found is None or not hashes:
            raise AuditError(f"{lock} has a line that is no pin with a hash: {line[:80]}")
        pins.append(Pin(found["name"], found["version"], hashes, (lock,)))
    return pins


def lock_files(root: Path) -> tuple[Path, list[Path]]:
    """The lock of what runs, and those of what builds and tests it."""
    return root / RUNTIME, sorted((root / TOOLS).glob("*.txt"))


def shipped_besides(root: Path) -> Pin:
    """What runs in Lambda though it is not in the lock of what runs.

    Raises:
        AuditError: It is not locked, or at more than one version.
    """
    name, lock = SHIPPED_BESIDES
    pins = [pin for pin in _of(root, root / lock) if pin.name == name]
    if len(pins) != 1:
        raise AuditError(f"{lock} locks {name}, which is shipped, {len(pins)} times.")
    return pins[0]


def groups(root: Path) -> Mapping[str, list[Pin]]:
    """What runs in Lambda, and what builds and tests it and does not run there; each release once."""
    runtime, tools = lock_files(root)

    def read(paths: Iterable[Path]) -> list[Pin]:
        return merge(pin for path in paths for pin in _of(root, path))

    runs = merge([*read([runtime]), shipped_besides(root)])
    known = {(pin.name, pin.version) for pin in runs}
    builds = [pin for pin in read(tools) if (pin.name, pin.version) not in known]
    return {"what runs in Lambda": runs, "what builds and tests it": builds}


def merge(pins: Iterable[Pin]) -> list[Pin]:
    """Each release once, with all of its hashes and locks, by name."""
    merged: dict[tuple[str, str], Pin] = {}
    for pin in pins:
        other = merged.get((pin.name, pin.version), replace(pin, locks=()))
        hashes, locks = other.hashes | pin.hashes, (*other.locks, *pin.locks)
        merged[pin.name, pin.version] = replace(pin, hashes=hashes, locks=locks)
    return [merged[key] for key in sorted(merged)]


def _of(root: Path, path: Path) -> list[Pin]:
    return read_lock(path.read_text(), path.relative_to(root).as_posix())
