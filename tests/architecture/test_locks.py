"""The locks agree with each other and with pyproject.toml, and name no registry."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "requirements.txt"
DEVELOPMENT = ROOT / "infra/locks/dev.txt"
EMULATOR = ROOT / "infra/locks/emulator.txt"
LAMBDA = ROOT / "infra/locks/lambda.txt"
AUDIT = ROOT / "infra/locks/audit.txt"
LOCKS = [RUNTIME, DEVELOPMENT, EMULATOR, LAMBDA, AUDIT]


def pins(lock: Path) -> set[str]:
    """Every `name==version ; marker` line, without its hashes."""
    lines = re.findall(r"^([^\s#-][^\\\n]*?)\s*\\?$", lock.read_text(), flags=re.MULTILINE)
    return {str(Requirement(line)) for line in lines}


def names(lock: Path) -> set[str]:
    return {canonicalize_name(Requirement(pin).name) for pin in pins(lock)}


def declared() -> tuple[list[Requirement], list[Requirement]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    runtime = [Requirement(line) for line in project["dependencies"]]
    development = [Requirement(line) for line in project["optional-dependencies"]["dev"]]
    return runtime, development


def test_runtime_lock_versions_equal_the_development_lock() -> None:
    assert pins(RUNTIME) - pins(DEVELOPMENT) == set()


def test_runtime_lock_leaves_chalice_to_its_packager() -> None:
    assert "chalice" not in names(RUNTIME)


def test_declared_dependencies_are_locked() -> None:
    runtime, development = declared()
    assert {canonicalize_name(need.name) for need in runtime} <= names(RUNTIME)
    assert {canonicalize_name(need.name) for need in runtime + development} <= names(DEVELOPMENT)


def test_declared_bounds_admit_the_locked_versions() -> None:
    locked = {Requirement(pin).name: Requirement(pin) for pin in pins(DEVELOPMENT)}
    runtime, development = declared()
    for need in runtime + development:
        (version,) = (clause.version for clause in locked[canonicalize_name(need.name)].specifier)
        assert need.specifier.contains(version), f"{need} does not admit {version}"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_every_pin_has_a_hash_and_no_line_names_a_host_or_path(lock: Path) -> None:
    text = lock.read_text()
    blocks = re.split(r"\n(?=[^\s#-])", text)
    assert all("--hash=sha256:" in block for block in blocks[1:])
    assert not re.search(r"https?://|file:|--(extra-)?index-url|--find-links", text)
    assert not re.search(r"(^|\s)/\w", text)
