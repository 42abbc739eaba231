"""What the zip looks like does not depend on where it was made."""

import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from chalice.utils import OSUtils

from infra.packaging.archive import settle

FILES = {"app.py": b"app", "lib/fast.so": b"\x7fELF", "lib/__init__.py": b""}


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def zipped(folder: Path, names: list[str], umask: int) -> Path:
    """The files in this order, as Chalice zips those of a builder with that umask."""
    os.umask(umask)
    made = folder / "made.zip"
    made.parent.mkdir(parents=True)
    with OSUtils().open_zip(str(made), "w") as archive:
        for name in names:
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.touch(0o777 if name.endswith(".so") else 0o666)
            path.write_bytes(FILES[name])
            archive.write(path, name)
    return made


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("cautious", [0o077, 0o027, 0o002])
def test_files_of_a_cautious_builder_are_readable_to_lambda_and_the_zip_is_everybodys(
    tmp_path: Path, cautious: int
) -> None:
    usual = zipped(tmp_path / "usual", list(FILES), 0o022)
    other = zipped(tmp_path / "other", list(reversed(FILES)), cautious)
    assert other.read_bytes() != usual.read_bytes()
    settle(usual)
    settle(other)
    assert other.read_bytes() == usual.read_bytes()
    with zipfile.ZipFile(other) as archive:
        assert {one.filename: archive.read(one) for one in archive.infolist()} == FILES
        modes = {one.filename: one.external_attr >> 16 for one in archive.infolist()}
    assert {name: stat.filemode(mode) for name, mode in modes.items()} == {
        "app.py": "-rw-r--r--",
        "lib/__init__.py": "-rw-r--r--",
        "lib/fast.so": "-rwxr-xr-x",
    }


@pytest.mark.usefixtures("umask")
def test_nothing_else_is_left_beside_the_zip(tmp_path: Path) -> None:
    made = zipped(tmp_path / "made", list(FILES), 0o077)
    settle(made)
    assert [one.name for one in made.parent.glob("made.*")] == ["made.zip"]
