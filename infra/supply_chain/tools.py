"""The tools that look and write, each a program of the environment .venv-audit."""

import subprocess  # nosec B404  # programs of ours, with arguments of ours
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from pydantic import BaseModel, ValidationError

from infra.supply_chain.errors import AuditError
from infra.supply_chain.locks import Pin
from infra.supply_chain.tries import Sleep, tries

# Each try asks about many packages: what turned one away needs longer than for a single page.
PAUSES: Final = (5, 20)


class Found(BaseModel):
    """A vulnerability, as pip-audit tells it."""

    id: str
    aliases: list[str]
    fix_versions: list[str]


class Audited(BaseModel):
    """A package in pip-audit's report: what was found, or why it was skipped."""

    name: str
    version: str | None = None
    vulns: list[Found] = []
    skip_reason: str | None = None


class _Report(BaseModel):
    dependencies: list[Audited]


class Tools:
    """pip-audit and cyclonedx-py."""

    def __init__(self, folder: Path, root: Path, sleep: Sleep = time.sleep) -> None:
        """Nothing is started. `folder` has the programs, `root` is the checkout."""
        self._folder = folder
        self._root = root
        self._sleep = sleep

    def audit(self, pins: list[Pin]) -> list[Audited]:
        """pip-audit's report of these releases, no two of one package.

        Raises:
            AuditError: It told nothing, however often it was asked.
        """
        with TemporaryDirectory() as folder:
            # One file of our own, without markers: pip-audit leaves out what another system or Python would install.
            lock = Path(folder) / "requirements.txt"
            lock.write_text("".join(f"{_line(pin)}\n" for pin in pins))
            told = ""
            for _ in tries(PAUSES, self._sleep):
                done = self._run(
                    "pip-audit",
                    *("--requirement", str(lock), "--require-hashes", "--disable-pip"),
                    *("--format", "json", "--progress-spinner", "off"),
                )
                # Its exit code is the same for a finding and for a failure; only the report tells them apart.
                try:
                    return _Report.model_validate_json(done.stdout).dependencies
                except ValidationError:
                    told = done.stderr.strip()
        raise AuditError(f"pip-audit told nothing in {len(PAUSES) + 1} tries: {told[-500:]}")

    def write_sbom(self, lock: Path, besides: Sequence[Pin], sbom: Path) -> None:
        """The CycloneDX list of the lock's packages, and of these besides, is in the file, and valid.

        Raises:
            AuditError: It can't be written, or is not valid.
        """
        with TemporaryDirectory() as folder:
            whole = Path(folder) / lock.name
            whole.write_text("\n".join([lock.read_text(), *map(_line, besides), ""]))
            done = self._run(
                "cyclonedx-py",
                *("requirements", str(whole), "--pyproject", str(self._root / "pyproject.toml")),
                *("--spec-version", "1.6", "--output-reproducible", "--validate"),
                *("--output-file", str(sbom)),
            )
        if done.returncode != 0:
            raise AuditError(f"No SBOM of {lock.name}: {done.stderr.strip()[-500:]}")

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self._folder / program), *arguments]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False)  # nosec B603
        except OSError as error:
            raise AuditError(f"{program} can't be started: {error}") from error


def _line(pin: Pin) -> str:
    return " ".join(
        [f"{pin.name}=={pin.version}", *(f"--hash={one}" for one in sorted(pin.hashes))]
    )
