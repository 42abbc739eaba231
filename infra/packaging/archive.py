"""The zip, made the same whoever built it, and readable to whoever runs it."""

import stat
import zipfile
from pathlib import Path
from typing import Final

# As Chalice dates every file, and what zip calls the beginning of time.
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_FILE: Final = stat.S_IFREG | 0o644
_EXECUTABLE: Final = stat.S_IFREG | 0o755
_HARDEST: Final = (
    9  # of zlib's levels: some seconds of the builder's for a smaller package at each cold start
)


def settle(made: Path) -> None:
    """The zip has its files by name, each readable to everybody, and nothing else of where it was made.

    Chalice takes over the modes of the builder's files: under a umask of 077 those would be closed to the user whom
    Lambda runs functions as. And it takes the files as the builder's file system happens to list them.
    """
    settled = made.with_suffix(".settled")
    with (
        zipfile.ZipFile(made) as old,
        zipfile.ZipFile(settled, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in sorted(old.infolist(), key=lambda one: one.filename):
            executable = (entry.external_attr >> 16) & stat.S_IXUSR
            same = zipfile.ZipInfo(entry.filename, _DATE)
            same.compress_type = zipfile.ZIP_DEFLATED
            same.external_attr = (_EXECUTABLE if executable else _FILE) << 16
            new.writestr(same, old.read(entry), compresslevel=_HARDEST)
    settled.replace(made)
