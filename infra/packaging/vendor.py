"""The dependencies as they are shipped: locked wheels of the target, trimmed, compiled, without sources.

Lambda can't write to /var/task and Chalice dates every file 1980, so ordinary byte code would be neither kept nor
believed; `unchecked-hash` byte code is. It replaces the sources of the dependencies: half the size, and one file
less to look for at each import. Tracebacks still name file and line.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from infra.packaging.errors import PackagingError
from infra.packaging.target import Target

TASK_ROOT: Final = "/var/task"
# Of a distribution's metadata only this is kept: vulnerability scanners read it.
_METADATA: Final = "METADATA"
_USELESS: Final = ("*.pyi", "py.typed", "*.c", "*.h", "*.pxd", "*.pyx")
# Time zones for people to read, and those of dateutil, which are read only by their names and by nobody.
_USELESS_ZONES: Final = ("tzdata.zi", "leapseconds", "*.tab", "dateutil-zoneinfo.tar.gz")
_USELESS_FOLDERS: Final = ("__pycache__", "tests", "boto3/examples")


def vendored(requirements: Path, target: Target, services: frozenset[str], cache: Path) -> Path:
    """A folder with all of it, made once for each lock, target and way of making it."""
    digest = _digest(requirements, target, services)
    ready = cache / digest
    if not ready.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="making-", dir=cache) as folder:
            made = Path(folder) / "vendor"
            _install(requirements, target, made)
            _trim(made, services)
            compile_tree(made, made, in_place=True)
            _drop_sources(made)
            _put(made, ready)
    return ready


def _digest(requirements: Path, target: Target, services: frozenset[str]) -> str:
    state = hashlib.sha256(requirements.read_bytes())
    state.update(repr((target, sorted(services), sys.version)).encode())
    for recipe in sorted(Path(__file__).parent.glob("*.py")):
        state.update(recipe.read_bytes())
    return state.hexdigest()[:24]


def _put(made: Path, ready: Path) -> None:
    try:
        made.rename(ready)
    except OSError:
        if not ready.is_dir():  # somebody else has just made the same
            raise


def _install(requirements: Path, target: Target, folder: Path) -> None:
    platforms = [f"--platform={tag}" for tag in target.platform_tags()]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"),
            *("--no-deps", "--require-hashes", "--only-binary=:all:", "--no-compile"),
            *("--implementation=cp", f"--python-version={target.python_version}", *platforms),
            *("--target", str(folder), "--requirement", str(requirements)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise PackagingError(
            "\n".join(
                ["The locked packages could not be installed.", *(reasons or [done.stderr[-2000:]])]
            )
        )


def _trim(folder: Path, services: frozenset[str]) -> None:
    shutil.rmtree(folder / "bin", ignore_errors=True)
    for pattern in _USELESS_FOLDERS:
        for useless in [*folder.glob(pattern), *folder.rglob(f"*/{pattern}")]:
            shutil.rmtree(useless)
    for pattern in (*_USELESS, *_USELESS_ZONES):
        for file in folder.rglob(pattern):
            file.unlink()
    for metadata in folder.glob("*.dist-info"):
        for file in metadata.rglob("*"):
            if file.is_file() and file.name != _METADATA:
                file.unlink()
    _trim_botocore(folder, services)
    # Deepest first, so that a folder whose folders were empty is found empty, too.
    for part in sorted((one for one in folder.rglob("*") if one.is_dir()), reverse=True):
        if not any(part.iterdir()):
            part.rmdir()


def _trim_botocore(folder: Path, services: frozenset[str]) -> None:
    data = folder / "botocore" / "data"
    there = {service.name for service in data.iterdir() if service.is_dir()}
    if unknown := services - there:
        raise PackagingError(f"botocore knows no service {min(unknown)!r}.")
    for name in there - services:
        shutil.rmtree(data / name)
    if (folder / "certifi" / "cacert.pem").exists():  # the one that botocore prefers
        (folder / "botocore" / "cacert.pem").unlink(missing_ok=True)
    shutil.rmtree(folder / "boto3" / "data", ignore_errors=True)  # of resources, which we don't use


def compile_tree(tree: Path, root: Path, *, in_place: bool = False) -> None:
    """Every source in the tree has byte code that Lambda believes; its paths begin at `root`'s place there.

    Raises:
        PackagingError: A source does not compile.
    """
    done = subprocess.run(
        [
            *(sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
            *(("-b",) if in_place else ()),
            *("-s", str(root), "-p", TASK_ROOT, str(tree)),
        ],
        # Fixed, or sets of constants come out in another order each time and the zip differs.
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise PackagingError(f"Not everything compiles:\n{done.stdout}{done.stderr}")


def _drop_sources(folder: Path) -> None:
    for source in folder.rglob("*.py"):
        if not source.with_suffix(".pyc").exists():
            raise PackagingError(f"{source.relative_to(folder)} was not compiled.")
        source.unlink()
