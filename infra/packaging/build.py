"""One folder that Chalice takes for its project, and in it the zip that Chalice will upload.

Why Chalice is handed a finished package: infra/decisions/0008-the-package-is-built-before-chalice.md.
"""

import inspect
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import chalice
from chalice.deploy.packager import DependencyBuilder, LambdaDeploymentPackager
from chalice.utils import UI, OSUtils

from infra.packaging.archive import settle
from infra.packaging.errors import PackagingError
from infra.packaging.services import used_services
from infra.packaging.target import Architecture, Target
from infra.packaging.vendor import compile_tree, vendored

# A folder without it was not made here and is not replaced.
MARKER: Final = ".paygrade-package"
ROUTE_INDEX: Final = Path("chalicelib") / "api" / "routes.json"
CACHE: Final = Path(".cache") / "packaging"
_UPLOAD_LIMIT: Final = 50 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was built. `parts` are compressed bytes by what stands at the top of the zip, largest first."""

    project: Path
    zip: Path
    target: Target
    services: tuple[str, ...]
    zip_bytes: int
    unpacked_bytes: int
    files: int
    parts: Mapping[str, int]


def build(
    project_dir: Path, out_dir: Path, *, architecture: Architecture, python_version: str
) -> Report:
    """`out_dir` is a Chalice project that needs nothing more: `chalice deploy --project-dir <out_dir>`.

    An earlier one there is replaced. The record of deployments stays in `project_dir/.chalice/deployed`.

    Raises:
        PackagingError: The target can't be built for here, a package is missing, or something does not compile.
    """
    target = Target(architecture=architecture, python_version=python_version)
    services = used_services(project_dir / "chalicelib")
    vendor = vendored(project_dir / "requirements.txt", target, services, project_dir / CACHE)
    _make_way(out_dir)
    out_dir.mkdir(parents=True)
    (out_dir / MARKER).touch()
    shutil.copytree(vendor, out_dir / "vendor")
    _add_our_code(project_dir, out_dir)
    _add_chalice(out_dir / "vendor")
    _add_route_index(out_dir)
    _add_configuration(project_dir, out_dir, architecture)
    return _report(out_dir, target, services)


def _make_way(out_dir: Path) -> None:
    if not out_dir.exists():
        return
    if not (out_dir / MARKER).exists():
        raise PackagingError(f"{out_dir} exists and is no package of ours: name another folder.")
    shutil.rmtree(out_dir)


def _add_our_code(project_dir: Path, out_dir: Path) -> None:
    """With its sources, so that our own lines stand in tracebacks."""
    shutil.copy2(project_dir / "app.py", out_dir)
    shutil.copytree(
        project_dir / "chalicelib",
        out_dir / "chalicelib",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    compile_tree(out_dir / "chalicelib", out_dir)
    compile_tree(out_dir / "app.py", out_dir)
    # Chalice takes one file from the root; what is beside it has to come through vendor.
    (out_dir / "__pycache__").rename(out_dir / "vendor" / "__pycache__")


def _add_route_index(out_dir: Path) -> None:
    """Which nouns serve which path, so that a request imports no others (chalicelib/api/routing.py)."""
    code = "import json, app; print(json.dumps(app.app.index(), indent=1))"
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        cwd=out_dir,
        # As one of Chalice's commands, for which all routes are registered.
        env={**os.environ, "AWS_CHALICE_CLI_MODE": "true", "PYTHONPATH": str(out_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise PackagingError(f"The app can't be imported:\n{done.stderr}")
    (out_dir / ROUTE_INDEX).write_text(done.stdout)


def _add_chalice(vendor: Path) -> None:
    """The byte code of the two files that Chalice adds itself."""
    folder = vendor / "chalice"
    folder.mkdir()
    for module in (chalice, chalice.app):
        shutil.copy2(inspect.getfile(module), folder)
    compile_tree(folder, vendor)
    for source in folder.glob("*.py"):
        source.unlink()


def _add_configuration(project_dir: Path, out_dir: Path, architecture: Architecture) -> None:
    theirs, ours = project_dir / ".chalice", out_dir / ".chalice"
    shutil.copytree(theirs, ours, ignore=shutil.ignore_patterns("deployed", "deployments", "venv"))
    config: dict[str, Any] = json.loads((ours / "config.json").read_text())
    for name, stage in config.get("stages", {}).items():
        if stage.get("lambda_architecture", architecture) != architecture:
            raise PackagingError(
                f"The stage {name!r} in .chalice/config.json is for {stage['lambda_architecture']}, the package for"
                f" {architecture}."
            )
    config["lambda_architecture"] = architecture
    (ours / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (theirs / "deployed").mkdir(exist_ok=True)
    (ours / "deployed").symlink_to((theirs / "deployed").resolve())


def _report(out_dir: Path, target: Target, services: frozenset[str]) -> Report:
    """Zipped by Chalice's own packager, which finds the zip by its name when it deploys, and takes it as it is."""
    utils = OSUtils()
    packager = LambdaDeploymentPackager(
        osutils=utils,
        dependency_builder=DependencyBuilder(utils, architecture=target.architecture),
        ui=UI(out=io.StringIO()),
        architecture=target.architecture,
    )
    made = Path(packager.create_deployment_package(str(out_dir), target.runtime))
    settle(made)
    size = made.stat().st_size
    if size > _UPLOAD_LIMIT:
        raise PackagingError(f"The package has {size} bytes; Lambda takes 50 MB at most.")
    with zipfile.ZipFile(made) as archive:
        entries = archive.infolist()
    parts: Counter[str] = Counter()
    for entry in entries:
        parts[entry.filename.partition("/")[0]] += entry.compress_size
    return Report(
        project=out_dir,
        zip=made,
        target=target,
        services=tuple(sorted(services)),
        zip_bytes=size,
        unpacked_bytes=sum(entry.file_size for entry in entries),
        files=len(entries),
        parts=dict(parts.most_common()),
    )
