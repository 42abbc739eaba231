"""`python -m infra.supply_chain`: fails for a known vulnerability, and for an SBOM that is not what is locked."""

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from infra.supply_chain.accepted import read_accepted
from infra.supply_chain.errors import AuditError
from infra.supply_chain.index import ProjectPages
from infra.supply_chain.inventory import differences
from infra.supply_chain.locks import groups, lock_files, read_lock, shipped_besides
from infra.supply_chain.tools import Tools
from infra.supply_chain.tries import Sleep
from infra.supply_chain.verdict import Index, Told, ask, settle

ROOT: Final = Path(__file__).parents[2]


def main(arguments: list[str], index: Index, root: Path = ROOT, sleep: Sleep = time.sleep) -> int:
    """The exit code; everything that is to know has been printed."""
    parser = argparse.ArgumentParser(prog="python -m infra.supply_chain", description=__doc__)
    parser.add_argument("--tools", type=Path, default=root / ".venv-audit" / "bin", metavar="DIR")
    parser.add_argument("--out", type=Path, default=root / "build", metavar="DIR")
    parser.add_argument(
        "--strict", action="store_true", help="fail for packages that the index is silent about"
    )
    options = parser.parse_args(arguments)
    tools = Tools(options.tools, root, sleep)
    try:
        _write_sboms(tools, root, options.out)
        text = (root / "infra" / "supply_chain" / "accepted.toml").read_text()
        accepted = read_accepted(text, datetime.now(UTC).date())
        told: dict[str, Told] = {}
        for group, pins in groups(root).items():
            told[group] = ask(pins, tools.audit, index)
            found, silent = len(told[group].findings), len(told[group].unknown)
            print(f"{group}: {len(pins)} packages, {found} vulnerabilities, {silent} not audited")
    except AuditError as error:
        print(f"AUDIT FAILED: {error}", file=sys.stderr)
        return 1
    failures, lived_with = settle(told.values(), accepted)
    unknown = [one for group in told.values() for one in group.unknown]
    if unknown:
        silence = [f"{one.pin}: {one.why}" for one in unknown]
        _show(f"NOT AUDITED: the index did not tell about {len(unknown)} packages", silence)
        if options.strict:
            failures.append(f"the index did not tell about {len(unknown)} packages")
    _show(f"accepted: {len(lived_with)}", lived_with)
    _show(f"AUDIT FAILED: {len(failures)}", failures)
    return 1 if failures else 0


def _write_sboms(tools: Tools, root: Path, out: Path) -> None:
    """build/sbom.json lists what runs, a file beside it each of the other locks."""
    runtime, others = lock_files(root)
    out.mkdir(parents=True, exist_ok=True)
    besides = {runtime: [shipped_besides(root)]}
    sboms = {lock: out / f"sbom-{lock.stem}.json" for lock in others} | {runtime: out / "sbom.json"}
    with ThreadPoolExecutor() as pool:  # most of the time goes into the validation
        writing = [
            pool.submit(tools.write_sbom, lock, besides.get(lock, []), sbom)
            for lock, sbom in sboms.items()
        ]
    for written in writing:
        written.result()
    for lock, sbom in sboms.items():
        pins = [*read_lock(lock.read_text(), lock.name), *besides.get(lock, [])]
        wrong = differences(pins, sbom.read_text())
        if wrong:
            raise AuditError(f"{sbom.name} is not what {lock.name} locks: {'; '.join(wrong)}")


def _show(title: str, lines: list[str]) -> None:
    if lines:
        print("\n  ".join([title, *lines]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], ProjectPages()))
