"""One package for this machine's processor, built from this checkout."""

import platform
import shutil
import zipfile
from pathlib import Path
from typing import Final

import pytest

from infra.packaging.build import Report, build
from infra.packaging.target import Architecture, running_python

ROOT: Final = Path(__file__).parents[3]
HERE: Final = (
    Architecture.ARM64 if platform.machine() in ("aarch64", "arm64") else Architecture.X86_64
)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Report:
    out = tmp_path_factory.mktemp("package") / "project"
    return build(ROOT, out, architecture=HERE, python_version=running_python())


@pytest.fixture(scope="session")
def task_root(package: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a function sees in /var/task."""
    folder = tmp_path_factory.mktemp("task")
    shutil.unpack_archive(package.zip, folder)
    return folder


@pytest.fixture(scope="session")
def names(package: Report) -> list[str]:
    with zipfile.ZipFile(package.zip) as archive:
        return archive.namelist()
