"""One package for this machine's processor, built from this checkout."""

import shutil
import zipfile
from pathlib import Path
from typing import Final

import pytest

from infra.packaging.build import Report, build
from infra.packaging.target import running_python, this_machine

ROOT: Final = Path(__file__).parents[3]
HERE: Final = this_machine()


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
